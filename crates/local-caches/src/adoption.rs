//! Says where to look for files of other tools.

use std::path::PathBuf;

use provisioner_core::AdoptMode;

/// Says where to look for files that need not be fetched, and how the store takes them in. The default looks nowhere.
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
    /// How the store takes the files in.
    pub mode: AdoptMode,
    /// The caches of the Hugging Face Hub's own tools: folders of `models--…`. The store takes bytes from them, whichever source
    /// lists the model; a fetcher that reads the listings there, as `HubSettings::caches` says, works without any adoption.
    pub huggingface: Vec<PathBuf>,
    /// The folders of Ollama's models, with `blobs` in them.
    pub ollama: Vec<PathBuf>,
    /// The folders of Docker Model Runner's models, with `blobs/sha256` in them.
    pub docker: Vec<PathBuf>,
    /// The folders of RamaLama's models, with a `store` in them.
    pub ramalama: Vec<PathBuf>,
    /// The folders of plain files.
    pub folders: Vec<PathBuf>,
}
