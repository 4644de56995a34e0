//! Where to look.

use std::path::PathBuf;

use provisioner_core::AdoptMode;

/// Says where to look for files that need not be fetched, and how to take them in. The default looks nowhere.
///
/// ```
/// use local_caches::Adoption;
/// use provisioner_core::AdoptMode;
///
/// let adoption = Adoption {
///     mode: AdoptMode::Link,
///     ollama: vec!["/home/me/.ollama/models".into()],
///     ..Adoption::default()
/// };
/// assert!(adoption.huggingface.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// How the files are taken in.
    pub mode: AdoptMode,
    /// Caches of the Hugging Face Hub's own tools: folders of `models--…`.
    pub huggingface: Vec<PathBuf>,
    /// Ollama's models: folders with `blobs` in them.
    pub ollama: Vec<PathBuf>,
    /// Docker Model Runner's models: folders with `blobs/sha256` in them.
    pub docker: Vec<PathBuf>,
    /// RamaLama's models: folders with a `store` in them.
    pub ramalama: Vec<PathBuf>,
    /// Folders of plain files.
    pub folders: Vec<PathBuf>,
}
