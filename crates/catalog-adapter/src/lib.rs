//! Keeps the catalog: the stores behind `CatalogStore`.
//!
//! [`FsCatalog`] keeps one JSON file per record in a folder; it needs no server, and one damaged file hurts one
//! model. It serves up to 10,000 records well.

mod files;
mod fs;
mod index;

pub use fs::FsCatalog;
