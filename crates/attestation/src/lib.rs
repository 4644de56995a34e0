//! Makes statements about a recorded model, for the records of an operator and for other tools.
//!
//! [`Statement::of`] makes an [in-toto Statement v1] whose predicate is a [SLSA Verification Summary v1]: who verified which
//! bytes, by which policy, and how their digests were known. [`Bom::of`] makes a bill of materials in [CycloneDX 1.6].
//!
//! Both are what a record says, and prove nothing by themselves: a signature over them does. This crate opens no file and
//! signs nothing.
//!
//! [in-toto Statement v1]: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
//! [SLSA Verification Summary v1]: https://slsa.dev/spec/v1.1/verification_summary
//! [CycloneDX 1.6]: https://cyclonedx.org/docs/1.6/json/

mod bom;
mod error;
mod format;
mod licence;
mod model;
mod statement;
mod uri;

pub use bom::Bom;
pub use error::{Error, Result};
pub use format::StatementFormat;
pub use model::{DigestedFile, StatedModel};
pub use statement::{
    Circumstances, LogLine, PAYLOAD_TYPE, POLICIES_KEY, PREDICATE_TYPE, RECORD_KEY, Statement, VERIFIER_ID,
};
pub use uri::{is_uri, resource_uri};
