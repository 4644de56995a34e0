//! Writes and reads the handoff: the document from which an engine provisioner starts an engine.
//!
//! [`Handoff::of`] makes the document of a resolved model. [`write()`] puts it where an engine provisioner looks. [`read`] reads
//! it back, and [`Handoff::check`] finds whether the files are still those that were verified.

mod document;
mod error;
mod file;

pub use document::{
    Handoff, HandoffFile, HandoffMetadata, HandoffModel, HandoffProvenance, HandoffVerification,
    SCHEMA_VERSION,
};
pub use error::{Error, Result};
pub use file::{read, write};
