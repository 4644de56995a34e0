//! The listing of a model, asked for again where that may help.

use std::time::Duration;

use provisioner_core::{FetchErrorKind, Manifest, ModelFetcher, ProgressSink, ResolveRequest};
use tokio::time::Instant;

use crate::{
    context::Context,
    error::{Error, Result},
    retry_budget::RetryBudget,
};

/// How often a source that cannot be reached at all is asked for its listing again. Nothing is lost when that fails, and the
/// caller better learns of a wrong address or a missing network at once than after the whole budget of a download.
const UNREACHED_RETRIES: usize = 2;

/// How long that may take: a connection that is neither made nor refused has taken long enough already.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// A listing that fails after this long is not asked for again: a source that is so slow is so the next time.
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
