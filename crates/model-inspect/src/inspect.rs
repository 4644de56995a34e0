//! Inspects a whole model: which of its files are weights, whether they fit together, and what they tell.

use std::path::Path;

use provisioner_core::Format;

use crate::{
    error::{Error, Result},
    files::{LocalFiles, ModelSource},
    gguf,
    inspection::Inspection,
    pointer::{self, find_pointers},
    safetensors,
};

/// Inspects a file (with the other shards of its set) or a folder.
///
/// ```
/// use testkit::FakeModel;
///
/// let dir = std::env::temp_dir().join("model-inspect-doc");
/// let file = FakeModel::gguf().write_to(&dir, "tiny")?.remove(0);
/// let inspection = model_inspect::inspect(&file)?;
/// assert_eq!(inspection.details.facts.ctx_max, Some(256));
/// assert_eq!(inspection.details.facts.quantization.as_deref(), Some("F16"));
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), [`Error::Incomplete`](crate::Error::Incomplete) and
/// [`Error::Unsound`](crate::Error::Unsound) as [`inspect_model`] and [`LocalFiles::at`] say.
pub fn inspect(path: &Path) -> Result<Inspection> {
    inspect_model(&LocalFiles::at(path)?)
}

/// Inspects the files of a model. It reads the header of each file of weights and the configs beside them, checks each, and checks
/// that they fit together. It judges no other files.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) where it cannot read a file; [`Error::Unsupported`](crate::Error::Unsupported) and
/// [`Error::Unsound`](crate::Error::Unsound) where a file is not what its name or its beginning says, or contradicts another one;
/// [`Error::Incomplete`](crate::Error::Incomplete) where one is missing; [`Error::Pointer`](crate::Error::Pointer) where a file is
/// the pointer of Git LFS to one that engines read.
pub fn inspect_model(model: &dyn ModelSource) -> Result<Inspection> {
    let size_bytes = model.files().iter().fold(0, |sum, file| file.size_bytes.saturating_add(sum));
    let pointers = if model.is_on_this_machine() {
        pointer::check(model)?
    } else if let Some(first) = find_pointers(model)?.first() {
        return Err(Error::Pointer { file: Some(first.to_string()) });
    } else {
        Vec::new()
    };
    let ggufs = gguf::inspect_models(model)?;
    // This checks files of safetensors beside those of GGUF too.
    let repository = safetensors::inspect_repository(model)?;
    // Companions in GGUF beside a model in safetensors are not the model.
    let (first, second) = match &ggufs {
        Some(found) if found.companion.is_some() && model.entry().is_none() => (repository, ggufs),
        _ => (ggufs, repository),
    };
    let mut found = first.or(second).unwrap_or_else(|| {
        Inspection::unknown(Format::Other, "it has no file of weights that is known here")
    });
    found.details.size_bytes = size_bytes;
    found.warnings.extend(pointers);
    Ok(found)
}
