//! What looks at every recorded model holds no more than a page of records.

use std::{path::PathBuf, sync::Arc};

use model_provisioner::{
    CatalogError, CatalogRecord, CatalogStore, DamagedRecord, EvictionLimits, FsCatalog, Listing,
    ModelProvisioner, PageStart, Precondition, RecordPage, SystemClock, Version, Versioned, blocking,
};
use testkit::gguf_of;

use crate::fixture::{Fixture, reference};

/// A catalog of which no caller may ask for everything at once. Each page has one record, the last id first.
#[derive(Debug)]
struct OnePerPage(FsCatalog);

#[async_trait::async_trait]
impl CatalogStore for OnePerPage {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        self.0.get(id).await
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        self.0.put(record, expected).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        panic!("a caller asks for the whole catalog");
    }

    async fn page(&self, start: Option<&PageStart>) -> Result<RecordPage, CatalogError> {
        let Listing { mut records, mut damaged } = self.0.list().await?;
        records.retain(|found| start.is_none_or(|start| found.record.id < start.0));
        let last = records.pop();
        let next = last.as_ref().filter(|_| !records.is_empty());
        let next = next.map(|found| PageStart(found.record.id.clone()));
        if start.is_some() {
            damaged.clear();
        }
        Ok(RecordPage { records: last.into_iter().collect(), damaged, next })
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        self.0.set_aside(damaged).await
    }

    fn exists(&self) -> bool {
        self.0.exists()
    }
}

/// Makes a cache with some models, and returns a provisioner whose catalog has one record a page.
async fn with_models(bench: &Fixture, names: &[&str]) -> ModelProvisioner {
    for (number, name) in names.iter().enumerate() {
        let model = bench.old_file(name, &gguf_of(256, number));
        bench.provisioner().ensure_present(&reference(&model), None).await.unwrap();
    }
    let files = FsCatalog::open(&bench.cache(), Arc::new(SystemClock), FsCatalog::DEFAULT_WAIT).unwrap();
    ModelProvisioner::builder(bench.cache()).catalog(OnePerPage(files)).build().unwrap()
}

async fn ids(provisioner: &ModelProvisioner) -> Vec<String> {
    let (mut pages, mut ids) = (provisioner.pages().await.unwrap(), Vec::new());
    while let Some(models) = pages.next_page().await.unwrap() {
        assert!(models.iter().all(|model| model.last_used_at.is_some()));
        ids.extend(models.into_iter().map(|model| model.record.id));
    }
    ids
}

#[tokio::test]
async fn a_listing_in_pages_has_what_a_listing_has() {
    let bench = Fixture::new();
    let paged = with_models(&bench, &["c.gguf", "a.gguf", "b.gguf"]).await;
    let listed = bench.provisioner().list().await.unwrap().models;
    let expected: Vec<_> = listed.into_iter().map(|model| model.record.id).collect();
    assert_eq!(ids(&paged).await, expected, "in the order of the ids");
    assert_eq!(ids(&bench.provisioner()).await, expected, "a catalog of one page too");
    let listing = blocking::ModelProvisioner::from(paged).pages().unwrap();
    let blocking: Vec<_> = listing.flat_map(Result::unwrap).map(|model| model.record.id).collect();
    assert_eq!(blocking, expected);
}

#[tokio::test]
async fn a_model_that_goes_after_the_listing_began_is_left_out() {
    let bench = Fixture::new();
    let paged = with_models(&bench, &["a.gguf", "b.gguf"]).await;
    let mut listing = paged.pages().await.unwrap();
    assert_eq!(listing.count(), 2);
    paged.remove(&reference(&bench.path("a.gguf"))).await.unwrap();
    let left = listing.next_page().await.unwrap().unwrap();
    assert!(left.len() == 1 && left[0].record.id.ends_with("b.gguf"));
    assert!(listing.next_page().await.unwrap().is_none());
}

#[tokio::test]
async fn what_looks_at_every_model_reads_a_page_of_records_at_a_time() {
    let bench = Fixture::new();
    let paged = with_models(&bench, &["c.gguf", "a.gguf", "b.gguf"]).await;
    let whole = bench.provisioner();
    paged.retire(&reference(&bench.path("c.gguf"))).await.unwrap();
    fs_err::remove_file(bench.path("b.gguf")).unwrap();

    let limits = EvictionLimits { max_size_bytes: Some(0), ..EvictionLimits::default() };
    let (plan, expected) =
        (paged.plan_eviction(&limits).await.unwrap(), whole.plan_eviction(&limits).await.unwrap());
    assert_eq!((plan.kept.len(), &plan.kept), (3, &expected.kept));
    assert_eq!(paged.evict(&plan).await.unwrap().kept, expected.kept);

    let overview = paged.overview().await.unwrap();
    assert_eq!((overview.active, overview.retired, overview.in_place), (2, 1, 3));
    let expected = whole.overview().await.unwrap();
    assert_eq!((overview.used_bytes, overview.leftovers), (expected.used_bytes, expected.leftovers));

    for fix in [false, true] {
        let findings = paged.doctor(fix).await.unwrap();
        assert!(findings.len() == 1 && findings[0].problem.contains("b.gguf"), "{findings:?}");
        assert_eq!(findings, whole.doctor(fix).await.unwrap());
    }
}
