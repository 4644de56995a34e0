//! Works with recorded models: lists, verifies, retires and removes them, and repairs the cache.

pub(crate) mod account;
pub(crate) mod doctor;
pub(crate) mod list;
pub(crate) mod overview;
pub(crate) mod pages;
pub(crate) mod provenance;
pub(crate) mod remove;
pub(crate) mod retire;
pub(crate) mod verify;
