//! What a person or a config asks for.
//!
//! | reference | id |
//! | --- | --- |
//! | `/models/a.gguf`, `./a.gguf`, `file:/models/a.gguf`, `file:///models/a.gguf`, `local:/models/a.gguf` | `local:/models/a.gguf` |
//! | any shard, such as `/models/x-00002-of-00003.gguf` | `local:/models/x-00001-of-00003.gguf` |
//! | `hf:org/repo`, `hf:org/repo@rev`, `hf:org/repo@rev/path/file.gguf`, `hf:org/repo:Q4_K_M` | the same |
//! | `hf://…`, `https://huggingface.co/org/repo/blob/main/x.gguf` | the `hf:` form |
//! | any other scheme | the same |
//!
//! Parsing is a matter of text alone: nothing is looked up on a disk or a network.

mod hub;
mod local;
mod parse;
mod shard;

pub use hub::{HubRef, HubTarget, Selection, is_commit};
pub use local::LocalRef;
pub use parse::{ModelRef, OtherRef, did_you_mean};
pub use shard::{ShardName, is_companion, set_of};
