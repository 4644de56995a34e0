//! Describes what an import found at a path.

use std::path::{Path, PathBuf};

use provisioner_core::{Basis, Digest, Hint, Manifest};

use crate::error::Error;

/// Holds the files at a path as a model, the place of each, and what the path says of their digest.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) locations: Vec<PathBuf>,
    /// The digest that an exported folder names, and on which basis; `None` for plain files.
    pub(super) told: Option<(Option<Digest>, Basis)>,
}

/// Returns the error for a path without an id, with the command that gives it one.
pub(super) fn needs_id(path: &Path, what: String) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |text: &str| -> String {
        let kept = text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
        kept.collect::<String>().trim_matches(['.', '-']).to_owned()
    };
    let stem = plain(name.split('.').next().unwrap_or_default());
    let stem = if stem.is_empty() { "model".to_owned() } else { stem };
    let id = if path.is_dir() { format!("hf:local/{stem}") } else { format!("hf:local/{stem}/{name}") };
    Error::NeedsId { what, hint: Hint::ImportUnderId { path: path.to_string_lossy().into_owned(), id } }
}
