//! What a caller receives.

use std::{
    any::Any,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    digest::Digest,
    facts::ModelFacts,
    format::Format,
    path::RelativePath,
    record::{CatalogRecord, Lifecycle, RecordedFile},
    verification::Verification,
};

/// A model that may be used: it comes from the catalog, and so from a judgement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResolvedModel {
    /// The canonical reference.
    pub id: String,
    /// What an engine is given: a file, or a folder.
    pub local_path: PathBuf,
    /// The revision that the source pinned.
    pub revision: Option<String>,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The model's digest, where it is known.
    pub digest: Option<Digest>,
    /// What its weights are written in.
    pub format: Format,
    /// What is known of it without loading it; nothing where nobody has looked.
    pub facts: ModelFacts,
    /// What was found when it was last judged.
    pub verification: Verification,
    /// Whether it may be used.
    pub lifecycle: Lifecycle,
    /// Whether nothing was fetched for this call.
    pub cached: bool,
    /// The files, in the order of their paths.
    pub files: Vec<RecordedFile>,
    /// The multimodal projector.
    pub mmproj: Option<PathBuf>,
    /// What keeps the files from being taken away, where somebody [holds](Self::holding) them.
    pub lease: Option<Hold>,
    /// The folder below which the files lie.
    root: PathBuf,
}

/// Something that lasts until its last clone is dropped: a store's lease on a model.
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
    /// The model of a record.
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
            lifecycle: record.lifecycle,
            cached,
            files: record.files,
            mmproj,
            lease: None,
        }
    }

    /// The model, with a lease that lasts for as long as this or a clone of it lives.
    #[must_use]
    pub fn holding(self, lease: impl Any + Send + Sync) -> Self {
        Self { lease: Some(Hold(Arc::new(lease))), ..self }
    }

    /// The folder below which the files lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where one of the files lies.
    pub fn location(&self, path: &RelativePath) -> PathBuf {
        self.root.join(path)
    }
}
