//! Appends to the log of what each process did and why it trusted the bytes: `provenance.jsonl`, one JSON object a line.
//!
//! The crate `provenance-log` has the format, and chains each line to the one before it. A line of this library also has `at`
//! (RFC 3339), `action` and `id`; and, where the process knows them, `local_path`, `digest`, `outcome`, `basis`, `reason`,
//! `cached`, `adopted` (an array of `{path, from, way}`), `mirror` and `path`, `config`, `handoff`, `statement` and `source`
//! (`{license, gated, scan_issues}`).

mod line;
mod log;

pub(crate) use self::{
    line::{Action, AdoptionEntry, Line, adoptions},
    log::{WAIT, log, note_refusal, note_skipped},
};
