//! How often, and after which pauses, a source is asked again. Nobody else in the workspace retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use provisioner_core::{FetchErrorKind, Manifest, ModelFetcher, ResolveRequest};

use tokio::time::Instant;

use crate::{Error, Result, Settings, Transfer};

/// How often a source that cannot be reached at all is asked for its listing again. Nothing is lost when that fails, and a
/// wrong address or a missing network is better told at once than after the patience that a download deserves.
const UNREACHED_RETRIES: usize = 2;

/// How long that may take: a connection that is neither made nor refused has been waited for long enough already.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// An attempt at a listing that failed after this long is not made again: a source that is so slow is so the next time.
const LONG_ATTEMPT: Duration = Duration::from_secs(300);

/// The pauses that are left.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    settings: &'a Settings,
    pauses: ExponentialBackoff,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings, pauses: schedule(settings) }
    }

    /// There was progress: all pauses are there again.
    pub(crate) fn renew(&mut self) {
        self.pauses = schedule(self.settings);
    }

    /// Waits until asking again makes sense.
    ///
    /// # Errors
    /// The error itself, when it does not pass, when there are no pauses left, or when the source wants to be left alone
    /// for too long.
    pub(crate) async fn outlast(&mut self, error: Error) -> Result<()> {
        if !error.may_pass() {
            return Err(error);
        }
        let Some(pause) = self.pauses.next() else { return Err(error) };
        let pause: Duration = error.retry_after().unwrap_or_default().max(pause);
        if pause > self.settings.max_wait {
            return Err(error);
        }
        tracing::debug!("{error}; going on in {pause:?}");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn schedule(settings: &Settings) -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(settings.pause).with_factor(2.0);
    builder.with_max_times(settings.retries).with_jitter().build()
}

impl Transfer {
    /// The manifest of a request, asked for again where a failure may pass.
    ///
    /// # Errors
    /// [`Error::Source`].
    pub async fn resolve(&self, fetcher: &dyn ModelFetcher, request: &ResolveRequest) -> Result<Manifest> {
        let (mut patience, mut unreached) = (Patience::new(self.settings()), 0);
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
            if attempt.elapsed() > LONG_ATTEMPT {
                return Err(Error::Source(error));
            }
            patience.outlast(Error::Source(error)).await?;
        }
    }
}
