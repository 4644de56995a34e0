//! Gets the bytes of a file from the cheapest place that has them: in place, the store, another tool on this machine, or
//! the source.

pub(crate) mod in_place;
pub(crate) mod local_caches;
pub(crate) mod source;
pub(crate) mod store;
