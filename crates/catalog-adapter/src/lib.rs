//! Keeps the catalog: the stores behind `CatalogStore`.
//!
//! [`FsCatalog`] keeps one JSON file per record in a folder; it needs no server, and one damaged file hurts one
//! model. A look at all records takes time with their number, and no memory: see `CatalogStore::page`.

mod files;
mod fs;
mod index;
mod page;
mod record_file;

pub use fs::FsCatalog;
