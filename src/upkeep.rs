//! What a caller does with models that are recorded: list, verify, retire, remove, and repair the cache.

pub(crate) mod doctor;
pub(crate) mod inventory;
pub(crate) mod overview;
pub(crate) mod remove;
pub(crate) mod retire;
pub(crate) mod verify;
