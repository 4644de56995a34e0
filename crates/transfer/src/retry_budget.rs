//! Decides how often, and after which pauses, a transfer asks a source again. Nothing else in the workspace retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use provisioner_core::ProgressSink;

use crate::{
    context::Context,
    error::{Error, Result},
    settings::Settings,
};

/// How much longer than a source asks a pause is: the source counts in whole seconds.
const GRACE: Duration = Duration::from_secs(1);

/// Holds the pauses that are left, and tells progress of those that a source asks for.
pub(crate) struct RetryBudget<'a> {
    context: &'a Context,
    id: &'a str,
    progress: &'a dyn ProgressSink,
    pauses: ExponentialBackoff,
}

impl<'a> RetryBudget<'a> {
    /// Returns a full budget for requests of the model `id`.
    pub(crate) fn new(context: &'a Context, id: &'a str, progress: &'a dyn ProgressSink) -> Self {
        Self { context, id, progress, pauses: schedule(&context.settings) }
    }

    /// Fills the budget again: there was progress.
    pub(crate) fn renew(&mut self) {
        self.pauses = schedule(&self.context.settings);
    }

    /// Waits until another request makes sense, and returns how much of that the source asked for.
    ///
    /// # Errors
    /// The error itself, when another request cannot help, when there are no pauses left, or when the source asks for a
    /// longer pause than the limit.
    pub(crate) async fn wait_out(&mut self, error: Error) -> Result<Duration> {
        if !error.may_pass() {
            return Err(error);
        }
        let Some(pause) = self.pauses.next() else { return Err(error) };
        let Some(asked) = error.retry_after() else {
            tracing::debug!("{error}; going on in {pause:?}");
            tokio::time::sleep(pause).await;
            return Ok(Duration::ZERO);
        };
        let limit = self.context.settings.max_wait;
        if asked > limit {
            return Err(error.beyond(limit));
        }
        let pause = asked.saturating_add(GRACE).max(pause);
        let _told = self.context.pauses.begin(self.id, &error.to_string(), asked, self.progress);
        tokio::time::sleep(pause).await;
        Ok(pause)
    }
}

fn schedule(settings: &Settings) -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(settings.pause).with_factor(2.0);
    builder.with_max_times(settings.retries).with_jitter().build()
}
