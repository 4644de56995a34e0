//! Makes a manifest from a record.

use crate::{
    error::Result,
    manifest::{Locator, Manifest, ManifestFile},
    record::{CatalogRecord, RecordedFile},
    reference::ModelRef,
};

impl Manifest {
    /// Makes the manifest of a recorded model, pinned to the recorded revision. `locate` returns where each file is: in
    /// place in its view, or [in the store](Locator::Stored).
    ///
    /// # Errors
    /// [`Error::Inconsistent`](crate::Error::Inconsistent) for a record that contradicts itself.
    pub fn of_record(
        reference: ModelRef,
        record: &CatalogRecord,
        locate: impl Fn(&RecordedFile) -> Locator,
    ) -> Result<Self> {
        let files = record.files.iter().map(|file| ManifestFile {
            path: file.path.clone(),
            size: file.stamp.size,
            digest: None,
            locator: locate(file),
        });
        let manifest = Self::new(reference, files.collect(), record.loaded())?.chosen_as(record);
        Ok(match &record.revision {
            Some(revision) => manifest.at_revision(revision),
            None => manifest,
        })
    }

    /// Sets what a record keeps of the choice of the files, and what the source said of the model where this manifest lacks it.
    #[must_use]
    pub fn chosen_as(self, record: &CatalogRecord) -> Self {
        let roles = record.files.iter().filter_map(|file| Some((file.path.clone(), file.role?)));
        let source = match (self.source().cloned(), record.source.clone()) {
            (Some(told), Some(recorded)) => Some(told.or(recorded)),
            (told, recorded) => told.or(recorded),
        };
        self.with_source(source).with_projector(record.projector.clone()).with_choice(
            roles,
            record.left_out.clone(),
            record.notices.clone(),
        )
    }
}
