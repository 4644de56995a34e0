//! Reads safetensors, and the files beside them in a repository of Transformers.
//!
//! Source: "Safetensors", "Format", in the README of the safetensors repository; `PretrainedConfig` of Transformers.

mod config;
mod fields;
mod header;
mod index;
mod params;
mod repository;
mod widths;

pub use config::Config;
pub use header::{Header, HeaderTensor};
pub use index::Index;
pub(crate) use repository::inspect_repository;
