//! Fetches models of the Hugging Face Hub: `hf:` references.
//!
//! [`HubFetcher`] pins a revision to its commit once, lists the tree of that commit, chooses the files that belong to the
//! model, and opens them at ranges of bytes. It speaks plain HTTP to the Hub and to the CDN to which the Hub redirects. The
//! crate `source-http` has the rules for that: redirects, the token, allowed hosts and rate limits. This crate has what is
//! the Hub's own: its API, its refusals, and the caches of its own tools. The crate `model-selection` chooses the files.
//!
//! The caller gives endpoint and token; the fetcher never reads the environment. The token goes to the endpoint's own origin
//! alone: not along a redirect to another host, and not back after one. Nothing that [`HubFetcher`] hands out has it: the
//! fetcher redacts errors, refuses a listing that repeats the token, and drops a validator that does.
//!
//! With the feature `xet`, the fetcher streams files that the Hub stores in Xet from there, and by plain HTTP where that
//! fails.
#![cfg(feature = "native")]

mod address;
mod api;
mod cache;
mod error;
mod facts;
mod fetcher;
mod repository;
mod settings;
mod tree;
#[cfg(feature = "xet")]
mod xet;

pub use fetcher::HubFetcher;
pub use settings::HubSettings;
pub use source_http::{Token, TokenOrigin};
