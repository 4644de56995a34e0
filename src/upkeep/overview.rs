//! Sums up the state of the cache.

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};

use artifact_store::{LeftoverEntry, RecordedModels, Store};
use provenance_log::Position;
use provisioner_core::{CatalogRecord, Lifecycle};
use rustix::fs::{Access, access};

use crate::{
    catalog::{provenance::WAIT, records},
    context::Context,
    error::Result,
};

/// Sums up the state of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overview {
    /// The user id of the folder's owner, and the folder's mode; `None` where there is no folder yet.
    pub owner_and_mode: Option<(u32, u32)>,
    /// Says whether this process may write there, or may create the folder. A cache that it may not write to serves present
    /// models, and nothing else.
    pub is_writable: bool,
    /// The size of the fetched models and of what unfinished work left, in bytes.
    pub used_bytes: u64,
    /// The free space of the file system, in bytes; `None` where the system does not tell it.
    pub free_bytes: Option<u64>,
    /// How many records are active.
    pub active: usize,
    /// How many records are retired.
    pub retired: usize,
    /// How many records are of models that are used in place.
    pub in_place: usize,
    /// How many records the catalog cannot read.
    pub damaged: usize,
    /// The reason for which the store does not trust its locks; `None` where it does.
    pub lock_doubt: Option<String>,
    /// The unfinished transfers, and the files that failed a check.
    pub leftovers: Vec<LeftoverEntry>,
    /// The last line of the provenance log; `None` where the log has none, or cannot be read.
    pub provenance: Option<Position>,
}

/// Returns the state of the cache. It reads no model, and opens no socket.
pub(crate) async fn overview(ctx: &Arc<Context>) -> Result<Overview> {
    let (Counted { active, retired, recorded }, damaged) =
        records::visit(ctx, Counted::default(), Counted::add).await?;
    let (damaged, in_place) = (damaged.len(), recorded.count_local());
    ctx.run_blocking(move |ctx| {
        let root = ctx.cache.root();
        let metadata = fs_err::metadata(root).ok();
        let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        Ok(Overview {
            is_writable: access(existing, Access::WRITE_OK).is_ok(),
            owner_and_mode: metadata.map(|metadata| (metadata.uid(), metadata.mode() & 0o7777)),
            used_bytes: ctx.store.inventory_beside(recorded, &[])?.size_bytes(),
            free_bytes: artifact_store::free_bytes(existing).ok(),
            active,
            retired,
            in_place,
            damaged,
            lock_doubt: lock_doubt(&ctx.store),
            leftovers: ctx.store.leftovers()?,
            provenance: ctx.cache.provenance().head(WAIT).ok().flatten().map(|head| head.position),
        })
    })
    .await
}

/// Counts records, and keeps what an inventory needs of them.
#[derive(Default)]
struct Counted {
    active: usize,
    retired: usize,
    recorded: RecordedModels,
}

impl Counted {
    fn add(ctx: &Context, counted: &mut Self, record: CatalogRecord) {
        match record.lifecycle {
            Lifecycle::Active => counted.active += 1,
            Lifecycle::Retired => counted.retired += 1,
        }
        counted.recorded.add(&ctx.store, record);
    }
}

fn lock_doubt(store: &Store) -> Option<String> {
    match store.root().exists().then(|| store.check_locks()) {
        Some(Err(artifact_store::Error::UntrustedLocks { reason, .. })) => Some(reason),
        Some(Err(error)) => Some(format!("it cannot be tried: {error}")),
        None | Some(Ok(())) => None,
    }
}
