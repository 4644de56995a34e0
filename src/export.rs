//! A model as a folder, for a machine without network.

use std::{path::Path, sync::Arc};

use provisioner_core::{CatalogRecord, Lifecycle, ModelRef};

use crate::{
    Error, ModelProvisioner, Result,
    measure::Reading,
    provenance::Action,
    provisioner::{GivenUp, blocking},
};

impl ModelProvisioner {
    /// Copies a recorded model's files into a folder, which must be absent or empty, with a `SHA256SUMS` and the record;
    /// and returns the record as it is written there. The bytes are hashed on the way.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], [`Error::Retired`]; [`Error::Store`] where bytes are not those that are recorded, or there is
    /// something at the folder's name. Then nothing else is there.
    pub async fn export(&self, reference: &ModelRef, dir: &Path) -> Result<CatalogRecord> {
        let record = self.show(reference).await?.record;
        if record.lifecycle == Lifecycle::Retired {
            return Err(Error::Retired { id: record.id });
        }
        let dir = std::path::absolute(dir)
            .map_err(|error| Error::storage("the working directory cannot be found", error))?;
        let given_up = GivenUp::default();
        let is_given_up = given_up.watch();
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let sizes: Vec<_> = record.files.iter().map(|file| file.stamp.size).collect();
            let reading = Reading::start(&parts.progress, &record.id, &sizes);
            let mut watch = |bytes| {
                reading.add(bytes);
                !is_given_up()
            };
            let exported = artifact_store::export(&record, &dir, &mut watch)?;
            let exported = CatalogRecord { local_path: dir, ..exported };
            parts.record_line(Action::Export, &exported);
            Ok(exported)
        })
        .await
    }
}
