//! Locks say which process works on what, so that other processes wait, or leave it alone.
//!
//! | lock | held by | excludes |
//! | --- | --- | --- |
//! | model lock | the process that makes a model present | another process that makes the same model present |
//! | store lock, shared | a process that commits a model | a process that removes |
//! | store lock, exclusive | a process that removes | all others |
//! | lease | a process that uses a model | the removal of that model |

pub(crate) mod holder;
pub(crate) mod lease;
pub(crate) mod model_lock;
pub(crate) mod process;
pub(crate) mod store_lock;
pub(crate) mod trust;
