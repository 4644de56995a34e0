//! What an engine receives.
//!
//! [`Handoff::of`] makes the document of a resolved model, [`write()`] puts it where an engine looks, [`read`] reads
//! it back, and [`Handoff::check`] says whether the files are still those that were verified.

mod document;
mod error;
mod file;

pub use document::{
    Handoff, HandoffFile, HandoffMetadata, HandoffModel, HandoffVerification, SCHEMA_VERSION,
};
pub use error::{Error, Result};
pub use file::{read, write};
