//! Chooses the files of a repository that make a model.
//!
//! A source lists a repository: names and sizes. [`manifests_to_read`] returns the few small files among them that say what
//! the repository is, such as `modules.json` or an index. The fetcher reads these, from the same revision, and asks again: a
//! manifest may name more of them. Then [`select`]
//! returns the [`Choice`]: each file that belongs to the model, with its role; each file that does not, with the reason; and
//! what a person should know of it. Where the repository has several models and no rule between them, the error lists them.
//!
//! The choice is pure: it opens nothing, asks no clock, and returns the same for the same question. It leaves out what is
//! known to be superfluous, and keeps a small file that no rule knows. Everything from the listing and from the manifests is a
//! stranger's: a name that no file of this machine can have is noted and never chosen, and a manifest that is malformed
//! counts as one that was not read.
//!
//! ```
//! use model_selection::{Listing, Manifests, manifests_to_read, select};
//! use provisioner_core::{ModelRef, Role};
//!
//! let ModelRef::Repo(repo) = "hf:org/repo".parse()? else { unreachable!() };
//! let listing: Listing = [("config.json", 600), ("model.safetensors", 9_000), ("notes.pdf", 70_000)].into_iter().collect();
//! let mut manifests = Manifests::default();
//! let to_read = manifests_to_read(&listing, repo.target(), &manifests);
//! assert_eq!(to_read[0].as_str(), "config.json");
//!
//! manifests.insert(to_read[0].clone(), br#"{ "model_type": "bert" }"#.to_vec());
//! assert!(manifests_to_read(&listing, repo.target(), &manifests).is_empty());
//! let choice = select(&repo, &listing, &manifests)?;
//! let weights = choice.files.iter().filter(|file| file.role == Role::Weights);
//! assert_eq!(weights.map(|file| file.path.as_str()).collect::<Vec<_>>(), ["model.safetensors"]);
//! assert_eq!(choice.left_out[0].path, "notes.pdf");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The question: what a source lists, and what was read of it.
mod listing;
mod manifests;
mod patterns;
mod to_read;

// What names say.
mod names;
mod quantization;
mod weights;

// The files of a folder, and what each layout takes of them.
mod code;
mod layouts;
mod notices;
mod question;
mod refusal;
mod scope;

// The answer.
mod answer;
mod choice;
mod named;
mod select;

pub use choice::{Choice, Chosen};
pub use listing::Listing;
pub use manifests::{MAX_MANIFEST_BYTES, MAX_MANIFESTS, MAX_MANIFESTS_BYTES, Manifests};
pub use patterns::check;
pub use select::select;
pub use to_read::manifests_to_read;
