//! The fetcher for models on the Hugging Face Hub: `hf:` references.
//!
//! [`HubFetcher`] pins a revision to its commit once, lists the tree of that commit, chooses the files that belong to the
//! model, and opens them at ranges of bytes. It speaks plain HTTP to the Hub and to the CDN that the Hub sends it to.
//!
//! Endpoint and token are given, never read from the environment. The token goes to the endpoint's own origin, and
//! nowhere else: not along a redirect to another host, and not back after one.
//!
//! With the feature `xet`, files that the Hub stores in Xet are streamed from there, and by plain HTTP where that fails.
#![cfg(feature = "native")]

mod api;
mod choose;
mod connections;
mod elements;
mod fetcher;
mod http;
mod link;
mod settings;
#[cfg(feature = "xet")]
mod xet;

pub use fetcher::HubFetcher;
pub use settings::{HubSettings, Token};
