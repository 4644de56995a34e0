//! Keeps blobs: verified bytes, whose SHA-256 is their name.

pub(crate) mod blob;
pub(crate) mod externally_linked;
pub(crate) mod git_ids;
pub(crate) mod stamp;
