//! Serves a Hugging Face Hub on loopback: it speaks the protocol from what a test publishes, counts the requests, and makes the
//! faults that real hubs and networks make.
//!
//! It writes HTTP/1.1 to the socket itself, so that an answer may break the protocol too. Over TLS it speaks HTTP/2 besides, as the
//! Hub and its CDN do; the same faults strike there, as far as that protocol can say them.

// What it publishes.
mod account;
mod content;
mod entry;
mod publication;
mod repo;

// What a request is for, and the answer.
mod exchange;
mod found;
mod listing;
mod refusal;
mod reply;
mod request;
mod routes;
mod signature;

// What goes wrong.
mod decompression_bomb;
mod fault;
mod fault_injection;

// The wire.
mod connection;
mod delivery;
mod head;
mod http1;
mod http2;
mod line;
mod tls;

// The hub itself.
mod ledger;
mod server;
mod state;

pub use content::Synthetic;
pub(crate) use entry::git_oid;
pub use fault::{At, ContentLength, Fault, FaultKind, Planned, When};
pub use ledger::{Accepted, Seen};
pub use line::{Origin, Protocol};
pub use publication::Publication;
pub use refusal::Refusal;
pub use repo::Commit;
pub use server::Hub;
