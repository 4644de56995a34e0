//! Finds the lines about a model.

use std::{borrow::Cow, collections::VecDeque, path::PathBuf, sync::Arc};

use provenance_log::{LogLine, Position};
use provisioner_core::ModelRef;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    catalog::provenance::WAIT,
    context::{CancelOnDrop, Context},
    error::Result,
    resolve::reference::canonical,
};

/// How many lines an answer has at most: the last ones.
const MOST_LINES: usize = 10_000;

/// Holds one line of the provenance log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProvenanceLine {
    /// The number and the hash of the line; `None` for a line of an earlier release, which has no chain.
    pub position: Option<Position>,
    /// The file that has the line.
    pub file: PathBuf,
    /// The number of the line in that file, from 1 on.
    pub line: u64,
    /// All fields of the line, as they are in the file.
    pub fields: Map<String, Value>,
}

/// Holds the lines about one model, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProvenanceLines {
    /// The id of the model.
    pub id: String,
    /// The lines: the last 10,000 of them.
    pub lines: Vec<ProvenanceLine>,
    /// How many lines there are before those.
    pub left_out: u64,
}

/// Returns the lines about a model. It checks no chain, and writes nothing.
pub(crate) async fn lines(ctx: &Arc<Context>, reference: &ModelRef) -> Result<ProvenanceLines> {
    let id = canonical(ctx, reference).await?.id();
    let cancel = CancelOnDrop::default();
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| {
        let (mut found, mut left_out) = (VecDeque::new(), 0);
        ctx.cache.provenance().read(WAIT, &mut |line| {
            if is_about(line, &id)
                && let Some(line) = owned(line)
            {
                if found.len() == MOST_LINES {
                    found.pop_front();
                    left_out += 1;
                }
                found.push_back(line);
            }
            !is_cancelled()
        })?;
        Ok(ProvenanceLines { id, lines: found.into(), left_out })
    })
    .await
}

fn is_about(line: &LogLine<'_>, id: &str) -> bool {
    #[derive(Deserialize)]
    struct About<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_slice::<About<'_>>(line.text).is_ok_and(|about| about.id == id)
}

fn owned(line: &LogLine<'_>) -> Option<ProvenanceLine> {
    let fields = serde_json::from_slice(line.text).ok()?;
    Some(ProvenanceLine { position: line.position, file: line.file.to_owned(), line: line.line, fields })
}
