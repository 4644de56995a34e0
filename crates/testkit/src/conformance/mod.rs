//! What every implementation of a trait must do, whatever is behind it.
//!
//! Each suite is a function that panics where the contract is broken, for use in a test.

mod catalog;
mod fetcher;

pub use catalog::catalog;
pub use fetcher::fetcher;
