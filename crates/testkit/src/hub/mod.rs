//! A Hugging Face Hub on loopback: it speaks the protocol from what a test publishes, counts what is asked of it, and
//! deals the faults that real hubs and networks deal.
//!
//! It writes HTTP/1.1 to the socket itself, so that an answer may break the protocol too. Over TLS it speaks HTTP/2 besides, as the
//! Hub and its CDN do; the same faults strike there, as far as that protocol can say them.

mod connection;
mod content;
mod decompression_bomb;
mod delivery;
mod exchange;
mod fault;
mod fault_injection;
mod http1;
mod http2;
mod ledger;
mod listing;
mod reply;
mod repo;
mod request;
mod routes;
mod server;
mod signature;
mod tls;

pub use content::Synthetic;
pub use fault::{At, ContentLength, Fault, FaultKind, Planned, Refusal, When};
pub use ledger::{Accepted, Origin, Protocol, Seen};
pub(crate) use repo::git_oid;
pub use repo::{Commit, Publication};
pub use server::Hub;
