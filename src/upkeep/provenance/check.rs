//! Checks the chain, and the documents that name lines of it.

use std::{path::PathBuf, sync::Arc};

use provenance_log::{Position, Report};

use super::{
    handoffs::{HandoffCounts, HandoffFault, Handoffs},
    position::{PositionFault, Wanted},
};
use crate::{
    catalog::provenance::WAIT,
    context::{CancelOnDrop, Context},
    error::Result,
};

/// Says what a check of the provenance log compares it with, beside the handoffs that the log names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenanceCheck {
    /// A line that the log had, which the caller kept elsewhere.
    pub checkpoint: Option<Position>,
    /// Handoffs that rest on the log. Their lines must be in it, whether it names these handoffs or not.
    pub handoffs: Vec<PathBuf>,
}

/// Says what a check of the provenance log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvenanceReport {
    /// The result of the walk over all lines, with the first line that is wrong.
    pub chain: Report,
    /// How the line that the caller kept elsewhere is not in the log; `None` where it is, or where the caller gave none.
    pub checkpoint: Option<PositionFault>,
    /// The handoffs whose line is not in the log.
    pub handoffs: Vec<HandoffFault>,
    /// How many handoffs the check looked at.
    pub counts: HandoffCounts,
}

impl ProvenanceReport {
    /// Returns whether every line is right, and every document names a line of the log.
    pub fn is_sound(&self) -> bool {
        self.chain.fault.is_none() && self.checkpoint.is_none() && self.handoffs.is_empty()
    }
}

/// Returns the last line of the log. It reads the end of one file, and writes nothing.
pub(crate) async fn head(ctx: &Arc<Context>) -> Result<Option<Position>> {
    ctx.run_blocking(|ctx| Ok(ctx.cache.provenance().head(WAIT)?.map(|head| head.position))).await
}

/// Checks the chain, and every document that names a line of it.
pub(crate) async fn verify(ctx: &Arc<Context>, check: &ProvenanceCheck) -> Result<ProvenanceReport> {
    let (check, cancel) = (check.clone(), CancelOnDrop::default());
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| walk(ctx, &check, &is_cancelled)).await
}

fn walk(ctx: &Context, check: &ProvenanceCheck, is_cancelled: &dyn Fn() -> bool) -> Result<ProvenanceReport> {
    let log = ctx.cache.provenance();
    let mut handoffs = Handoffs::given(&check.handoffs)?;
    let mut wanted = Wanted::of(check.checkpoint.iter().copied().chain(handoffs.positions()));
    let chain = log.verify(WAIT, &mut |line| {
        if let Some(position) = line.position {
            wanted.see(position);
            handoffs.see(position, line.text);
        }
        !is_cancelled()
    })?;
    let mut report = ProvenanceReport { chain, ..ProvenanceReport::default() };
    // A chain with a wrong line proves nothing of a document.
    if report.chain.fault.is_some() {
        return Ok(report);
    }
    handoffs.read_named(&log.path());
    let late = Wanted::of(handoffs.positions().filter(|position| !wanted.knows(*position)));
    if !late.is_empty() {
        wanted.extend(late);
        log.read(WAIT, &mut |line| {
            line.position.into_iter().for_each(|position| wanted.see(position));
            !is_cancelled()
        })?;
    }
    let head = report.chain.head;
    report.checkpoint = check.checkpoint.and_then(|named| wanted.fault(named, head));
    (report.handoffs, report.counts) = handoffs.judge(|named| wanted.fault(named, head));
    Ok(report)
}
