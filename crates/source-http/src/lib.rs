//! Speaks HTTP for every source, whatever it serves.
//!
//! A fetcher describes its source in [`HttpSettings`] and in a [`Dialect`], and asks through an [`HttpClient`]. The client
//! follows redirects, sends the token to the endpoint's own origin alone, asks only hosts that the policy allows, sends
//! nothing to an origin that asks for a pause, and reads no answer past a bound. A [`Location`] opens a file.
//!
//! This crate knows no format of any one source. What a source says in its headers and its documents, which variables its
//! users set, and what a person can do about a refusal, the fetcher says through its [`Dialect`].
//!
//! # Redaction
//! No error of this crate shows the query of an address, for a signed address carries its signature there.
//! [`HttpClient::redacted`] takes the token out of an error; the fetcher calls it for each error that it hands out.
//!
//! # Proxies
//! The connections use the proxies that the machine's environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, without
//! the hosts in `NO_PROXY`; each in lower case first). Where such a variable names no proxy that the client can use, it sends no request past it; the error names
//! the variable.

mod address;
mod answer;
mod client;
mod connections;
mod connector;
mod dialect;
mod document;
mod error;
mod guard;
mod json_elements;
mod link;
mod location;
mod proxies;
mod range;
mod rate_limit;
mod redirect;
mod refusal;
mod settings;
mod tls;
mod transport;

pub use address::redacted;
pub use answer::Answer;
pub use client::HttpClient;
pub use connections::{CONNECT_TIMEOUT, Pool};
pub use connector::USER_AGENT;
pub use dialect::{Dialect, Trouble};
pub use document::{MAX_BODY_BYTES, Page};
pub use error::invalid;
pub use http::StatusCode;
pub use json_elements::JsonElements;
pub use location::Location;
pub use provisioner_core::{Token, TokenOrigin, server_text};
pub use range::{bounds_of, no_bytes};
pub use refusal::{Identity, Refusal};
pub use settings::HttpSettings;
pub use url::Url;
