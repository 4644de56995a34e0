//! Writes and reads a model as a portable folder, which a person carries to a machine without network.
//!
//! ```text
//! <dir>/
//!   a.gguf, sub/b.json, …    the model's files, under their names
//!   SHA256SUMS               what `sha256sum -c` reads
//!   .model.json              the catalog's record: `schema_version` and `record`
//! ```
//!
//! # Writing
//! [`write()`] builds the folder aside (see the module `aside`), and renames it whole. No reader takes a half of it for a
//! bundle.
//!
//! # Reading
//! [`Bundle::open`] checks that the folder is well formed: every path is safe, and the table of digests and the record agree.
//! What the folder says of itself is a claim, and worth no more than the person who carried it.
//!
//! # Compatibility
//! The record file looks like the seal of a view in the store, and the two formats change independently.

mod aside;
mod error;
mod format;
mod read;
mod write;

pub use error::{Error, Result};
pub use format::SUMS;
pub use read::{Bundle, BundledFile};
pub use write::write;
