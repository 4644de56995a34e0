//! Fetches models of the Hugging Face Hub: `hf:` references.
//!
//! `HubFetcher` pins a revision to its commit once, lists the tree of that commit, chooses the files that belong to the
//! model, and opens them at ranges of bytes. It speaks plain HTTP to the Hub and to the CDN to which the Hub redirects. The
//! crate `source-http` has the rules for that: redirects, the token, allowed hosts and rate limits. This crate has what is
//! the Hub's own: its API, its refusals, and the caches of its own tools. The crate `model-selection` chooses the files.
//!
//! The caller gives endpoint and token; the fetcher never reads the environment. The token goes to the endpoint's own origin
//! alone: not along a redirect to another host, and not back after one. Nothing that `HubFetcher` hands out has it: the
//! fetcher redacts errors, refuses a listing that repeats the token, and drops a validator that does.
//!
//! With the feature `cli`, `HubCommandFetcher` downloads by the Hub's own command instead, and lists by that command too where
//! this build has no client of its own.
//!
//! With the feature `xet`, the fetcher streams files that the Hub stores in Xet from there, and by plain HTTP where that
//! fails.
//!
//! With the feature `info`, the fetcher asks the Hub with the Hub's own client what it says of a model and of the token.

#[cfg(any(feature = "native", feature = "cli"))]
mod cache;
#[cfg(any(feature = "native", feature = "cli"))]
mod repository;
#[cfg(any(feature = "native", feature = "cli"))]
mod request;
#[cfg(any(feature = "native", feature = "cli"))]
mod tree;

#[cfg(feature = "native")]
mod address;
#[cfg(feature = "native")]
mod api;
#[cfg(feature = "native")]
mod error;
#[cfg(feature = "native")]
mod facts;
#[cfg(feature = "native")]
mod fetcher;
#[cfg(feature = "info")]
mod info;
#[cfg(feature = "native")]
mod settings;
#[cfg(feature = "xet")]
mod xet;

#[cfg(feature = "cli")]
mod command;

#[cfg(feature = "cli")]
pub use command::{HubCommandFetcher, HubCommandSettings};
#[cfg(feature = "native")]
pub use fetcher::HubFetcher;
#[cfg(any(feature = "native", feature = "cli"))]
pub use provisioner_core::{Token, TokenOrigin};
#[cfg(feature = "native")]
pub use settings::HubSettings;
