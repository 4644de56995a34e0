//! Imports the `index.json` of catalog-core 0.1, once.
//!
//! It is one JSON object, `{"<id>": {"id", "local_path", "lifecycle", "digest", "last_verified_ms"}}`. Each entry
//! becomes a record, unless there is one already; then the file is renamed to `index.json.imported`. After a process that
//! dies in between, the next one begins again, and changes nothing that is done.
//!
//! The import keeps an entry's digest as pinned, and the next call for the model checks it: the entry does not tell which
//! bytes have it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use provisioner_core::{
    Basis, CatalogError, CatalogErrorKind, CatalogRecord, Clock, Digest, Format, Lifecycle, ModelRef,
    Outcome, RelativePath, Timestamp, Verification,
};
use serde::Deserialize;
use serde_json::{Map, Value};

const MAX_INDEX_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
struct OldEntry {
    id: String,
    local_path: String,
    lifecycle: Lifecycle,
    digest: Option<Value>,
    last_verified_ms: Option<i64>,
}

/// Imports the old index of a cache, where there is one: it gives each record to `put`, which keeps it.
pub(crate) fn import(
    cache: &Path,
    clock: &dyn Clock,
    put: impl Fn(&CatalogRecord) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let path = cache.join("index.json");
    let bytes = match durable_fs::read(&path, MAX_INDEX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(()),
        Err(durable_fs::Error::Io(error)) => return Err(error.into()),
        Err(error) => return Err(CatalogError::new(CatalogErrorKind::Unsafe, error.to_string())),
    };
    let entries: BTreeMap<String, Value> = match serde_json::from_slice(&bytes) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!("the old catalog `{}` cannot be read: {error}", path.display());
            return Ok(());
        }
    };
    for (key, entry) in entries {
        match serde_json::from_value::<OldEntry>(entry)
            .map_err(|error| error.to_string())
            .and_then(|entry| record(entry, clock.now()))
        {
            Ok(record) => match put(&record) {
                // This release has a record already, and knows more of it.
                Err(error) if is_settled(error.kind) => {
                    tracing::warn!("the old entry `{key}` is left out: {error}");
                }
                put => put?,
            },
            Err(reason) => tracing::warn!("the old catalog's entry `{key}` is left out: {reason}"),
        }
    }
    durable_fs::rename(&path, &cache.join("index.json.imported"))
        .map_err(|error| CatalogError::new(CatalogErrorKind::Storage, error.to_string()))
}

fn is_settled(kind: CatalogErrorKind) -> bool {
    matches!(kind, CatalogErrorKind::Conflict | CatalogErrorKind::Damaged | CatalogErrorKind::Newer)
}

fn record(old: OldEntry, now: Timestamp) -> Result<CatalogRecord, String> {
    let reference: ModelRef = old.id.parse().map_err(|error: provisioner_core::Error| error.to_string())?;
    let digest = match old.digest {
        None | Some(Value::Null) => None,
        Some(value) => Some(serde_json::from_value::<Digest>(value).map_err(|error| error.to_string())?),
    };
    // catalog-core kept fetched models in a store of its own; only their paths are taken over.
    let local_path = match &reference {
        ModelRef::Local(local) => local.path().to_owned(),
        _ => old.local_path.into(),
    };
    let entry =
        local_path.file_name().and_then(|name| name.to_str()).and_then(|name| RelativePath::new(name).ok());
    let mut extra = Map::new();
    if let Some(ms) = old.last_verified_ms {
        extra.insert("imported_last_verified_ms".to_owned(), ms.into());
    }
    Ok(CatalogRecord {
        id: reference.id(),
        entry: entry.filter(|_| !local_path.is_dir()),
        local_path,
        lifecycle: old.lifecycle,
        revision: None,
        verification: Verification {
            outcome: Outcome::Warn,
            basis: digest.as_ref().map(|_| Basis::Pinned),
            reason: "imported from catalog-core 0.1, and not verified since".to_owned(),
            verified_at: None,
        },
        digest,
        size_bytes: 0,
        format: Format::Other,
        projector: None,
        facts: None,
        files: Arc::default(),
        left_out: Vec::new(),
        notices: Vec::new(),
        source: None,
        signatures: Vec::new(),
        created_at: now,
        updated_at: now,
        extra,
    })
}
