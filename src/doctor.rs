//! What is wrong with a cache, and mending it.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use artifact_store::{Ailment, AilmentKind, LeftoverEntry, Plan, eviction::UNFINISHED_LIMIT};
use provisioner_core::{
    CatalogErrorKind, CatalogRecord, DamagedRecord, ErrorCode, Expected, Lifecycle, ModelRef, Outcome,
    RecordedFile, Timestamp,
};
use rustix::fs::{Access, access};

use crate::{
    EvictionLimits, ModelProvisioner, Result,
    presence::change,
    provisioner::{Parts, blocking},
};

/// Something that `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, and where.
    pub problem: String,
    /// What was done about it; `None` where nothing was.
    pub mended: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it does no harm, and goes by itself.
    pub is_harmless: bool,
}

/// How a cache is, at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overview {
    /// Whose the folder is, and its mode; `None` where there is none yet.
    pub owner_and_mode: Option<(u32, u32)>,
    /// Whether the caller may write there, or make the folder. Otherwise present models are served, and nothing else.
    pub is_writable: bool,
    /// What the fetched models take, in bytes, with what was left by unfinished work.
    pub used_bytes: u64,
    /// What the file system has free, in bytes.
    pub free_bytes: Option<u64>,
    /// How many records are active.
    pub active: usize,
    /// How many are retired.
    pub retired: usize,
    /// How many of all are of models that are used in place.
    pub in_place: usize,
    /// How many cannot be read.
    pub damaged: usize,
    /// Why locks are not to be trusted; `None` where they are.
    pub lock_doubt: Option<String>,
    /// The unfinished transfers, and what was found to be wrong.
    pub leftovers: Vec<LeftoverEntry>,
}

impl Finding {
    fn new(problem: String, hint: impl Into<String>) -> Self {
        Self { problem, mended: None, hint: Some(hint.into()), is_harmless: false }
    }

    /// The same, with what came of mending it.
    fn after(self, mended: std::result::Result<Option<String>, String>) -> Self {
        match mended {
            Ok(Some(how)) => Self { mended: Some(how), hint: None, ..self },
            Ok(None) => self,
            Err(error) => Self { hint: Some(format!("it cannot be mended: {error}")), ..self },
        }
    }
}

const FIX: &str = "`doctor --fix` mends it";

