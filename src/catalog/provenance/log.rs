//! Appends lines to the log of a cache.

use std::{sync::Arc, time::Duration};

use provenance_log::{Durability, Log, Position};
use provisioner_core::Outcome;

use super::line::{Action, Line};
use crate::{
    context::Context,
    error::{Error, Result},
};

/// How long a call that changed nothing waits for other writers, each of which takes moments.
const NOTE_WAIT: Duration = Duration::from_secs(1);

/// How long a call that changed something waits for other writers, and a reader for a writer.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Appends to the log of one cache.
#[derive(Clone, Debug)]
pub(crate) struct ProvenanceLog {
    log: Log,
}

/// Returns the log of a cache.
pub(crate) fn log(ctx: &Context) -> ProvenanceLog {
    ProvenanceLog { log: ctx.cache.provenance() }
}

impl ProvenanceLog {
    /// Appends a line for a call that changed nothing. Where this process may not write to the cache, it appends none. It
    /// may block.
    pub(crate) fn note(&self, line: &Line<'_>) {
        if let Err(error) = self.log.append(line, Durability::Later, NOTE_WAIT) {
            tracing::debug!("no line of provenance: {error}");
        }
    }

    /// Appends a line for a call that changed the catalog, durably. The change stays when the disk fails in this moment,
    /// so that this process only warns. It may block.
    pub(crate) fn record(&self, line: &Line<'_>) {
        if let Err(error) = self.log.append(line, Durability::Synced, WAIT) {
            tracing::warn!("the provenance log lacks a line of `{}`: {error}", line.id);
        }
    }

    /// Appends a line on which a document will rest, durably, and returns which line it is. Where this process may not write
    /// to the cache, it appends none. It may block.
    pub(crate) fn rest(&self, line: &Line<'_>) -> Option<Position> {
        match self.log.append(line, Durability::Synced, WAIT) {
            Ok(position) => Some(position),
            Err(error) => {
                // The error of this crate leaves the reason to its source.
                let reason = error.to_string();
                if Error::from(error).is_unwritable() {
                    tracing::debug!("no line of provenance: {reason}");
                } else {
                    tracing::warn!("the provenance log lacks a line of `{}`: {reason}", line.id);
                }
                None
            }
        }
    }

    /// Fails where this process cannot append a line. It may block.
    pub(crate) fn check(&self) -> Result<()> {
        self.log.check().map_err(|error| match error {
            provenance_log::Error::File(durable_fs::Error::Io(error)) => {
                // A folder that the disk does not take does not mean that the model is missing.
                let is_absent = error.kind() == std::io::ErrorKind::NotFound;
                let error = if is_absent { std::io::Error::other(error) } else { error };
                Error::storage("the provenance log cannot be written", error)
            }
            other => Error::UnsafeCache { path: self.log.path(), reason: other.to_string() },
        })
    }
}

/// Appends a line for a model that a verifier refused.
pub(crate) async fn note_refusal(ctx: &Arc<Context>, id: &str, error: &Error) -> Result<()> {
    let (id, reason) = (id.to_owned(), error.to_string());
    ctx.run_blocking(move |ctx| {
        let line = Line {
            outcome: Some(Outcome::Fail),
            reason: Some(&reason),
            ..Line::new(ctx.clock.now(), Action::Ensure, &id)
        };
        log(ctx).note(&line);
        Ok(())
    })
    .await
}

/// Appends a line for a mirror that a call skips. `path` is the file that the mirror did not send.
pub(crate) async fn note_skipped(
    ctx: &Arc<Context>,
    id: &str,
    mirror: &str,
    path: Option<&str>,
    reason: &str,
) -> Result<()> {
    let (id, mirror, path) = (id.to_owned(), mirror.to_owned(), path.map(str::to_owned));
    let reason = reason.to_owned();
    ctx.run_blocking(move |ctx| {
        let line = Line {
            mirror: Some(&mirror),
            path: path.as_deref(),
            reason: Some(&reason),
            ..Line::new(ctx.clock.now(), Action::SkipMirror, &id)
        };
        log(ctx).note(&line);
        Ok(())
    })
    .await
}
