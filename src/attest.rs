//! States what is recorded of a model, for the records of an operator and for other tools.

pub(crate) mod configured;
mod options;
mod statement;

pub use self::options::{AttestOptions, Attestation, StatementDest};
pub(crate) use self::statement::attest;
