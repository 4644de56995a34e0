//! What is wrong with a cache, and mending it.

//!
//! # Order
//! What is found while others work may be no more than their work half done. So the look, and all mending that takes moments, is
//! done under the exclusive store lock, with the records that are read behind it. What goes is taken away as by `gc`, and
//! what has to be read or linked is made present as by `ensure`, each with its own second look.

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};

use artifact_store::{LeftoverEntry, Plan, Problem, ProblemKind, StoreLock};
use provisioner_core::{
    CatalogErrorKind, CatalogRecord, DamagedRecord, ErrorCode, Expected, Hint, Lifecycle, ModelRef, Repair,
};
use rustix::fs::{Access, access};

use crate::{EvictionLimits, ModelProvisioner, Result, evict::STORE_LOCK_WAIT, provisioner::blocking};

mod folder;
mod record;

/// Something that `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, and where.
    pub problem: String,
    /// What was done about it; `None` where nothing was.
    pub mended: Option<String>,
    /// What to do about it.
    pub hint: Option<Hint>,
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
    fn new(problem: String, hint: impl Into<Hint>) -> Self {
        Self { problem, mended: None, hint: Some(hint.into()), is_harmless: false }
    }

    /// The same, with what came of mending it.
    fn after(self, mended: std::result::Result<Option<String>, String>) -> Self {
        match mended {
            Ok(Some(how)) => Self { mended: Some(how), hint: None, ..self },
            Ok(None) => self,
            Err(error) => Self { hint: Some(format!("it cannot be mended: {error}").into()), ..self },
        }
    }
}

