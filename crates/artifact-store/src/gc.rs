//! Collects garbage: what the store holds, what to evict, and how to remove it.
//!
//! `scan` lists what there is, `eviction` plans purely what goes, and `removal` removes it under the exclusive store lock.

pub(crate) mod eviction;
pub(crate) mod inventory;
pub(crate) mod last_use;
pub(crate) mod leftover;
pub(crate) mod limits;
pub(crate) mod recorded;
pub(crate) mod removal;
pub(crate) mod scan;