impl ModelProvisioner {
    /// How the cache is. It reads no model, and opens no socket.
    ///
    /// # Errors
    /// What is wrong with the catalog or the disk.
    pub async fn overview(&self) -> Result<Overview> {
        let listing = self.parts.catalog.list().await?;
        let damaged = listing.damaged.len();
        let records: Vec<_> = listing.records.into_iter().map(|found| found.record).collect();
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let root = parts.cache.root();
            let metadata = fs_err::metadata(root).ok();
            let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
            let retired = records.iter().filter(|record| record.lifecycle == Lifecycle::Retired).count();
            let lock_doubt = match parts.store.root().exists().then(|| parts.store.check_locks()) {
                Some(Err(artifact_store::Error::Doubtful { reason, .. })) => Some(reason),
                Some(Err(error)) => Some(format!("it cannot be tried: {error}")),
                None | Some(Ok(())) => None,
            };
            Ok(Overview {
                is_writable: access(existing, Access::WRITE_OK).is_ok(),
                owner_and_mode: metadata.map(|metadata| (metadata.uid(), metadata.mode() & 0o7777)),
                used_bytes: parts.store.stock(&records, &[])?.size_bytes(),
                free_bytes: artifact_store::free_bytes(existing).ok(),
                active: records.len() - retired,
                retired,
                in_place: records.iter().filter(|record| !parts.store.holds(record.root())).count(),
                damaged,
                lock_doubt,
                leftovers: parts.store.leftovers()?,
            })
        })
        .await
    }

    /// Looks for what is wrong with the cache, and mends it where `fix` says so: a damaged record is set aside, and
    /// its model can be made present anew; a whole model without a record gets one; lost links, seals and modes are
    /// restored; and what dying processes left is removed. Nothing of a live process is touched, and no file that is not
    /// ours.
    ///
    /// # Errors
    /// What keeps it from looking.
    pub async fn doctor(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let listing = self.parts.catalog.list().await?;
        for damaged in listing.damaged {
            findings.push(self.damaged(damaged, fix).await);
        }
        let records: Vec<_> = listing.records.into_iter().map(|found| found.record).collect();
        findings.extend(self.ailments(&records, fix).await?);
        findings.extend(self.left_over(fix).await?);
        // Some may have gone by now, and some have come.
        let records = if fix { self.records().await? } else { records };
        findings.extend(self.broken(records, fix).await?);
        let parts = Arc::clone(&self.parts);
        findings.extend(blocking(move || Ok(temporary_files(&parts, fix))).await?);
        Ok(findings)
    }

    /// Models whose files are gone, or were found to be wrong.
    async fn broken(&self, records: Vec<CatalogRecord>, fix: bool) -> Result<Vec<Finding>> {
        let parts = Arc::clone(&self.parts);
        let found = blocking(move || {
            let of_each =
                records.iter().filter_map(|record| Some((record.id.clone(), of_record(&parts, record)?)));
            Ok(of_each.collect::<Vec<_>>())
        })
        .await?;
        let mut findings = Vec::new();
        for (id, finding) in found {
            let mended = if fix { self.link_again(&id).await } else { Ok(None) };
            findings.push(finding.after(mended.map_err(|error| error.to_string())));
        }
        Ok(findings)
    }

    async fn link_again(&self, id: &str) -> Result<Option<String>> {
        match ModelRef::parse(id, None)? {
            ModelRef::Local(_) => Ok(None),
            fetched => Ok(self.restore(&fetched).await?.map(|_| "linked again".to_owned())),
        }
    }

    async fn damaged(&self, damaged: DamagedRecord, fix: bool) -> Finding {
        let code = if damaged.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
        let hint = code.hint().map(str::to_owned);
        let problem = damaged.reason.clone();
        let finding = Finding { problem, mended: None, hint, is_harmless: false };
        if damaged.is_newer || !fix {
            return finding;
        }
        let aside = self.parts.catalog.set_aside(&damaged).await;
        let told = aside.map(|aside| Some(format!("set aside as `{}`", aside.display())));
        finding.after(told.map_err(|error| error.to_string()))
    }

    /// What is wrong with what the store has.
    async fn ailments(&self, records: &[CatalogRecord], fix: bool) -> Result<Vec<Finding>> {
        let (parts, records) = (Arc::clone(&self.parts), records.to_vec());
        let found = blocking(move || {
            let stock = parts.store.stock(&records, &[])?;
            Ok(parts.store.ailments(&records, &stock)?)
        })
        .await?;
        let mut findings = Vec::new();
        for ailment in found {
            let hint = match &ailment.kind {
                AilmentKind::NobodysView if fix => "look at it, and remove it by hand",
                AilmentKind::SealLost(_) if fix => "`verify` it, and then `doctor --fix` seals it again",
                _ => FIX,
            };
            let finding = Finding::new(ailment.told(), hint);
            let mended = if fix { self.mend(ailment).await } else { Ok(None) };
            findings.push(finding.after(mended.map_err(|error| error.to_string())));
        }
        Ok(findings)
    }

    async fn mend(&self, ailment: Ailment) -> Result<Option<String>> {
        let AilmentKind::Unrecorded(record) = ailment.kind else {
            let parts = Arc::clone(&self.parts);
            return blocking(move || Ok(parts.store.mend(&ailment)?)).await;
        };
        match self.parts.catalog.put(&record, Expected::Absent).await {
            Err(error) if error.kind == CatalogErrorKind::Conflict => {}
            put => {
                put?;
                return Ok(Some("put back into the catalog".to_owned()));
            }
        }
        // A newer commit may have its id; then it is what a refresh has left.
        let Some(record) = record.superseded() else { return Ok(None) };
        match self.parts.catalog.put(&record, Expected::Absent).await {
            Err(error) if error.kind == CatalogErrorKind::Conflict => Ok(None),
            put => {
                put?;
                Ok(Some(format!("put back into the catalog as `{}`, retired", record.id)))
            }
        }
    }

    /// What nobody needs any more, and removals that were begun.
    async fn left_over(&self, fix: bool) -> Result<Vec<Finding>> {
        let terms = self.terms(&EvictionLimits::default(), 0);
        let (parts, records) = (Arc::clone(&self.parts), self.records().await?);
        let plan = blocking(move || Ok(Plan::new(&parts.store.stock(&records, &[])?, &terms))).await?;
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let done = if fix {
            self.evict(&plan).await.map_err(|error| error.to_string())
        } else {
            Ok(Plan::default())
        };
        let mended = |is_gone: &dyn Fn(&Plan) -> bool| match &done {
            Ok(done) => Ok(is_gone(done).then(|| "removed".to_owned())),
            Err(error) => Err(error.clone()),
        };
        let mut findings = Vec::new();
        for swept in &plan.leftovers {
            let is_gone = |done: &Plan| done.leftovers.iter().any(|gone| gone.path == swept.path);
            let problem = format!("`{}`: {}", swept.path.display(), swept.reason);
            findings.push(Finding::new(problem, "`doctor --fix` or `gc` removes it").after(mended(&is_gone)));
        }
        for evicted in &plan.evicted {
            let is_gone = |done: &Plan| done.evicted.iter().any(|gone| gone.root == evicted.root);
            let problem = format!("`{}`: {}", evicted.ids.join("`, `"), evicted.reason);
            findings
                .push(Finding::new(problem, "`doctor --fix` or `gc` finishes it").after(mended(&is_gone)));
        }
        Ok(findings)
    }
}

