//! Runs file work on threads where it may block.

use crate::error::Result;

/// Runs file work on a thread where it may block. The work goes to its end when the caller drops the future.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::from)?
}
