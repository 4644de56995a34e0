//! Keeps views: folders with the names that an engine expects.

pub(crate) mod build;
pub(crate) mod commit;
pub(crate) mod invalidate;
pub(crate) mod pending;
pub(crate) mod repair;
pub(crate) mod seal;
pub(crate) mod view;
