//! What a model says of itself.
//!
//! The headers of models are written by strangers, so they are read as hostile bytes: every sum is checked, every count
//! and length has a cap, and nothing is allocated because a header says so, but only for bytes that were really read.
//!
//! [`inspect`] and [`inspect_model`] read the headers of a model's files, whether these lie on this machine
//! ([`LocalFiles`]) or elsewhere (any [`ModelSource`]), and give an [`Inspection`]: a [`ModelInfo`] to hand on, and a
//! [`MemoryEstimate`] that tells what fits. A model whose structure is unsound is an [`Error`]; [`StructureVerifier`]
//! makes that a verdict.
//!
//! This crate is synchronous, and knows no network, no store and no catalog.

mod error;
mod files;
mod named_files;
mod source;
mod window;

pub mod gguf;
pub mod safetensors;

mod info;
mod memory;

mod inspect;
mod inspection;
mod structure;

pub use error::{Error, Result};
pub use files::{ListedFile, LocalFiles, ModelSource};
pub use info::{ModelInfo, Quantizer, RopeScaling, TypeShare};
pub use inspect::{inspect, inspect_model};
pub use inspection::Inspection;
pub use memory::{CacheType, Fit, KvLayer, MemoryEstimate, MemoryRequest};
pub use source::{ByteSource, Seekable};
pub use structure::StructureVerifier;
