//! Prints documents and text on standard output, and everything else on standard error.

pub(crate) mod documents;
pub(crate) mod escape;
pub(crate) mod failure;
pub(crate) mod hint;
pub(crate) mod printer;
pub(crate) mod progress;
#[cfg(any(feature = "hf", feature = "hf-cli"))]
pub(crate) mod redact;
pub(crate) mod text;
