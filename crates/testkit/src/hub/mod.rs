//! A Hugging Face Hub on loopback: it speaks the protocol from what a test publishes, counts what is asked of it, and
//! deals the faults that real hubs and networks deal.
//!
//! It writes HTTP/1.1 to the socket itself, so that an answer may break the protocol too.

mod bomb;
mod connection;
mod content;
mod exchange;
mod fault;
mod ledger;
mod listing;
mod mischief;
mod reply;
mod repo;
mod request;
mod routes;
mod server;
mod signature;

pub use content::Synthetic;
pub use fault::{At, ContentLength, Fault, FaultKind, Planned, Refusal, When};
pub use ledger::{Origin, Seen};
pub use repo::{Commit, Publication};
pub use server::Hub;
