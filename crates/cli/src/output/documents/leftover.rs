//! Says in documents and texts what unfinished transfers and quarantined files there are.

use std::path::PathBuf;

use model_provisioner::{LeftoverEntry, LeftoverKind, Swept, readable_size};
use serde::Serialize;

use crate::output::text::counted;

/// Describes an unfinished transfer, a quarantined file or another leftover.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Leftover {
    /// The kind: `transfer`, `quarantined`, `removal`, `unfinished` or `blob`.
    kind: &'static str,
    /// The model, where the store knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Where it is.
    path: PathBuf,
    /// Its size on the disk, in bytes.
    pub(crate) bytes: u64,
    /// Whether a live process uses it.
    in_use: bool,
    /// Why `gc` removes or keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl From<&Swept> for Leftover {
    fn from(swept: &Swept) -> Self {
        let Swept { path, id, kind, bytes, is_held, reason, .. } = swept.clone();
        Self { kind: kind.as_str(), id, path, bytes, in_use: is_held, reason: Some(reason) }
    }
}

impl From<&LeftoverEntry> for Leftover {
    fn from(entry: &LeftoverEntry) -> Self {
        let LeftoverEntry { path, id, kind, bytes, is_held, .. } = entry.clone();
        Self { kind: kind.as_str(), id, path, bytes, in_use: is_held, reason: None }
    }
}

impl Leftover {
    /// Returns its model, or else its path.
    pub(crate) fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.path.display().to_string())
    }

    /// Returns whether `gc --grace 0` removes it.
    pub(crate) fn is_idle(&self) -> bool {
        let kinds = [LeftoverKind::Partial, LeftoverKind::Quarantined];
        !self.in_use && kinds.iter().any(|kind| kind.as_str() == self.kind)
    }
}

/// Returns a line for each kind: how many models, how many bytes, and how many of each model.
pub(crate) fn summary(entries: &[LeftoverEntry]) -> Vec<String> {
    let kinds = [
        (LeftoverKind::Partial, false, "unfinished transfer"),
        (LeftoverKind::Partial, true, "running transfer"),
        (LeftoverKind::Quarantined, false, "quarantined item"),
    ];
    let told = kinds.into_iter().filter_map(|(kind, is_held, what)| {
        let of_kind = entries.iter().filter(|entry| (entry.kind, entry.is_held) == (kind, is_held));
        line(what, &of_kind.collect::<Vec<_>>())
    });
    told.collect()
}

/// Tells how to free the bytes of unfinished transfers and quarantined files.
pub(crate) const HOW_TO_FREE: &str = "`ensure` goes on with an unfinished transfer, `remove ID` frees it, and `gc --grace 0` \
                                      frees all of them and what is quarantined";

fn line(what: &str, entries: &[&LeftoverEntry]) -> Option<String> {
    // A model has a partial for each of its files.
    let mut models: Vec<(String, u64)> = Vec::new();
    for entry in entries {
        let name = Leftover::from(*entry).name();
        match models.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bytes)) => *bytes += entry.bytes,
            None => models.push((name, entry.bytes)),
        }
    }
    let all: u64 = models.iter().map(|(_, bytes)| bytes).sum();
    let head = format!("{}, {}", counted(models.len() as u64, what), readable_size(all));
    let names: Vec<_> = match models.as_slice() {
        [] => return None,
        [(only, _)] => vec![only.clone()],
        several => {
            several.iter().map(|(name, bytes)| format!("{name} ({})", readable_size(*bytes))).collect()
        }
    };
    Some(format!("{head}: {}", names.join(", ")))
}
