//! Goes from a manifest to a [`StagedModel`](provisioner_core::StagedModel): every byte of the model is on this machine,
//! and has a digest where the expectation needs one.

pub(crate) mod acquire;
pub(crate) mod acquisition;
pub(crate) mod format;
pub(crate) mod from_source;
pub(crate) mod key;
pub(crate) mod read_progress;
pub(crate) mod restage;
pub(crate) mod session;
pub(crate) mod staged_file;
pub(crate) mod supply;
