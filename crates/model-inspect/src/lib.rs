//! Reads what a model says of itself.
//!
//! Strangers write the headers of models, so this crate reads them as hostile bytes. It checks every sum and caps every count and
//! length. It allocates memory only for bytes that it has read, never because a header says so.
//!
//! [`inspect`] and [`inspect_model`] read the headers of a model's files, whether these lie on this machine
//! ([`LocalFiles`]) or elsewhere (any [`ModelSource`]), and return an [`Inspection`]: a [`DetailedFacts`] to hand on, and a
//! [`MemoryEstimate`] that tells what fits. For a model whose structure is unsound they return an [`Error`];
//! [`StructureVerifier`] makes that a verdict.
//!
//! This crate is synchronous, and knows no network, no store and no catalog.

mod buffer;
mod error;
mod files;
mod named_files;
mod pointer;
mod source;
mod window;

mod format;

pub mod gguf;
pub mod safetensors;

mod details;
mod engine;
mod memory;

mod inspect;
mod inspection;
mod structure;

pub use details::{DetailedFacts, Quantizer, RopeScaling, TypeShare};
pub use engine::{Engine, EngineShare, FlashAttention};
pub use error::{Error, Result};
pub use files::{ListedFile, LocalFiles, ModelSource};
pub use format::{MAX_FORMAT_BYTES, format_of};
pub use inspect::{inspect, inspect_model};
pub use inspection::Inspection;
pub use memory::{Fit, KvLayer, KvType, MemoryEstimate, MemoryRequest};
pub use pointer::{find_pointers, may_stand_for};
pub use source::{ByteSource, Seekable};
pub use structure::StructureVerifier;
