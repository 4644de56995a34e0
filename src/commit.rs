//! From a [`VerifiedModel`](provisioner_core::VerifiedModel) to the current record of its id.
//!
//! # Locking
//! From the look at what is stored until there is a record of it, no process removes any of it: every commit of stored files
//! holds the store's lock, shared. `store_lock` is the one place that takes it.

pub(crate) mod model;
pub(crate) mod record;
pub(crate) mod store_lock;
pub(crate) mod superseded;
pub(crate) mod view;