const FIX: Hint = Hint::Repair(Repair::Mends);

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
                used_bytes: parts.store.inventory(&records, &[])?.size_bytes(),
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
    /// restored; a model whose files have other stamps is read, and recorded anew where its bytes are the same; and what
    /// dying processes left is removed. Nothing of a live process is touched, and no file that is not ours.
    ///
    /// # Errors
    /// What keeps it from looking.
    pub async fn doctor(&self, fix: bool) -> Result<Vec<Finding>> {
        let parts = Arc::clone(&self.parts);
        let mut findings = blocking(move || Ok(folder::findings(&parts, fix))).await?;
        for damaged in self.parts.catalog.list().await?.damaged {
            findings.push(self.damaged(damaged, fix).await);
        }
        let (store_lock, doubt) = self.lock_exclusive().await?;
        let (mut found, unsealed) = self.problems(store_lock.as_ref(), doubt, fix).await?;
        findings.append(&mut found);
        let records = self.records().await?;
        let broken = self.broken(records.clone()).await?;
        let plan = self.left_over(records).await?;
        // What follows has a second look of its own.
        drop(store_lock);
        findings.extend(self.take_away_left_over(plan, fix).await);
        for (record, finding) in unsealed.into_iter().chain(broken) {
            findings.extend(self.bring_back(&record, finding, fix).await);
        }
        Ok(findings)
    }

    /// Keeps others from putting something in and from taking something away; or says why that cannot be. Where nothing can
    /// be written, or there is no store yet, there is nothing to keep others from.
    async fn lock_exclusive(&self) -> Result<(Option<Arc<StoreLock>>, Option<String>)> {
        let parts = Arc::clone(&self.parts);
        let wait = parts.lock_wait.limit.unwrap_or(STORE_LOCK_WAIT);
        blocking(move || {
            if !parts.store.root().exists() {
                return Ok((None, None));
            }
            Ok(match parts.store.lock_exclusive(wait) {
                Ok(store_lock) => (Some(Arc::new(store_lock)), None),
                Err(error) => (None, Some(error.to_string())),
            })
        })
        .await
    }

    async fn damaged(&self, damaged: DamagedRecord, fix: bool) -> Finding {
        let code = if damaged.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
        let hint = code.hint();
        let problem = damaged.reason.clone();
        let finding = Finding { problem, mended: None, hint, is_harmless: false };
        if damaged.is_newer || !fix {
            return finding;
        }
        let aside = self.parts.catalog.set_aside(&damaged).await;
        let told = aside.map(|aside| Some(format!("set aside as `{}`", aside.display())));
        finding.after(told.map_err(|error| error.to_string()))
    }

    /// What is wrong with what the store has, and is mended under the store lock; and the models that have lost their seal and have
    /// to be read before they get one again.
    async fn problems(
        &self,
        store_lock: Option<&Arc<StoreLock>>,
        doubt: Option<String>,
        fix: bool,
    ) -> Result<(Vec<Finding>, Vec<(CatalogRecord, Finding)>)> {
        let (parts, records) = (Arc::clone(&self.parts), self.records().await?);
        let found = blocking(move || {
            let inventory = parts.store.inventory(&records, &[])?;
            Ok(parts.store.problems(&records, &inventory)?)
        })
        .await?;
        let (mut findings, mut unsealed) = (Vec::new(), Vec::new());
        for problem in found {
            let finding = Finding::new(problem.told(), hint_of(&problem.kind, fix));
            let mended = match store_lock {
                _ if !fix => Ok(None),
                Some(store_lock) => {
                    self.repair(store_lock, &problem).await.map_err(|error| error.to_string())
                }
                None => Err(doubt.clone().unwrap_or_default()),
            };
            match (problem.kind, &mended) {
                (ProblemKind::SealLost(record), Ok(None)) if fix => unsealed.push((*record, finding)),
                _ => findings.push(finding.after(mended)),
            }
        }
        Ok((findings, unsealed))
    }

    async fn repair(&self, store_lock: &Arc<StoreLock>, problem: &Problem) -> Result<Option<String>> {
        if let ProblemKind::Unrecorded(record) = &problem.kind {
            return self.record_again(record).await;
        }
        let (parts, store_lock, problem) = (Arc::clone(&self.parts), Arc::clone(store_lock), problem.clone());
        blocking(move || Ok(parts.store.repair(&store_lock, &problem)?)).await
    }

    /// Puts the record of a whole view back into the catalog.
    async fn record_again(&self, record: &CatalogRecord) -> Result<Option<String>> {
        match self.parts.catalog.put(record, Expected::Absent).await {
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

    /// What nobody needs any more, and removals that were begun. Partials come and go without the store lock: one that goes may be a
    /// live process's, which removes it, for as long as it is not old.
    async fn left_over(&self, records: Vec<CatalogRecord>) -> Result<Plan> {
        let terms = self.terms(&EvictionLimits::default(), 0);
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let mut plan = Plan::new(&parts.store.inventory(&records, &[])?, &terms);
            let partials = parts.store.root().join("partial");
            plan.leftovers
                .retain(|swept| !swept.path.starts_with(&partials) || folder::is_old(&swept.path, terms.now));
            Ok(plan)
        })
        .await
    }

    async fn take_away_left_over(&self, plan: Plan, fix: bool) -> Vec<Finding> {
        if plan.is_empty() {
            return Vec::new();
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
            findings.push(Finding::new(problem, Hint::Repair(Repair::Removes)).after(mended(&is_gone)));
        }
        for evicted in &plan.evicted {
            let is_gone = |done: &Plan| done.evicted.iter().any(|gone| gone.root == evicted.root);
            let problem = format!("`{}`: {}", evicted.ids.join("`, `"), evicted.reason);
            findings.push(Finding::new(problem, Hint::Repair(Repair::Finishes)).after(mended(&is_gone)));
        }
        findings
    }

    /// Models that are not what their records say, but for those that a live process is making present.
    async fn broken(&self, records: Vec<CatalogRecord>) -> Result<Vec<(CatalogRecord, Finding)>> {
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let found = records.into_iter().filter_map(|record| {
                let finding = record::finding(&parts, &record)?;
                (!parts.store.is_being_made(&record.id)).then_some((record, finding))
            });
            Ok(found.collect())
        })
        .await
    }

    /// Makes a model what its record says, without its source; `None` where another process has done so meanwhile, or has
    /// taken it away.
    async fn bring_back(&self, record: &CatalogRecord, finding: Finding, fix: bool) -> Option<Finding> {
        if !fix {
            return Some(finding);
        }
        let restored = match ModelRef::parse(&record.id, None) {
            Ok(ModelRef::Local(_)) => Ok(None),
            Ok(fetched) => self.restore(&fetched).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if matches!(restored, Ok(None)) && !self.is_still_broken(&record.id).await {
            return None;
        }
        let how = || "its bytes are those of its record, and it is present again".to_owned();
        let mended = restored.map(|restored| restored.map(|_| how()));
        let hint = record::hint(&self.parts, record);
        Some(Finding { hint: Some(hint), ..finding }.after(mended))
    }

    async fn is_still_broken(&self, id: &str) -> bool {
        let Ok(found) = self.parts.catalog.get(id).await else { return true };
        let Some(found) = found else { return false };
        let parts = Arc::clone(&self.parts);
        let look = blocking(move || {
            Ok(record::finding(&parts, &found.record).is_some() || !parts.is_whole(&found.record))
        });
        look.await.unwrap_or(true)
    }
}

/// What to do about something that is wrong with the store.
fn hint_of(kind: &ProblemKind, fix: bool) -> Hint {
    match kind {
        ProblemKind::Stray => "move it elsewhere: only models belong there".into(),
        ProblemKind::Unreadable(_) => "check its owner and mode".into(),
        ProblemKind::NobodysView if fix => Hint::Repair(Repair::MovesAwayLater),
        _ => FIX,
    }
}
