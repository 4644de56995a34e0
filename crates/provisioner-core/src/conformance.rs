//! Checks that an implementation of a trait keeps the contract, whatever is behind it.
//!
//! Each suite is a function that panics where an implementation breaks the contract. Call it from a test of your own, with an
//! implementation that has something to work on. The suites bring no runtime: any that can drive the implementation will do.
//!
//! ```no_run
//! # async fn test(my_fetcher: impl provisioner_core::ModelFetcher) -> Result<(), provisioner_core::Error> {
//! use provisioner_core::conformance;
//!
//! conformance::fetcher(&my_fetcher, &"mem:org/model/a.gguf".parse()?, &"mem:org/absent".parse()?).await;
//! # Ok(())
//! # }
//! ```

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a suite tells of a broken contract by a panic")]

mod catalog;
mod fetcher;
mod verifier;

pub use catalog::catalog;
pub use fetcher::fetcher;
pub use verifier::verifier;
