//! Reads GGUF, versions 2 and 3.
//!
//! Source: "GGUF", `docs/gguf.md` in the ggml repository. All numbers are little-endian:
//!
//! ```text
//! "GGUF"  version u32  tensor count u64  metadata count u64
//! metadata: key (string)  type u32  value                     × metadata count
//! tensors:  name (string)  dimensions u32 + u64 each  type u32  offset u64   × tensor count
//! padding to the alignment, then the tensors' data; an offset counts from there
//! ```
//!
//! A string is its length (u64) and its bytes; an array is the type of its elements (u32), their count (u64) and them.

mod facts;
mod file_type;
mod header;
mod model;
mod role;
mod shards;
mod tensor;
mod tensor_type;
mod value;
mod widths;

pub use file_type::file_type_name;
pub use header::Header;
pub(crate) use model::inspect_models;
pub use tensor::{Tensor, TypeTotal};
pub use tensor_type::TensorType;
pub use value::{Array, Value, ValueKind};
