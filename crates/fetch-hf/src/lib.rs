//! The fetcher for models on the Hugging Face Hub: `hf:` references.
//!
//! [`HubFetcher`] pins a revision to its commit once, lists the tree of that commit, chooses the files that belong to the
//! model, and opens them at ranges of bytes. It speaks plain HTTP to the Hub and to the CDN that the Hub sends it to.
//!
//! Endpoint and token are given, never read from the environment. The token goes to the endpoint's own origin, and
//! nowhere else: not along a redirect to another host, and not back after one. Nothing that [`HubFetcher`] hands out has it:
//! errors are redacted, a listing that repeats it is refused, and a validator that does is dropped.
//!
//! A server that asks to be left alone is sent nothing before its time; the error says how long that is.
//!
//! With the feature `xet`, files that the Hub stores in Xet are streamed from there, and by plain HTTP where that fails.
#![cfg(feature = "native")]

mod api;
mod cache;
mod connections;
mod elements;
mod error;
mod fetcher;
mod http;
mod link;
mod rate_limit;
mod select;
mod settings;
mod token;
#[cfg(feature = "xet")]
mod xet;

pub use fetcher::HubFetcher;
pub use settings::HubSettings;
pub use token::{Token, TokenOrigin};
