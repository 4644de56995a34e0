//! Names what ended a piece of work before it had a result.

use std::any::Any;

use provisioner_core::RelativePath;

/// Names what ended a piece of work before it had a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interruption {
    /// The work panicked, which is a bug of this library.
    #[error("it panicked: {message}")]
    Panicked {
        /// The text of the panic.
        message: String,
    },
    /// The runtime shut down before the work began or ended.
    #[error("the runtime is shutting down")]
    RuntimeShutDown,
    /// The caller dropped the call.
    #[error("the caller no longer waits for it")]
    Abandoned,
    /// A thread that hashed files of the model ended early.
    #[error("a thread that hashed its files ended early")]
    HashingEnded,
    /// A manifest that lies on this machine lists a file that is missing here.
    #[error("`{path}` is not on this machine, and the rest of its model is")]
    NotInPlace {
        /// The path of the file in its model.
        path: RelativePath,
    },
}

impl Interruption {
    /// Returns what a panic says, from the error of the thread or task that panicked.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Panicked { message: text.unwrap_or("it says no more").to_owned() }
    }
}
