//! Writes and reads what an engine receives: the document of a model.

pub(crate) mod hand_off;
pub(crate) mod lease;

pub use ::handoff::{
    Handoff, HandoffFile, HandoffMetadata, HandoffModel, HandoffProvenance, HandoffVerification,
    SCHEMA_VERSION, read, write,
};
