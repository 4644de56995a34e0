//! How much the store takes: making room before a model is staged, and eviction.
//!
//! # Order
//! Every model that leaves the store leaves it in one way, whether it is evicted or removed. Behind the store's exclusive lock,
//! and with leases excluded, its seal goes first, then its records, then its files. A process that dies on the way
//! leaves a model that does not come back when the catalog is lost, and that the next `gc` finishes.

pub(crate) mod evict;
pub(crate) mod removal;
pub(crate) mod reserve;
