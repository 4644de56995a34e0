//! Runs a future for a caller that may have a runtime or none.

use std::thread;

use futures_util::future::BoxFuture;

use crate::error::{Error, Interruption, Result};

/// Runs a future to its end on a thread with a runtime of its own, and blocks until then.
///
/// The thread and the runtime see one type of future, a box. Each would be compiled once more for each call of the library.
pub(crate) fn run<T: Send>(future: BoxFuture<'_, T>) -> Result<T> {
    let mut done = None;
    run_boxed(Box::pin(async { done = Some(future.await) }))?;
    Ok(done.ok_or(Interruption::RuntimeShutDown)?)
}

fn run_boxed(future: BoxFuture<'_, ()>) -> Result<()> {
    let body = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(future))
    };
    let joined = thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, body).map(std::thread::ScopedJoinHandle::join)
    });
    match joined {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) | Err(error) => Err(Error::storage("a thread cannot be started", error)),
        Ok(Err(panic)) => Err(Interruption::of_panic(panic.as_ref()).into()),
    }
}
