//! Keeping a model from being taken away while it is in use.

use std::{sync::Arc, time::Duration};

use artifact_store::{Lease, LeaseHolder};
use provisioner_core::{Expectation, ModelRef, RecordedFile, ResolvedModel};

use crate::{
    Error, ModelProvisioner, Result,
    presence::change,
    provisioner::{MAX_CONFLICTS, blocking},
};

/// How long a model that is being taken away is waited for. That takes no longer than unlinking its files.
pub(crate) const REMOVAL: Duration = Duration::from_secs(10);

impl ModelProvisioner {
    /// Makes a model present and takes a lease on it, so that it stays for as long as the lease lives. See
    /// [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure) and [`lease`](Self::lease).
    pub async fn ensure_leased(
        &self,
        reference: &ModelRef,
        expectation: &Expectation,
    ) -> Result<(ResolvedModel, Lease)> {
        for _ in 0..MAX_CONFLICTS {
            let model = self.ensure(reference, expectation).await?;
            match self.lease(&model).await {
                // It was taken away in between.
                Err(Error::NotInCatalog { .. }) => {}
                leased => return leased.map(|lease| (model, lease)),
            }
        }
        Err(Error::Contended { id: reference.id() })
    }

    /// Takes a lease on a model: until it is dropped, and until every process that it was handed to has ended, the model's
    /// files are neither evicted nor removed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("tiny.gguf");
    /// # std::fs::write(&path, testkit::TINY_GGUF).unwrap();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// use model_provisioner::ModelProvisioner;
    /// use std::process::Command;
    ///
    /// let provisioner = ModelProvisioner::file_only(dir.path().join("cache"))?;
    /// let model = provisioner.ensure_present_str(path.to_str().unwrap(), None).await?;
    /// let mut lease = provisioner.lease(&model).await?;
    /// let mut command = Command::new("cat");
    /// command.arg(&model.local_path);
    /// let mut engine = lease.spawn(command).unwrap();
    /// let model = model.holding(lease); // and as long as `model` lives
    /// engine.wait().unwrap();
    /// # drop(model);
    /// # Ok::<(), model_provisioner::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::NotInCatalog`] when the model was taken away meanwhile; `busy` when it is being taken away and that does
    /// not come to an end.
    pub async fn lease(&self, model: &ResolvedModel) -> Result<Lease> {
        let (parts, model) = (Arc::clone(&self.parts), model.clone());
        blocking(move || {
            let lease = parts.store.lease(model.root(), &model.id, REMOVAL)?;
            // A removal that began before has ended by now, and left no file.
            let is_there = |file: &RecordedFile| change(file, &model.location(&file.path)).is_none();
            if model.files.iter().all(is_there) {
                Ok(lease)
            } else {
                Err(Error::NotInCatalog { id: model.id })
            }
        })
        .await
    }

    /// Who has a lease on a recorded model.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what is wrong with the catalog or the disk.
    pub async fn holders(&self, reference: &ModelRef) -> Result<Vec<LeaseHolder>> {
        let record = self.show(reference).await?.record;
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(parts.store.holders(record.root(), &record.id)?)).await
    }
}