/// What is wrong with a model, by its record.
fn of_record(parts: &Parts, record: &CatalogRecord) -> Option<Finding> {
    let is_fetched = parts.store.holds(record.root());
    let id = &record.id;
    let hint = if is_fetched {
        format!("`ensure {id}` brings it back")
    } else {
        "bring the file back, or `remove` the record".to_owned()
    };
    if let Some(path) = is_missing(record) {
        return Some(Finding::new(format!("`{id}`: `{}` is gone", path.display()), hint));
    }
    if record.verification.outcome == Outcome::Fail {
        let reason = &record.verification.reason;
        return Some(Finding::new(format!("`{id}` failed when it was last verified: {reason}"), hint));
    }
    // Your own files are yours to change. A link that another store makes is no change of a file.
    let change = record.files.iter().filter(|_| is_fetched).find_map(|file| {
        let file = RecordedFile { stamp: file.stamp.without_ctime(), ..file.clone() };
        change(&file, &record.location(&file.path))
    });
    change.map(|change| Finding::new(format!("`{id}` changed since it was judged: {change}"), hint))
}

/// The first of a model's files that is not there any more.
fn is_missing(record: &CatalogRecord) -> Option<PathBuf> {
    let locations = record.files.iter().map(|file| record.location(&file.path));
    locations.into_iter().find(|path| !path.exists())
}

/// What dying processes left of the catalog's files and of the log's.
fn temporary_files(parts: &Parts, fix: bool) -> Vec<Finding> {
    let root = parts.cache.root();
    let catalog = root.join("catalog-v1");
    let folders = [root.to_owned()].into_iter().chain(paths(&catalog));
    let mut findings = Vec::new();
    for path in folders.flat_map(|folder| paths(&folder)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') || !name.ends_with(".tmp") || !is_old(&path, parts.clock.now()) {
            continue;
        }
        let finding = Finding::new(format!("`{}` was never finished", path.display()), FIX);
        let removed =
            if fix { fs_err::remove_file(&path).map(|()| Some("removed".to_owned())) } else { Ok(None) };
        findings.push(finding.after(removed.map_err(|error| error.to_string())));
    }
    findings
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let read = fs_err::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}

fn is_old(path: &Path, now: Timestamp) -> bool {
    let modified = fs_err::symlink_metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
    modified.is_some_and(|modified| {
        now.duration_since(modified).unsigned_abs() >= UNFINISHED_LIMIT && now > modified
    })
}
