//! Keeps each record in a JSON file of its own.
//!
//! # On disk
//! ```text
//! <cache>/
//!   catalog-v1/
//!     ab/
//!       cdef….json     the record whose id has the SHA-256 abcdef…
//!       .lock          held while a record of this folder is changed; never removed
//! ```
//!
//! # Model
//! A file is `{"schema_version": 1, "version": n, …the record}`. The version grows with each put, and starts from
//! the time in microseconds, so that a record which was removed and made again never has a version that a
//! caller still remembers.
//!
//! # Locking
//! A read takes no lock, for a change replaces a file as a whole. A change takes the folder's lock, reads, compares the version,
//! and replaces. On a file system whose locks lie, two changes at once can lose one of them; each record stays whole.
//!
//! # Crash safety
//! See `durable_fs::replace`: new file, sync, rename, sync of the folder. No read takes a `.….tmp`
//! that a dying process left.
//!
//! # Compatibility
//! Fields that this release does not know survive a rewrite. For a greater `schema_version`, a read returns an error that names
//! both versions. The `index.json` of catalog-core 0.1 is imported once; see the module `index`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use provisioner_core::{
    CatalogError, CatalogErrorKind, CatalogRecord, CatalogStore, Clock, DamagedRecord, ErrorCode, Listing,
    PageStart, Precondition, RecordPage, Version, Versioned, key_of,
};

use crate::{
    files, index,
    page::{Page, unreadable},
    record_file::{self, damaged, failed},
};

/// Keeps each record in a file of its own.
#[derive(Clone, Debug)]
pub struct FsCatalog {
    root: PathBuf,
    wait: Duration,
    clock: Arc<dyn Clock>,
}

impl FsCatalog {
    /// How long a change waits for the folder's lock, unless the caller says otherwise. A process holds it for milliseconds.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);

    /// Opens the catalog in a cache folder. It creates nothing before the first put. A change waits as long as `wait` while
    /// another process changes the catalog.
    ///
    /// It imports an `index.json` of catalog-core 0.1 in that folder. It warns of one that cannot be read, or that lies on a
    /// read-only file system, and leaves it alone. The call may block.
    ///
    /// # Errors
    /// The error that keeps an old index from being imported for now.
    pub fn open(cache: &Path, clock: Arc<dyn Clock>, wait: Duration) -> Result<Self, CatalogError> {
        let catalog = Self { root: Self::folder_in(cache), wait, clock };
        let put = |record: &CatalogRecord| catalog.put_blocking(record, Precondition::Absent).map(drop);
        match index::import(cache, catalog.clock.as_ref(), put) {
            Err(error) if matches!(error.code(), ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                tracing::warn!("the old catalog in `{}` cannot be imported here", cache.display());
            }
            imported => imported?,
        }
        Ok(catalog)
    }

    /// Returns the folder of the catalog in a cache folder.
    pub fn folder_in(cache: &Path) -> PathBuf {
        cache.join("catalog-v1")
    }

    /// Returns the path of the record of an id.
    fn path_of(&self, id: &str) -> PathBuf {
        let key = key_of(id);
        let (folder, name) = key.split_at(2);
        self.root.join(folder).join(format!("{name}.json"))
    }

    fn get_blocking(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        let path = self.path_of(id);
        let Some(found) = record_file::read(&path)? else { return Ok(None) };
        if found.record.id == id {
            return Ok(Some(found));
        }
        Err(damaged(&path, &format!("it is the record of `{}`", found.record.id)))
    }

    fn put_blocking(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        let path = self.path_of(&record.id);
        let _lock = self.lock(&path)?;
        // All of the record is read, and not its version alone: `doctor --fix` sets a damaged one aside, and no put replaces it.
        let found = self.get_blocking(&record.id)?.map(|found| found.version);
        check(&record.id, found, expected)?;
        let now = u64::try_from(self.clock.now().as_microsecond()).unwrap_or_default();
        let next = found.map_or(Some(0), |version| version.0.checked_add(1));
        let version = Version(next.ok_or_else(|| damaged(&path, "its version is the last one"))?.max(now));
        record_file::write(&path, record, version)?;
        Ok(version)
    }

    fn remove_blocking(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        let path = self.path_of(id);
        let _lock = self.lock(&path)?;
        let found = self.get_blocking(id)?.map(|found| found.version);
        check(id, found, Precondition::Version(expected))?;
        durable_fs::remove(&path).map_err(failed)
    }

