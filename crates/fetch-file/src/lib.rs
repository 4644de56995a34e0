//! The fetcher for files and folders that are already on this machine: `local:`, `file:` and plain paths.
//!
//! Nothing is copied: a manifest of this fetcher says where each file lies, and the model is used in place.
//! [`tidy`] makes a path canonical as far as the disk allows; [`FileFetcher`] lists one file, the shards of a
//! set, or the files of a folder.

mod error;
mod fetcher;
mod folder;
mod tidy;

pub use fetcher::FileFetcher;
pub use folder::names as folder_names;
pub use tidy::tidy;
