//! Runs a future for a caller that may have a runtime or none.

use std::thread;

use crate::error::{Error, Interruption, Result};

/// Runs a future to its end on a thread with a runtime of its own, and blocks until then.
pub(crate) fn run<T: Send>(future: impl Future<Output = T> + Send) -> Result<T> {
    let body = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(future))
    };
    let joined = thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, body).map(std::thread::ScopedJoinHandle::join)
    });
    match joined {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) | Err(error) => Err(Error::storage("a thread cannot be started", error)),
        Ok(Err(panic)) => Err(Interruption::of_panic(panic.as_ref()).into()),
    }
}