    fn page_blocking(&self, start: Option<&PageStart>) -> Result<RecordPage, CatalogError> {
        let mut page = Page::new(start);
        for folder in entries(&self.root)? {
            if !page.reaches(&folder) {
                continue;
            }
            match entries(&folder) {
                Ok(paths) => {
                    if !paths.iter().all(|path| page.add(path, |id| self.path_of(id))) {
                        break;
                    }
                }
                Err(error) => page.add_unreadable(&folder, error),
            }
        }
        Ok(page.finish())
    }

    fn list_blocking(&self) -> Result<Listing, CatalogError> {
        let (mut listing, mut start) = (Listing::default(), None);
        loop {
            let page = self.page_blocking(start.as_ref())?;
            listing.records.extend(page.records);
            listing.damaged.extend(page.damaged);
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        listing.records.sort_unstable_by(|a, b| a.record.id.cmp(&b.record.id));
        listing.damaged.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(listing)
    }

    fn several_blocking(&self, ids: &[String]) -> Listing {
        let mut found = Listing::default();
        for id in ids {
            match self.get_blocking(id) {
                Ok(record) => found.records.extend(record),
                Err(error) => found.damaged.push(unreadable(&self.path_of(id), error)),
            }
        }
        found
    }

    fn set_aside_blocking(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        let path = &damaged.location;
        let is_ours = path.parent().and_then(Path::parent) == Some(&self.root);
        if !is_ours {
            let message = format!("`{}` is not a record of this catalog", path.display());
            return Err(CatalogError::new(CatalogErrorKind::Unsafe, message));
        }
        let _lock = self.lock(path)?;
        if let Ok(Some(found)) = record_file::read(path)
            && self.path_of(&found.record.id) == *path
        {
            let message = format!("`{}` is whole by now", path.display());
            return Err(CatalogError::new(CatalogErrorKind::Conflict, message));
        }
        let aside = path.with_extension(format!("json.damaged.{}", self.clock.now().as_microsecond()));
        durable_fs::rename(path, &aside).map_err(failed)?;
        Ok(aside)
    }

    fn lock(&self, record: &Path) -> Result<durable_fs::Lock, CatalogError> {
        let folder = record.parent().unwrap_or(&self.root);
        durable_fs::create_folders(folder).map_err(failed)?;
        durable_fs::lock(&folder.join(".lock"), self.wait).map_err(failed)
    }

    /// Runs file work on a thread that may block. The work goes on to its end when the caller is dropped, so that no lock is
    /// released before the last write.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let catalog = self.clone();
        tokio::task::spawn_blocking(move || work(&catalog)).await.map_err(std::io::Error::from)?
    }
}

#[async_trait]
impl CatalogStore for FsCatalog {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        let id = id.to_owned();
        self.blocking(move |catalog| catalog.get_blocking(&id)).await
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        let record = record.clone();
        self.blocking(move |catalog| catalog.put_blocking(&record, expected)).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        let id = id.to_owned();
        self.blocking(move |catalog| catalog.remove_blocking(&id, expected)).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        self.blocking(Self::list_blocking).await
    }

    async fn page(&self, start: Option<&PageStart>) -> Result<RecordPage, CatalogError> {
        let start = start.cloned();
        self.blocking(move |catalog| catalog.page_blocking(start.as_ref())).await
    }

    async fn get_several(&self, ids: &[String]) -> Result<Listing, CatalogError> {
        let ids = ids.to_vec();
        self.blocking(move |catalog| Ok(catalog.several_blocking(&ids))).await
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        let damaged = damaged.clone();
        self.blocking(move |catalog| catalog.set_aside_blocking(&damaged)).await
    }

    fn exists(&self) -> bool {
        self.root.exists()
    }

    async fn local_files(&self) -> Result<Vec<PathBuf>, CatalogError> {
        self.blocking(|catalog| Ok(files::below(&catalog.root))).await
    }

    async fn leftovers(&self) -> Result<Vec<PathBuf>, CatalogError> {
        self.blocking(|catalog| Ok(files::temporary(&catalog.root))).await
    }
}

/// Lists the paths in a folder, without hidden ones. The list is empty where the folder does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let mut paths = durable_fs::entries(folder).map_err(failed)?;
    let is_hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    paths.retain(|path| !is_hidden(path));
    Ok(paths)
}

fn check(id: &str, found: Option<Version>, expected: Precondition) -> Result<(), CatalogError> {
    let same = match expected {
        Precondition::Absent => found.is_none(),
        Precondition::Version(version) => found == Some(version),
    };
    if same {
        return Ok(());
    }
    let message = format!("another process changed the record of `{id}`");
    Err(CatalogError::new(CatalogErrorKind::Conflict, message))
}
