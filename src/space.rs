//! Limits how much the store takes: makes room before a step stages a model, and evicts.
//!
//! # Order
//! `gc`, `remove` and the making of room take a model out of the store in the same way. Behind the store's exclusive lock, with new leases
//! blocked, the removal takes the seal first, then the records, then the files. A process that dies on the way leaves a
//! model that does not come back when the catalog is lost, and whose removal the next `gc` finishes.

pub(crate) mod evict;
pub(crate) mod removal;
pub(crate) mod reserve;
