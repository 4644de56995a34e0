//! Goes from a [`VerifiedModel`](provisioner_core::VerifiedModel) to the current record of its id.
//!
//! # Locking
//! From the look at stored files until a record names them, no process removes any of them: every commit of stored files
//! holds the store's lock, shared.

pub(crate) mod model;
pub(crate) mod record;
pub(crate) mod superseded;
pub(crate) mod view;
