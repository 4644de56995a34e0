//! How bytes move.
//!
//! [`Transfer::fetch`] brings one file of a manifest from its fetcher into a folder, and returns the digests that were
//! computed while the bytes arrived. It does not know which scheme it serves, nor where files finally lie.
//!
//! # Model
//! A file is fetched in chunks, over several connections, in ascending order. A thread follows behind and hashes what
//! has arrived without a gap, out of the page cache; chunks are handed out only within a window past it. So the digest
//! is known when the last byte has been written, and nothing is read from the disk twice. A small file is hashed when it is
//! there.
//!
//! A byte that was written is never written again: what was hashed is what lies there.
//!
//! # Resume
//! The journal says which bytes are there, of which state of the file. After a kill, all that was written counts; after
//! another boot, only what had been synced. The state of a hash is never kept: what is there is read again, while the
//! rest arrives. Another size, digest or validator begins anew.
//!
//! # Refusals
//! Another range than was asked for, another size, another validator, too few bytes, too many: each is refused. A server
//! that knows no ranges is served with one stream. Bytes with the wrong digest are dropped and fetched once more.
//!
//! # Retries
//! Here, and nowhere else. Progress that is worth something renews the budget; a source that asks to be left alone is left alone
//! for as long as it says and a second more, if that is within the limit, and progress tells of it. An answer whose bytes come
//! too slowly is dropped, as a silent one is: [`provisioner_core::Pace`] is the rule.
//!
//! # Cancellation
//! A fetch may be dropped at any await. A write that has begun goes to its end on a blocking thread, which holds on to the
//! folder's guard.

mod body;
mod error;
mod fetch;
mod hashing;
mod journal;
mod pause;
mod ranges;
mod rate;
mod read;
mod retry;
mod settings;
mod sink;
mod writer;

pub use error::{Error, Result};
pub use fetch::{Fetched, Place, Transfer};
pub use settings::Settings;

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::from)?
}
