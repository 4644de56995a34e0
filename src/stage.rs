//! From a manifest to a [`StagedModel`](provisioner_core::StagedModel): every byte of the model is on this machine, and hashed
//! where a digest is needed.

pub(crate) mod acquire;
pub(crate) mod acquisition;
pub(crate) mod from_source;
pub(crate) mod key;
pub(crate) mod read_progress;
pub(crate) mod restage;
pub(crate) mod session;
pub(crate) mod staged_file;
pub(crate) mod supply;
