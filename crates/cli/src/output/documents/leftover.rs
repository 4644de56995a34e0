//! What is printed of unfinished transfers and of quarantined files.

use std::path::PathBuf;

use indicatif::HumanBytes;
use model_provisioner::{LeftoverEntry, LeftoverKind, Swept};
use serde::Serialize;

use crate::document::counted;

/// One of them, as documents have it.
#[derive(Debug, Serialize)]
pub(crate) struct Leftover {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    path: PathBuf,
    pub(crate) bytes: u64,
    in_use: bool,
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
    /// Its model, or else its place.
    pub(crate) fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.path.display().to_string())
    }

    /// Whether `gc --grace 0` takes it away.
    pub(crate) fn is_idle(&self) -> bool {
        let kinds = [LeftoverKind::Partial, LeftoverKind::Quarantined];
        !self.in_use && kinds.iter().any(|kind| kind.as_str() == self.kind)
    }
}

/// What there is of a kind, in a line: how many models, how much, and of each.
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

/// How the bytes of unfinished transfers and quarantined files are freed.
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
    let head = format!("{}, {}", counted(models.len() as u64, what), HumanBytes(all));
    let names: Vec<_> = match models.as_slice() {
        [] => return None,
        [(only, _)] => vec![only.clone()],
        several => several.iter().map(|(name, bytes)| format!("{name} ({})", HumanBytes(*bytes))).collect(),
    };
    Some(format!("{head}: {}", names.join(", ")))
}
