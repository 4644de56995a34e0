//! Making room: what to take away, and taking it away.
//!
//! # Order
//! Every model of the store that goes, goes by one road, whether it is evicted or removed: behind the store's closed
//! store lock, and with leases excluded, its seal goes first, then its records, then its files. Whoever dies on that road
//! leaves a model that does not come back when the catalog is lost, and that the next `gc` finishes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use artifact_store::{
    Evicted, EvictionLimits, EvictionPlan, EvictionRequest, LeaseBlock, Removals, USED_SINCE,
};
use provisioner_core::{CatalogErrorKind, CatalogRecord, Digest};

use crate::{
    Error, ModelProvisioner, Result,
    provenance::{Action, Line},
    provisioner::{MAX_CONFLICTS, blocking},
};

/// How long to wait for others who put models into the store, unless somebody says otherwise.
pub(crate) const STORE_LOCK_WAIT: Duration = Duration::from_secs(60);

/// What is taken away, under the exclusive store lock. Work that was begun holds it to its end, when its caller is dropped too.
type Behind = Arc<Mutex<Removals>>;

impl ModelProvisioner {
    /// What [`evict`](Self::evict) would take away, and why; takes nothing away.
    ///
    /// # Errors
    /// [`artifact_store::Error::UntrustedLocks`] where locks are not to be trusted, and so nobody knows what is in use; what is
    /// wrong with the catalog or the disk.
    pub async fn plan_eviction(&self, limits: &EvictionLimits) -> Result<EvictionPlan> {
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            parts.store.check_locks()?;
            parts.store.sweep_leases();
            Ok(())
        })
        .await?;
        let request = self.eviction_request(limits, 0);
        let records = self.records().await?;
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(EvictionPlan::new(&parts.store.inventory(&records, &[])?, &request))).await
    }

    /// Takes away what a plan names, and returns what went: not what was used since the plan was made.
    ///
    /// # Errors
    /// As [`plan_eviction`](Self::plan_eviction); `busy` where others put models into the store all the time.
    pub async fn evict(&self, plan: &EvictionPlan) -> Result<EvictionPlan> {
        let removals = self.removals(Vec::new()).await?;
        let request = EvictionRequest { now: self.parts.clock.now(), ..plan.request };
        let later = EvictionPlan::new(lock(&removals).inventory(), &request);
        self.carry_out(&removals, plan.still(later)).await
    }

    /// Makes sure that what is about to be fetched fits into the limit of size, where there is one. `found` are the blobs that
    /// it needs and that are here, `transfers` the partials that it may go on with.
    pub(crate) async fn make_room(
        &self,
        needed_bytes: u64,
        found: Vec<Digest>,
        transfers: Arc<[PathBuf]>,
    ) -> Result<()> {
        let limits = self.parts.limits;
        let Some(limit_bytes) = limits.max_size_bytes else { return Ok(()) };
        let request = self.eviction_request(&limits, needed_bytes);
        let check = |plan: &EvictionPlan| match plan.over_bytes {
            0 => Ok(()),
            over_bytes => {
                let path = self.parts.store.root().to_owned();
                Err(artifact_store::Error::NoRoom { path, limit_bytes, needed_bytes, over_bytes })
            }
        };
        let (parts, records, pinned) = (Arc::clone(&self.parts), self.records().await?, found.clone());
        let wanted = Arc::clone(&transfers);
        let plan = blocking(move || {
            Ok(EvictionPlan::new(&parts.store.inventory(&records, &pinned)?.keeping(&wanted), &request))
        })
        .await?;
        check(&plan)?;
        if plan.size_bytes.saturating_add(needed_bytes) <= limit_bytes {
            return Ok(());
        }
        let removals = self.removals(found).await?;
        let plan = EvictionPlan::new(&lock(&removals).inventory().clone().keeping(&transfers), &request);
        check(&plan)?;
        Ok(check(&self.carry_out(&removals, plan).await?)?)
    }

    /// Removes a record, and the files of a fetched model that no other record has.
    pub(crate) async fn take_away(&self, record: &CatalogRecord) -> Result<()> {
        let root = record.root();
        if !self.parts.store.holds(root) {
            let _alone = self.exclude(record).await?;
            return self.forget(&record.id, root).await;
        }
        let removals = self.removals(Vec::new()).await?;
        let ids = lock(&removals).view(root).map(|view| view.ids.clone()).unwrap_or_default();
        if ids == [record.id.as_str()] {
            let freed = self.take_view(&removals, root, &ids).await?;
            tracing::debug!("{freed} bytes are freed");
            return Ok(());
        }
        // Others have it too; or it is gone.
        let _alone = self.exclude(record).await?;
        self.forget(&record.id, root).await
    }

    /// Makes sure that nobody has a lease on a model whose record is to go and whose files stay. Where locks are not to be
    /// trusted, no more than the record can be lost.
    async fn exclude(&self, record: &CatalogRecord) -> Result<Option<LeaseBlock>> {
        let (parts, root, id) = (Arc::clone(&self.parts), record.root().to_owned(), record.id.clone());
        blocking(move || match parts.store.block_leases(&root, &id) {
            Err(artifact_store::Error::UntrustedLocks { .. }) => Ok(None),
            alone => Ok(Some(alone?)),
        })
        .await
    }

    pub(crate) fn eviction_request(&self, limits: &EvictionLimits, needed_bytes: u64) -> EvictionRequest {
        EvictionRequest { limits: *limits, now: self.parts.clock.now(), needed_bytes }
    }

    pub(crate) async fn records(&self) -> Result<Vec<CatalogRecord>> {
        let listing = self.parts.catalog.list().await?;
        Ok(listing.records.into_iter().map(|found| found.record).collect())
    }

    /// Closes the store lock, and looks at what there is behind it.
    async fn removals(&self, pinned: Vec<Digest>) -> Result<Behind> {
        self.check_provenance().await?;
        let parts = Arc::clone(&self.parts);
        let wait = self.parts.lock_wait.limit.unwrap_or(STORE_LOCK_WAIT);
        let store_lock = blocking(move || Ok(parts.store.lock_exclusive(wait)?)).await?;
        let (parts, records) = (Arc::clone(&self.parts), self.records().await?);
        blocking(move || {
            let inventory = parts.store.inventory(&records, &pinned)?;
            Ok(Arc::new(Mutex::new(parts.store.removals(store_lock, inventory))))
        })
        .await
    }

    /// Does what a plan says, and returns what was done.
    async fn carry_out(&self, removals: &Behind, plan: EvictionPlan) -> Result<EvictionPlan> {
        let mut done = plan.clone();
        done.evicted.clear();
        let (request, planned) = (plan.request, plan.leftovers);
        done.leftovers = behind(removals, move |removals| {
            let mut gone = Vec::new();
            for mut swept in planned {
                if let Some(bytes) = removals.sweep(&swept)? {
                    swept.bytes = bytes;
                    gone.push(swept);
                }
            }
            removals.tidy();
            Ok(gone)
        })
        .await?;
        done.freed_bytes = done.leftovers.iter().map(|swept| swept.bytes).sum();
        for mut evicted in plan.evicted {
            // Whoever asks for it from here on is to take a lease, and sees then that it is gone.
            let place = evicted.root.clone();
            if behind(removals, move |removals| Ok(removals.is_used_since(&place))).await? {
                done.spare(evicted.ids, USED_SINCE);
                continue;
            }
            if let Some(reason) = self.why_unreadable(&evicted.ids).await {
                done.spare(evicted.ids, &reason);
                continue;
            }
            match self.take_view(removals, &evicted.root, &evicted.ids).await {
                Ok(bytes) => evicted.bytes = bytes,
                Err(Error::Store(error)) if matches!(*error, artifact_store::Error::Leased { .. }) => {
                    done.spare(evicted.ids, &error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            }
            done.freed_bytes += evicted.bytes;
            let evicted = self.note_eviction(evicted).await?;
            done.evicted.push(evicted);
        }
        let left = done.size_bytes.saturating_sub(done.freed_bytes).saturating_add(request.needed_bytes);
        done.over_bytes = request.limits.max_size_bytes.map_or(0, |limit| left.saturating_sub(limit));
        Ok(done)
    }

    /// Why the record of one of some ids cannot be read: what is known of it may be more than we know.
    async fn why_unreadable(&self, ids: &[String]) -> Option<String> {
        for id in ids {
            if let Err(error) = self.parts.catalog.get(id).await {
                return Some(error.to_string());
            }
        }
        None
    }

    /// Takes a view away, with the records of these ids, and returns how many bytes that freed.
    async fn take_view(&self, removals: &Behind, root: &Path, ids: &[String]) -> Result<u64> {
        let place = root.to_owned();
        let removal = behind(removals, move |removals| Ok(removals.begin(&place)?)).await?;
        for id in ids {
            self.forget(id, root).await?;
        }
        behind(removals, move |removals| Ok(removals.finish(removal)?)).await
    }

    /// Removes the record of an id, if it still names that view.
    async fn forget(&self, id: &str, root: &Path) -> Result<()> {
        for _ in 0..MAX_CONFLICTS {
            let Some(found) = self.parts.catalog.get(id).await?.filter(|found| found.record.root() == root)
            else {
                return Ok(());
            };
            match self.parts.catalog.remove(id, found.version).await {
                Err(error) if error.kind == CatalogErrorKind::Conflict => {}
                removed => {
                    removed?;
                    let (parts, id) = (Arc::clone(&self.parts), id.to_owned());
                    return blocking(move || {
                        parts.store.forget_used(&id);
                        Ok(())
                    })
                    .await;
                }
            }
        }
        Err(Error::Contended { id: id.to_owned() })
    }

    async fn note_eviction(&self, evicted: Evicted) -> Result<Evicted> {
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            for id in &evicted.ids {
                let line = Line {
                    local_path: Some(&evicted.root),
                    reason: Some(&evicted.reason),
                    ..Line::new(parts.clock.now(), Action::Evict, id)
                };
                parts.provenance().record(&line);
            }
            Ok(evicted)
        })
        .await
    }
}

/// Works under the store lock, where it may block.
async fn behind<T: Send + 'static>(
    removals: &Behind,
    work: impl FnOnce(&mut Removals) -> Result<T> + Send + 'static,
) -> Result<T> {
    let removals = Arc::clone(removals);
    blocking(move || work(&mut lock(&removals))).await
}

fn lock(removals: &Behind) -> MutexGuard<'_, Removals> {
    removals.lock().unwrap_or_else(PoisonError::into_inner)
}
