//! Parses references: which model a person or a config asks for.
//!
//! | reference | id |
//! | --- | --- |
//! | `/models/a.gguf`, `./a.gguf`, `file:/models/a.gguf`, `file:///models/a.gguf`, `local:/models/a.gguf` | `local:/models/a.gguf` |
//! | any shard, such as `/models/x-00002-of-00003.gguf` | `local:/models/x-00001-of-00003.gguf` |
//! | `hf:org/repo`, `hf:org/repo@rev`, `hf:org/repo@rev/path/file.gguf`, `hf:org/repo:Q4_K_M` | the same |
//! | `hf://models/…`, `huggingface://…`, `hf.co/org/repo`, `https://huggingface.co/org/repo/blob/main/x.gguf` | the `hf:` form |
//! | `SCHEME:org/repo…`, of another fetcher | the same |
//! | any other text | the same |
//!
//! The parser reads the text alone. It looks nothing up on a disk or a network.

mod companion;
mod grammar;
mod hub;
mod local;
mod model_ref;
mod page;
mod parse;
mod repo;
mod rules;
mod scheme;
mod shard;
#[cfg(test)]
mod tests;
mod view_path;

pub use companion::{Companion, is_companion};
pub use local::LocalRef;
pub use model_ref::{ModelRef, OtherRef};
pub use parse::{did_you_mean, may_be_path};
pub use repo::{RepoRef, RepoTarget, Selection};
pub use rules::is_commit;
pub use shard::{ShardName, set_of};
