//! Reads and writes the text of `models.lock`.
//!
//! ```toml
//! version = 1
//!
//! [[model]]
//! ref = "hf:org/repo:Q4_K_M"
//! revision = "1f0e…"
//! dir_hash = "9b74…"
//! files = [
//!   { path = "a-Q4_K_M.gguf", size = 4372812000, sha256 = "3f8c…" },
//! ]
//! ```
//!
//! # Form
//! The file is TOML 1.0. The writer sorts models by their references and files by their paths, and puts one file on a line: two
//! branches that lock different models merge, and one model gives one difference. It writes no time and no count. `dir_hash` is the
//! `sha256-tree` of the files in hex, which in-toto calls `dirHash`. `revision` is absent for a source without revisions.
//!
//! # Reading
//! A merge, an editor or a stranger may have written the text. The reader limits its size, refuses unknown and repeated names, unsafe
//! paths, references that are not canonical and sets that do not have their `dir_hash`, and names the line where it can. It tells the
//! markers of an unfinished merge from other mistakes, with the references on both sides, so that a caller can lock these again.

mod error;
mod read;
mod write;

pub use error::{Error, Result};
pub use read::{MAX_BYTES, read};
pub use write::write;
