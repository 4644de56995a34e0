//! Where the bytes of a file may come from, the cheapest place first: they lie in place, the store has them, another tool has
//! them on this machine, or the source sends them.

pub(crate) mod in_place;
pub(crate) mod local_caches;
pub(crate) mod source;
pub(crate) mod store;
