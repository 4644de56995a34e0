//! Fetches files and folders of this machine: `local:`, `file:` and plain paths.
//!
//! [`FileFetcher`] lists one file, the shards of a set, or the files of a folder. Its manifests say where each file lies, so
//! the caller uses the model in place and copies nothing. [`parse`] and [`tidy`] ask the disk for what the text
//! of a reference does not tell. [`superfluous_pickles`] tells which pickles of a folder nothing loads.

mod api;
mod error;
mod fetcher;
mod pickles;
mod select;
mod tidy;

pub use api::{all_names as all_folder_names, names as folder_names};
pub use fetcher::FileFetcher;
pub use pickles::superfluous_pickles;
pub use select::is_projector;
pub use tidy::{parse, tidy};
