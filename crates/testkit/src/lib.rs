//! Makes what tests need: models that are built rather than committed, a hub that serves them and misbehaves when a test says
//! so, and the repository's own sources for tests about them.
//!
//! The conformance suites are those of `provisioner-core`, named here for the tests of this repository.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken contract is told by a panic")]

mod archive;
mod generated;
mod gguf;
pub mod hub;
mod hub_cache;
mod model;
mod proxy;
mod signature;
pub mod sources;
mod tier;
mod weights;

pub use archive::{ZipWriter, tar, tar_header};
pub use generated::assert_current;
pub use gguf::GgufWriter;
pub use hub::Hub;
pub use hub_cache::HubCache;
pub use model::FakeModel;
pub use provisioner_core::conformance;
pub use proxy::{Proxied, Proxy};
pub use signature::{OTHER_PRIVATE_KEY, OTHER_PUBLIC_KEY, PRIVATE_KEY, PUBLIC_KEY, Signature};
pub use tier::tier;
pub use weights::{TINY_GGUF, gguf, gguf_of, safetensors, safetensors_of};
