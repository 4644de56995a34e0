//! Finds files that other tools keep on this machine, so that the provisioner need not fetch them.
//!
//! ```text
//! <huggingface>/models--<org>--<repo>/blobs/<etag>    the SHA-256 of large files, git's id of small ones; or a link to
//! <huggingface>/blobs/<2 hex>/<xet hash>              what came through Xet, once for all repositories
//! <huggingface>/models--<org>--<repo>/snapshots/<commit>/PATH    the file itself, where there are no symlinks
//! <ollama>/blobs/sha256-<hex>
//! <docker>/blobs/sha256/<hex>                         Docker Model Runner
//! <ramalama>/store/<kind>/<org>/<name>/blobs/sha256-<hex>
//! <folder>/…                                          plain files, found by their size, then by their name
//! ```
//!
//! # Model
//! The caller names the folders in [`Adoption`]. [`LocalFiles::find`] looks at them once, and
//! [`candidates`](LocalFiles::candidates) names the files that may have a digest. A name is a claim: this crate reads no
//! file, and the caller hashes what it takes.
//!
//! # What it leaves out
//! It follows a symlink among blobs where that stays inside its cache, and leaves it out where it leads out. It also leaves
//! out a file whose name says that another tool has not finished it.
//!
//! # A new tool
//! A tool that names its files by their digests gets a file here with one function, `blob_folders`, and a field in
//! [`Adoption`].

mod adoption;
mod blob_folder;
mod docker;
mod folders;
mod huggingface;
mod local_files;
mod ollama;
mod ramalama;
mod symlink;

pub use adoption::Adoption;
pub use huggingface::hub_folder;
pub use local_files::{Candidate, CandidateReason, LocalFiles};
pub use symlink::resolve as resolve_inside;
