//! Defines the documents that `--json` prints, and their text for people.

pub(crate) mod changed;
pub(crate) mod collected;
pub(crate) mod exported;
pub(crate) mod fit;
pub(crate) mod health;
pub(crate) mod inspected;
pub(crate) mod leftover;
pub(crate) mod listed;
pub(crate) mod locked;
pub(crate) mod model;
pub(crate) mod notice;
pub(crate) mod planned;
pub(crate) mod provenance;
mod source;
pub(crate) mod variants;
pub(crate) mod verified;
