//! Reads the handoffs that rest on lines of the log.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use handoff::{Handoff, HandoffProvenance};
use provenance_log::Position;
use serde::Deserialize;

use super::position::PositionFault;
use crate::error::Result;

/// How many of the handoffs that a log names a check looks at: the last ones.
const MOST_HANDOFFS: usize = 4096;

/// Names a handoff whose line is not in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandoffFault {
    /// The path of the handoff.
    pub path: PathBuf,
    /// The id of the model that the handoff is of.
    pub id: String,
    /// How the line is not in the log.
    pub fault: PositionFault,
}

/// Counts the handoffs that a check looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandoffCounts {
    /// How many handoffs name a line, which the check looked for.
    pub checked: u64,
    /// How many handoffs that the log names are gone.
    pub absent: u64,
    /// How many name no line of this log: an earlier release, or a process with another cache, wrote them.
    pub other: u64,
    /// How many handoffs the log names beside the last 4,096, at which the check did not look.
    pub left_out: u64,
}

/// Collects handoffs: those of the caller, and those that the log names.
#[derive(Default)]
pub(super) struct Handoffs {
    /// The last line that names each path.
    named: BTreeMap<PathBuf, Position>,
    read: BTreeMap<PathBuf, (String, Position)>,
    counts: HandoffCounts,
}

impl Handoffs {
    /// Reads the handoffs of the caller.
    ///
    /// # Errors
    /// Where one cannot be read. One that names no line is passed over, and counted.
    pub(super) fn given(paths: &[PathBuf]) -> Result<Self> {
        let mut handoffs = Self::default();
        for path in paths {
            let handoff = handoff::read(path)?;
            handoffs.keep(std::path::absolute(path).unwrap_or_else(|_| path.clone()), &handoff);
        }
        Ok(handoffs)
    }

    /// Returns the lines that the handoffs name.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.read.values().map(|(_, position)| *position)
    }

    /// Looks whether a line names a handoff.
    pub(super) fn see(&mut self, position: Position, text: &[u8]) {
        #[derive(Deserialize)]
        struct Naming {
            handoff: Option<PathBuf>,
        }
        let Ok(Naming { handoff: Some(path) }) = serde_json::from_slice(text) else { return };
        self.named.insert(path, position);
        if self.named.len() > 2 * MOST_HANDOFFS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let mut numbers: Vec<_> = self.named.values().map(|line| line.seq).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let Some(last) = numbers.get(MOST_HANDOFFS - 1).copied() else { return };
        let before = self.named.len();
        self.named.retain(|_, line| line.seq >= last);
        self.counts.left_out += (before - self.named.len()) as u64;
    }

    /// Reads the handoffs that the log at `log` names.
    pub(super) fn read_named(&mut self, log: &Path) {
        self.forget_oldest();
        let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        for (path, line) in std::mem::take(&mut self.named) {
            if self.read.contains_key(&path) {
                continue;
            }
            match handoff::read(&path) {
                Ok(handoff) => {
                    let named = handoff.provenance.as_ref();
                    // As usual: the line that names the handoff is the one that it rests on.
                    if named.and_then(position) == Some(line) {
                        self.counts.checked += 1;
                        continue;
                    }
                    // A process with another cache may have written to the same path.
                    if named.is_some_and(|named| real(&named.log) != real(log)) {
                        self.counts.other += 1;
                    } else {
                        self.keep(path, &handoff);
                    }
                }
                Err(handoff::Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    self.counts.absent += 1;
                }
                Err(error) => {
                    tracing::debug!("`{}` is passed over: {error}", path.display());
                    self.counts.other += 1;
                }
            }
        }
    }

    fn keep(&mut self, path: PathBuf, handoff: &Handoff) {
        match handoff.provenance.as_ref().and_then(position) {
            Some(position) => {
                self.read.insert(path, (handoff.model.id.clone(), position));
            }
            None => self.counts.other += 1,
        }
    }

    /// Returns the handoffs whose line is not in the log, and how many there are.
    pub(super) fn judge(
        self,
        fault: impl Fn(Position) -> Option<PositionFault>,
    ) -> (Vec<HandoffFault>, HandoffCounts) {
        let checked = self.counts.checked + self.read.len() as u64;
        let counts = HandoffCounts { checked, ..self.counts };
        let faults = self.read.into_iter().filter_map(|(path, (id, position))| {
            fault(position).map(|fault| HandoffFault { path, id, fault })
        });
        (faults.collect(), counts)
    }
}

/// Returns the line that a handoff names; `None` where its text makes no sense.
fn position(provenance: &HandoffProvenance) -> Option<Position> {
    format!("{}:{}", provenance.seq, provenance.line).parse().ok()
}
