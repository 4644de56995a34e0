//! Holds what a caller receives.

use std::{
    any::Any,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    choice::Notice,
    digest::Digest,
    facts::ModelFacts,
    format::Format,
    path::RelativePath,
    record::{CatalogRecord, Lifecycle, RecordedFile},
    signature::RecordedSignature,
    verification::Verification,
};

/// Holds a model that an engine may use: it comes from the catalog, and so from a judgement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResolvedModel {
    /// The id of the model: the canonical text of its reference.
    pub id: String,
    /// The absolute path that an engine loads: a file, or a folder.
    pub local_path: PathBuf,
    /// The revision that the source pinned, such as a commit.
    pub revision: Option<String>,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The digest of the model, where it is known.
    pub digest: Option<Digest>,
    /// The format of the weights.
    pub format: Format,
    /// Says what the model says of itself. It is empty where no verifier has looked.
    pub facts: ModelFacts,
    /// The result of the last judgement.
    pub verification: Verification,
    /// The signatures of trusted signers that hold for the bytes.
    pub signatures: Vec<RecordedSignature>,
    /// Says whether an engine may use the model.
    pub lifecycle: Lifecycle,
    /// Says whether this call fetched nothing.
    pub cached: bool,
    /// The files, in the order of their paths.
    pub files: Vec<RecordedFile>,
    /// Says what a person should know of the choice of the files.
    pub notices: Vec<Notice>,
    /// The absolute path of the multimodal projector.
    pub mmproj: Option<PathBuf>,
    /// The lease that keeps other processes from removing the files, where the caller [holds](Self::holding) one.
    pub lease: Option<Hold>,
    /// The folder below which the files lie.
    root: PathBuf,
}

/// Keeps something until its last clone is dropped, such as a store's lease on a model.
#[derive(Clone)]
pub struct Hold(Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl ResolvedModel {
    /// Makes the resolved model of a record. `cached` says that this call fetched nothing.
    pub fn new(record: CatalogRecord, cached: bool) -> Self {
        let mmproj = record.projector.as_ref().map(|path| record.location(path));
        Self {
            root: record.root().to_owned(),
            id: record.id,
            local_path: record.local_path,
            revision: record.revision,
            size_bytes: record.size_bytes,
            digest: record.digest,
            format: record.format,
            facts: record.facts.unwrap_or_default(),
            verification: record.verification,
            signatures: record.signatures,
            lifecycle: record.lifecycle,
            cached,
            files: Arc::unwrap_or_clone(record.files),
            notices: record.notices,
            mmproj,
            lease: None,
        }
    }

    /// Returns the model with a lease, which lasts for as long as this value or a clone of it lives.
    #[must_use]
    pub fn holding(self, lease: impl Any + Send + Sync) -> Self {
        Self { lease: Some(Hold(Arc::new(lease))), ..self }
    }

    /// Returns the folder below which the files lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the absolute path of one of the files.
    pub fn location(&self, path: &RelativePath) -> PathBuf {
        self.root.join(path)
    }
}
