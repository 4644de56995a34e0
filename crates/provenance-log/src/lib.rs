//! Keeps the append-only log of a cache, in which each line names the one before it by its SHA-256.
//!
//! # Format
//! The log is a folder's `provenance.jsonl`, one JSON object a line, and the files that it was before it grew too long. A line
//! has the fields of this crate, and then those of its writer:
//!
//! ```text
//! {"v":1,"seq":17,"prev":"<64 hex digits>","at":"…","action":"ensure","id":"…",…}
//! ```
//!
//! | field | meaning |
//! | --- | --- |
//! | `v` | the version of the format: 1 |
//! | `seq` | the number of the line, from 1 on, over all files |
//! | `prev` | the SHA-256 of the bytes of the line before, without its newline; of the first line, 64 zeros |
//! | `pid` | the id of the process that wrote the line, so that two processes never write the same bytes at one moment |
//! | `after` | of the first line of a file: the file before it, and the SHA-256 of that file's last line |
//! | `unchained` | of the first line of all: the length and the SHA-256 of what the file held before it |
//! | `torn` | the length and the SHA-256 of the bytes between the line before and this one, which are not a line |
//!
//! A hash is over the bytes as they lie in the file, so no reader has to print JSON again as the writer did.
//!
//! # Writing
//! A writer takes the lock on `provenance.lock`, which no process renames or removes. It reads the end of the log, appends one
//! line in one write, and releases the lock. A writer that dies leaves a torn tail: the next one ends that with a newline, and
//! its own line says in `torn` what the bytes are. No process cuts the log.
//!
//! # Rotation
//! A log of [`ROTATE_BYTES`] becomes `provenance-<first>-<last>.jsonl`, named by the numbers of its lines, under the lock. Where
//! a process dies after that rename, the next writer finds no line in `provenance.jsonl`, and goes on from the file with the
//! highest numbers.
//!
//! # What a chain proves
//! [`Log::verify`] finds a line that another program changed, removed, repeated or moved. The chain alone shows neither a cut
//! tail nor a log that is written anew from the start: a [`Position`] that lies outside of the log, as in a handoff, shows both.
//! Where a lock does not exclude other processes, two writers may name one line: the verifier tells such a [fork](FaultKind::Fork)
//! from a change.
//!
//! # Compatibility
//! An earlier release wrote lines without a chain. Such a log goes on in place: its first chained line commits to all bytes
//! before it.

mod chain;
mod error;
mod fault;
mod files;
mod gap;
mod line;
mod lines;
mod log;
mod position;
mod read;
mod tail;

pub use error::{Error, Result};
pub use fault::{Fault, FaultKind};
pub use files::is_file_name;
pub use line::{After, Span, VERSION};
pub use log::{Durability, Log, ROTATE_BYTES};
pub use position::{NoPosition, Position};
pub use read::{LogLine, Report};
pub use tail::Head;
