//! Asks a source for the listing of a model, and asks again where that may help.

use std::time::Duration;

use provisioner_core::{FetchErrorKind, Manifest, ModelFetcher, ProgressSink, ResolveRequest};
use tokio::time::Instant;

use crate::{
    context::Context,
    error::{Error, Result},
    retry_budget::RetryBudget,
};

/// How often a transfer asks a source again that it cannot reach at all. Nothing is lost when that fails. The caller
/// better learns of a wrong address or a missing network at once than after the whole budget of a download.
const UNREACHED_RETRIES: usize = 2;

/// How long these retries may take: a connection that the other side neither accepts nor refuses has taken long enough
/// already.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// How long an attempt may take to be worth a retry: a source that is so slow is so the next time.
const LONG_ATTEMPT: Duration = Duration::from_secs(300);

/// Returns the manifest of a request. [`Transfer::resolve`](crate::Transfer::resolve) says more.
pub(crate) async fn resolve(
    context: &Context,
    fetcher: &dyn ModelFetcher,
    request: &ResolveRequest,
    progress: &dyn ProgressSink,
) -> Result<Manifest> {
    let id = request.reference.id();
    let (mut budget, mut unreached) = (RetryBudget::new(context, &id, progress), 0);
    let begin = Instant::now();
    loop {
        let attempt = Instant::now();
        let error = match fetcher.resolve(request).await {
            Ok(manifest) => return Ok(manifest),
            Err(error) => error,
        };
        if error.kind == FetchErrorKind::Unreachable {
            // A program has tried several times by itself.
            if fetcher.program().is_some() {
                return Err(Error::Source(error));
            }
            unreached += 1;
            if unreached > UNREACHED_RETRIES || begin.elapsed() > UNREACHED_FOR {
                return Err(Error::Source(error));
            }
        }
        if attempt.elapsed() > LONG_ATTEMPT && error.retry_after.is_none() {
            return Err(Error::Source(error));
        }
        budget.wait_out(Error::Source(error)).await?;
    }
}
