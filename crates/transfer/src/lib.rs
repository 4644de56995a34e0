//! Moves bytes from a source into a file.
//!
//! [`Transfer::fetch`] fetches one file of a manifest into a folder, and returns the digests that it computes while the bytes
//! arrive. It does not know which scheme it serves, nor where files finally lie.
//!
//! # Model
//! Several connections fetch a file in chunks, in ascending order. A thread follows behind, and hashes the bytes that have
//! arrived without a gap, out of the page cache. A connection begins a chunk only within a window past that frontier. So
//! the thread knows the digest when the last byte is written, and reads no byte from the disk twice. It hashes a small
//! file once the file is there.
//!
//! No connection writes a byte twice: the bytes that were hashed are the bytes in the file.
//!
//! # Resume
//! The journal says which bytes are there, of which state of the file. After a kill, all bytes that the transfer wrote
//! count; after another boot, only those that it synced. The journal keeps no state of a hash: the thread reads the
//! present bytes again while the rest arrives. Another size, digest or validator begins anew.
//!
//! # Refusals
//! Each of these is an error: another range than that of the request, another size, another validator, too few bytes, too
//! many. A server that knows no ranges sends one stream. The transfer drops bytes with the wrong digest, and fetches the
//! file once more.
//!
//! # Retries
//! Only this crate retries. Enough progress renews the budget of retries. Where a source asks for a pause within the
//! limit, the transfer pauses for a second longer, and progress tells of it. The transfer drops an answer whose bytes
//! come too slowly, as it drops a silent one: [`provisioner_core::Pace`] is the rule.
//!
//! # Cancellation
//! The caller may drop a fetch at any await. A write that has begun goes to its end on a blocking thread, which keeps the
//! folder's guard.

mod blocking;
mod body;
mod context;
mod error;
mod fetch;
mod hashing;
mod journal;
mod pause;
mod progress;
mod ranges;
mod rate;
mod read;
mod resolve;
mod retry_budget;
mod settings;
mod sink;
mod transfer;
mod truncate;
mod writer;

pub use error::{Error, Result};
pub use fetch::{Fetched, Place};
pub use settings::Settings;
pub use transfer::Transfer;
