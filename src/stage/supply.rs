//! Gets the bytes of a file from the cheapest place that has them: in place, the store, another tool on this machine, the
//! source itself, or the program of its fetcher.

pub(crate) mod in_place;
pub(crate) mod local_caches;
pub(crate) mod program;
pub(crate) mod source;
pub(crate) mod store;
