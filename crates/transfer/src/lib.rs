//! Moves bytes from a source into a file.
//!
//! [`Transfer::fetch`] fetches one file of a manifest into a folder, and returns the digests that it computes while the bytes
//! arrive. It does not know which scheme it serves, nor where files finally lie.
//!
//! # Model
//! A file comes in chunks, in ascending order, over as many connections as its digest needs (`concurrency`). A thread follows
//! behind, and hashes the bytes that have arrived without a gap. A connection begins a chunk only within a window past that
//! frontier. So the thread knows the digest when the last byte is written, and reads no byte from the disk twice. A small file
//! is hashed once it is there.
//!
//! Where an answer takes longer to come than the rest of a chunk, the request for the next chunk is sent meanwhile. The client
//! keeps the connections, and the next request uses one that has become free.
//!
//! # Copies
//! The kernel copies a byte from the socket into a buffer of the HTTP client; over TLS, decryption copies it once more. From
//! there on the buffer itself is handed on, in pieces. A write copies the byte into the page cache. The thread hashes the bytes
//! of the frontier out of the same buffer (`arrived`), and copies none. The threads of two files hash together where both have bytes
//! (`partners`), which takes as long as the bytes of one. Where these threads are as many as the processors, each of them writes
//! the bytes of its file too, before it hashes them: another thread for the writes would only wait for a processor. A thread
//! copies only what arrived ahead of the frontier once more, out of the page cache into a buffer that it reuses. The connection at
//! the frontier waits where the thread has 2 MiB to do, over all files.
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
//! The caller may drop a fetch at any await. A write that has begun goes to its end on its thread, which keeps the folder's guard.

mod arrived;
mod blocking;
mod body;
mod chunk;
mod concurrency;
mod connections;
mod context;
mod epoch;
mod error;
mod fetch;
mod hashing;
mod journal;
mod lock;
mod partners;
mod pause;
mod progress;
mod ranges;
mod rate;
mod read;
mod resolve;
mod retry_budget;
mod schedule;
mod scheduling;
mod settings;
mod sink;
mod transfer;
mod truncate;
mod write;
mod writer;

pub use error::{Error, Result};
pub use fetch::{Fetched, Place};
pub use settings::Settings;
pub use transfer::Transfer;
