//! A model as a folder, for a machine without network.

use std::{path::Path, sync::Arc};

use artifact_store::Lease;
use provisioner_core::{CatalogRecord, Lifecycle, ModelRef};

use crate::{
    Error, ModelProvisioner, Result,
    lease::REMOVAL,
    measure::ReadProgress,
    provenance::Action,
    provisioner::{CancelOnDrop, MAX_CONFLICTS, blocking},
};

impl ModelProvisioner {
    /// Copies a recorded model's files into a folder, which must be absent or empty, with a `SHA256SUMS` and the record;
    /// and returns the record as it is written there. The bytes are hashed on the way, and no process removes the model
    /// before they are copied.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], [`Error::Retired`]; [`Error::Bundle`] where bytes are not those that are recorded, or there is
    /// something at the folder's name. Then nothing else is there; but after [`bundle::Error::NotDurable`] the whole
    /// folder is.
    pub async fn export(&self, reference: &ModelRef, dir: &Path) -> Result<CatalogRecord> {
        let id = self.canonical(reference).await?.id();
        let (record, lease) = self.leased_record(&id).await?;
        let dir = std::path::absolute(dir)
            .map_err(|error| Error::storage("the working directory cannot be found", error))?;
        let given_up = CancelOnDrop::default();
        let is_given_up = given_up.watch();
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let _lease = lease;
            let sizes: Vec<_> = record.files.iter().map(|file| file.stamp.size).collect();
            let reading = ReadProgress::start(&parts.progress, &record.id, &sizes);
            let mut watch = |bytes| {
                reading.add(bytes);
                !is_given_up()
            };
            let exported = bundle::write(&record, &dir, &mut watch)?;
            let exported = CatalogRecord { local_path: dir, ..exported };
            parts.record_line(Action::Export, &exported);
            Ok(exported)
        })
        .await
    }

    /// The record of an active model, and a lease on the files that it names.
    async fn leased_record(&self, id: &str) -> Result<(CatalogRecord, Lease)> {
        for _ in 0..MAX_CONFLICTS {
            let found = self.record(id).await?;
            if found.record.lifecycle == Lifecycle::Retired {
                return Err(Error::Retired { id: id.to_owned() });
            }
            let (parts, record) = (Arc::clone(&self.parts), found.record.clone());
            let lease = blocking(move || Ok(parts.store.lease(record.root(), &record.id, REMOVAL)?)).await?;
            // A removal that began before the lease has ended by now.
            if self.is_recorded_as(&found).await? {
                return Ok((found.record, lease));
            }
        }
        Err(Error::Contended { id: id.to_owned() })
    }
}
