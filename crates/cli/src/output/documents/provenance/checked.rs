//! Defines the document of a check of the log.

use std::path::PathBuf;

use model_provisioner::{
    ChainReport, HandoffFault, PositionFault, ProvenanceFault, ProvenanceFaultKind, ProvenanceReport,
};
use serde::Serialize;

use super::head::Head;
use crate::output::text::counted;

/// Says what a check of the log found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Checked {
    /// Whether every line is right, and every line that a document names is in the log.
    ok: bool,
    /// The last line; absent where the log has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
    /// How many lines the chain has; of a log with a wrong line, how many come before what was found.
    lines: u64,
    /// How many files the log has.
    files: u64,
    /// How many torn tails of dead writers later lines tell of.
    torn: u64,
    /// The length of what a dead writer left behind the last line, in bytes; the next line tells of it.
    torn_tail_bytes: u64,
    /// The length of what the log held before its first chained line, in bytes.
    unchained_bytes: u64,
    /// The first line that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<WrongLine>,
    /// How the checkpoint is not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<NotThere>,
    /// The handoffs that rest on the log.
    handoffs: Handoffs,
}

/// Names a line that is wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WrongLine {
    /// How it is wrong: `changed`, `missing`, `repeated`, `out-of-order`, `foreign`, `fork` or `newer`.
    kind: &'static str,
    /// The file that has the line.
    file: PathBuf,
    /// The number of the line in that file, from 1 on.
    line: u64,
    /// What is wrong, for a person.
    what: String,
}

/// Says how a line that a document names is not in the log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NotThere {
    /// `cut` where the log ends before the line, and `rewritten` where it has another one there.
    kind: &'static str,
    /// What is wrong, for a person.
    what: String,
}

/// Says what the check found of handoffs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Handoffs {
    /// How many name a line, which the check looked for.
    checked: u64,
    /// How many that the log names are gone.
    absent: u64,
    /// How many name no line of this log.
    other: u64,
    /// How many the log names beside the last 4,096, at which the check did not look.
    left_out: u64,
    /// The handoffs whose line is not in the log.
    faults: Vec<HandoffNotThere>,
}

/// Names a handoff whose line is not in the log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HandoffNotThere {
    /// The path of the handoff.
    path: PathBuf,
    /// The id of its model.
    id: String,
    /// `cut` where the log ends before the line, and `rewritten` where it has another one there.
    kind: &'static str,
    /// What is wrong, for a person.
    what: String,
}

impl From<&ProvenanceFault> for WrongLine {
    fn from(fault: &ProvenanceFault) -> Self {
        let ProvenanceFault { kind, file, line, what } = fault.clone();
        Self { kind: kind.as_str(), file, line, what }
    }
}

impl From<&PositionFault> for NotThere {
    fn from(fault: &PositionFault) -> Self {
        let kind = if matches!(fault, PositionFault::Cut { .. }) { "cut" } else { "rewritten" };
        Self { kind, what: fault.to_string() }
    }
}

impl From<&HandoffFault> for HandoffNotThere {
    fn from(fault: &HandoffFault) -> Self {
        let NotThere { kind, what } = NotThere::from(&fault.fault);
        Self { path: fault.path.clone(), id: fault.id.clone(), kind, what }
    }
}

impl HandoffNotThere {
    /// Returns the handoff and what is wrong, in a line.
    pub(crate) fn text(&self) -> String {
        format!("{}: the handoff `{}`: {}", self.kind, self.path.display(), self.what)
    }
}

impl From<&ProvenanceReport> for Checked {
    fn from(report: &ProvenanceReport) -> Self {
        let ChainReport { head, lines, files, torn, torn_tail_bytes, unchained_bytes, fault, .. } =
            report.chain.clone();
        let counts = report.counts;
        Self {
            ok: report.is_sound(),
            head: head.map(Head::from),
            lines,
            files,
            torn,
            torn_tail_bytes,
            unchained_bytes,
            fault: fault.as_ref().map(WrongLine::from),
            checkpoint: report.checkpoint.as_ref().map(NotThere::from),
            handoffs: Handoffs {
                checked: counts.checked,
                absent: counts.absent,
                other: counts.other,
                left_out: counts.left_out,
                faults: report.handoffs.iter().map(HandoffNotThere::from).collect(),
            },
        }
    }
}

impl Checked {
    /// Returns `ok` and the last line, or all that is wrong, one to a line.
    pub(crate) fn text(&self) -> String {
        if self.ok {
            let head = self.head.as_ref().map_or("0", |head| &head.checkpoint);
            return format!("ok {head}");
        }
        let of_line = self.fault.iter().map(|fault| {
            format!("FAIL  {}: `{}` line {}: {}", fault.kind, fault.file.display(), fault.line, fault.what)
        });
        let of_checkpoint = self
            .checkpoint
            .iter()
            .map(|fault| format!("FAIL  {}: the checkpoint: {}", fault.kind, fault.what));
        let of_handoffs = self.handoffs.faults.iter().map(|fault| format!("FAIL  {}", fault.text()));
        of_line.chain(of_checkpoint).chain(of_handoffs).collect::<Vec<_>>().join("\n")
    }

    /// Returns what there is beside the chain, for a person who watches.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![format!("{} in {}", counted(self.lines, "line"), counted(self.files, "file"))];
        if self.unchained_bytes > 0 {
            parts
                .push(format!("{} of an earlier release before them", counted(self.unchained_bytes, "byte")));
        }
        if self.torn > 0 {
            parts.push(counted(self.torn, "torn tail of a dead process"));
        }
        if self.torn_tail_bytes > 0 {
            parts.push("a dead process left a part of a line at the end".to_owned());
        }
        if self.handoffs.checked > 0 {
            parts.push(counted(self.handoffs.checked, "handoff"));
        }
        parts.join(", ")
    }

    /// Returns the next step where something is wrong.
    pub(crate) fn next_step(&self) -> &'static str {
        let kind = self.fault.as_ref().map(|fault| fault.kind);
        if kind == Some(ProvenanceFaultKind::Fork.as_str()) {
            return "two processes wrote at once: locks do not keep them apart here; put the cache on a local file system";
        }
        if kind == Some(ProvenanceFaultKind::Newer.as_str()) {
            return "read the log with the release that wrote it";
        }
        "compare the log with a copy that you kept; `model-provisioner verify --all` reads the bytes of all models again"
    }
}
