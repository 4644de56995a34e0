//! A [`CatalogStore`] decorator that rewrites each record's path to where the cache is mounted now.
//!
//! A record names the place of its files, and an operator may move a cache, mount it elsewhere, or reach it through a symlink.
//! Two names of one cache mean the same models, and the same leases.

use std::{path::PathBuf, sync::Arc};

use artifact_store::Store;
use async_trait::async_trait;
use provisioner_core::{
    CatalogError, CatalogRecord, CatalogStore, DamagedRecord, Listing, PageStart, Precondition, RecordPage,
    Version, Versioned,
};

/// Wraps a catalog whose fetched models lie in one store.
#[derive(Debug)]
pub(crate) struct RelocatedCatalog {
    catalog: Arc<dyn CatalogStore>,
    store: Store,
}

impl RelocatedCatalog {
    pub(crate) fn new(catalog: Arc<dyn CatalogStore>, store: Store) -> Self {
        Self { catalog, store }
    }

    fn here(&self, found: Versioned) -> Versioned {
        Versioned { record: self.store.relocated(found.record), ..found }
    }
}

#[async_trait]
impl CatalogStore for RelocatedCatalog {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        Ok(self.catalog.get(id).await?.map(|found| self.here(found)))
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        self.catalog.put(record, expected).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        self.catalog.remove(id, expected).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        let mut listing = self.catalog.list().await?;
        listing.records = listing.records.into_iter().map(|found| self.here(found)).collect();
        Ok(listing)
    }

    async fn page(&self, start: Option<&PageStart>) -> Result<RecordPage, CatalogError> {
        let mut page = self.catalog.page(start).await?;
        page.records = page.records.into_iter().map(|found| self.here(found)).collect();
        Ok(page)
    }

    async fn get_several(&self, ids: &[String]) -> Result<Listing, CatalogError> {
        let mut listing = self.catalog.get_several(ids).await?;
        listing.records = listing.records.into_iter().map(|found| self.here(found)).collect();
        Ok(listing)
    }

    fn exists(&self) -> bool {
        self.catalog.exists()
    }

    async fn local_files(&self) -> Result<Vec<PathBuf>, CatalogError> {
        self.catalog.local_files().await
    }

    async fn leftovers(&self) -> Result<Vec<PathBuf>, CatalogError> {
        self.catalog.leftovers().await
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        self.catalog.set_aside(damaged).await
    }
}
