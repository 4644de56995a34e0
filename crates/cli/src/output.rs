//! What the command prints: documents and text on standard output, everything else on standard error.

pub(crate) mod documents;
pub(crate) mod escape;
pub(crate) mod failure;
pub(crate) mod hint;
pub(crate) mod printer;
pub(crate) mod progress;
#[cfg(feature = "hf")]
pub(crate) mod redact;
pub(crate) mod text;
