//! Reads requests, and runs the work on files that answers them.

use model_selection::check;
use provisioner_core::{FetchError, FetchErrorKind, ModelRef, ResolveRequest, reference::RepoRef};

/// The scheme of the Hub.
pub(crate) const SCHEME: &str = "hf";

/// Runs work on files on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        FetchError::new(FetchErrorKind::Storage, "the process stopped before it had read the Hub's cache")
            .because(error)
    })?
}

/// Returns the reference of a request, once its patterns are known to be patterns.
pub(crate) fn hub_of(request: &ResolveRequest) -> Result<&RepoRef, FetchError> {
    match &request.reference {
        ModelRef::Repo(hub) if hub.scheme() == SCHEME => check(hub).map(|()| hub),
        other => {
            let message = format!("`{other}` is not a reference to the hub");
            Err(FetchError::new(FetchErrorKind::Unsupported, message))
        }
    }
}
