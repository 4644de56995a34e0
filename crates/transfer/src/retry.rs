//! How often, and after which pauses, a source is asked again. Nobody else in the workspace retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use provisioner_core::{FetchErrorKind, Manifest, ModelFetcher, ProgressSink, ResolveRequest};

use tokio::time::Instant;

use crate::{Error, Result, Settings, Transfer};

/// How often a source that cannot be reached at all is asked for its listing again. Nothing is lost when that fails, and a
/// wrong address or a missing network is better told at once than after the patience that a download deserves.
const UNREACHED_RETRIES: usize = 2;

/// How long that may take: a connection that is neither made nor refused has been waited for long enough already.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// An attempt at a listing that failed after this long is not made again: a source that is so slow is so the next time.
const LONG_ATTEMPT: Duration = Duration::from_secs(300);

/// How much longer than it asks a source is left alone: it counts in whole seconds.
const GRACE: Duration = Duration::from_secs(1);

/// The pauses that are left, and who is told of those that a source asks for.
pub(crate) struct RetryBudget<'a> {
    transfer: &'a Transfer,
    id: &'a str,
    progress: &'a dyn ProgressSink,
    pauses: ExponentialBackoff,
}

impl<'a> RetryBudget<'a> {
    pub(crate) fn new(transfer: &'a Transfer, id: &'a str, progress: &'a dyn ProgressSink) -> Self {
        Self { transfer, id, progress, pauses: schedule(transfer.settings()) }
    }

    /// There was progress: all pauses are there again.
    pub(crate) fn renew(&mut self) {
        self.pauses = schedule(self.transfer.settings());
    }

    /// Waits until asking again makes sense, and returns how much of that the source asked for.
    ///
    /// # Errors
    /// The error itself, when it does not pass, when there are no pauses left, or when the source wants to be left alone
    /// for too long.
    pub(crate) async fn outlast(&mut self, error: Error) -> Result<Duration> {
        if !error.may_pass() {
            return Err(error);
        }
        let Some(pause) = self.pauses.next() else { return Err(error) };
        let Some(asked) = error.retry_after() else {
            tracing::debug!("{error}; going on in {pause:?}");
            tokio::time::sleep(pause).await;
            return Ok(Duration::ZERO);
        };
        let limit = self.transfer.settings().max_wait;
        if asked > limit {
            return Err(error.beyond(limit));
        }
        let pause = asked.saturating_add(GRACE).max(pause);
        let _told = self.transfer.pauses().begin(self.id, &error.to_string(), asked, self.progress);
        tokio::time::sleep(pause).await;
        Ok(pause)
    }
}

fn schedule(settings: &Settings) -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(settings.pause).with_factor(2.0);
    builder.with_max_times(settings.retries).with_jitter().build()
}

impl Transfer {
    /// The manifest of a request, asked for again where a failure may pass. Progress tells of the pauses that the source asks
    /// for.
    ///
    /// # Errors
    /// [`Error::Source`].
    pub async fn resolve(
        &self,
        fetcher: &dyn ModelFetcher,
        request: &ResolveRequest,
        progress: &dyn ProgressSink,
    ) -> Result<Manifest> {
        let id = request.reference.id();
        let (mut patience, mut unreached) = (RetryBudget::new(self, &id, progress), 0);
        let begin = Instant::now();
        loop {
            let attempt = Instant::now();
            let error = match fetcher.resolve(request).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => error,
            };
            if error.kind == FetchErrorKind::Unreachable {
                unreached += 1;
                if unreached > UNREACHED_RETRIES || begin.elapsed() > UNREACHED_FOR {
                    return Err(Error::Source(error));
                }
            }
            if attempt.elapsed() > LONG_ATTEMPT && error.retry_after.is_none() {
                return Err(Error::Source(error));
            }
            patience.outlast(Error::Source(error)).await?;
        }
    }
}
