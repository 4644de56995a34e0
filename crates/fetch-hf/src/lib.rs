//! The fetcher for models on the Hugging Face Hub: `hf:` references.
//!
//! [`HubFetcher`] pins a revision to its commit once, lists the tree of that commit, chooses the files that belong to the
//! model, and opens them at ranges of bytes. It speaks plain HTTP to the Hub and to the CDN that the Hub sends it to.
//!
//! Endpoint and token are given, never read from the environment. The token goes to the endpoint's own origin, and
//! nowhere else: not along a redirect to another host, and not back after one.

mod api;
mod choose;
mod fetcher;
mod http;
mod settings;

pub use fetcher::HubFetcher;
pub use settings::{HubSettings, Token};
