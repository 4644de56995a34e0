//! States what is recorded of a model, for the records of an operator and for other tools.

mod options;
mod statement;

pub use self::options::{AttestOptions, Attestation, StatementDest, StatementFormat};
pub(crate) use self::statement::attest;
