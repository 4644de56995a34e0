//! Follows the chain from line to line, and names the first line that is wrong.
//!
//! A line says what the line before it was, so a difference may be the fault of either. The line after the two decides: where
//! that one names the second, the second is whole, and the first one was changed.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    fault::{Fault, FaultKind},
    files::name_of,
    gap::Gap,
    line::{Link, NO_LINE, Span},
    position::Position,
};

/// How many lines back two writers may have looked whom no lock kept apart.
const FORK_WINDOW: usize = 256;

/// Says where a line lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    pub(crate) line: u64,
}

impl Place {
    fn fault(&self, kind: FaultKind, what: impl Into<String>) -> Fault {
        Fault { kind, file: self.file.to_path_buf(), line: self.line, what: what.into() }
    }
}

/// Holds a line of the chain, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Chained {
    pub(crate) link: Link,
    pub(crate) position: Position,
    pub(crate) place: Place,
}

/// Follows a chain.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    last: Option<Chained>,
    recent: VecDeque<Position>,
    /// The line before the last one, where the last one names another.
    suspect: Option<Chained>,
    first_fork: Option<Fault>,
    pub(crate) forks: u64,
    pub(crate) lines: u64,
    pub(crate) torn: u64,
    pub(crate) unchained_bytes: u64,
}

impl Chain {
    /// Returns the last line.
    pub(crate) fn head(&self) -> Option<Position> {
        self.last.as_ref().map(|line| line.position)
    }

    /// Takes the next line, and the bytes that lie between it and the line before.
    pub(crate) fn push(&mut self, line: Chained, gap: &Gap) -> Result<(), Fault> {
        if let Some(before) = self.suspect.take() {
            return Err(self.changed(&before, &line));
        }
        match self.last.take() {
            None => {
                check_first(&line, gap)?;
                self.check_gap(&line, gap)?;
            }
            Some(last) => {
                let checked = self.check_next(&last, &line, gap);
                self.last = Some(last);
                checked?;
            }
        }
        if self.recent.len() == FORK_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(line.position);
        self.lines += 1;
        self.last = Some(line);
        Ok(())
    }

    /// Ends the chain. `gap` is what lies behind the last line.
    pub(crate) fn end(self, gap: &Gap, file: PathBuf) -> Result<Self, Fault> {
        if let Some(before) = &self.suspect {
            return Err(before.place.fault(
                FaultKind::Changed,
                "the next line names another line before it, so one of the two was changed",
            ));
        }
        // A dead writer leaves no newline behind its fragment.
        if gap.is_ended() && self.last.is_some() {
            let place = Place { file: file.into(), line: gap.first_line };
            return Err(place.fault(FaultKind::Foreign, "it is not a line of the log"));
        }
        match self.first_fork {
            Some(fork) => Err(fork),
            None => Ok(self),
        }
    }

    /// Checks that a line is the one after another.
    fn check_next(&mut self, last: &Chained, line: &Chained, gap: &Gap) -> Result<(), Fault> {
        self.check_torn(last.position.seq, line, gap)?;
        check_file(last, line)?;
        let (seq, expected) = (line.position.seq, last.position.seq.saturating_add(1));
        if line.link.prev == last.position.sha256 {
            if seq == expected {
                return Ok(());
            }
            let what = format!("it says that it is number {seq}, and number {expected} belongs here");
            return Err(line.place.fault(FaultKind::Changed, what));
        }
        if self.recent.contains(&line.position) {
            let what = format!("it is number {seq} of the log a second time");
            return Err(line.place.fault(FaultKind::Repeated, what));
        }
        if self.is_fork(line) {
            let what = format!("another line is number {seq} too, and names the same line before it");
            self.forks += 1;
            self.first_fork.get_or_insert(line.place.fault(FaultKind::Fork, what));
            return Ok(());
        }
        if seq == expected {
            self.suspect = Some(last.clone());
            return Ok(());
        }
        if seq > expected {
            let what = match &line.link.after {
                Some(after) => format!("the file before it, `{}`, is missing or not whole", after.file),
                None if seq - expected == 1 => format!("number {expected} is missing before it"),
                None => format!("numbers {expected} to {} are missing before it", seq - 1),
            };
            return Err(line.place.fault(FaultKind::Missing, what));
        }
        let what = format!("it is number {seq}, and number {expected} belongs here");
        Err(line.place.fault(FaultKind::OutOfOrder, what))
    }

    /// Returns whether another line, not far before, names the same line before it.
    fn is_fork(&self, line: &Chained) -> bool {
        let start = Position { seq: 0, sha256: NO_LINE };
        let is_near_start = self.recent.front().is_some_and(|first| first.seq == 1);
        let mut parents = self.recent.iter().copied().chain(is_near_start.then_some(start));
        parents.any(|parent| {
            parent.sha256 == line.link.prev && parent.seq.saturating_add(1) == line.position.seq
        })
    }

    /// Returns which of two lines was changed that do not agree, by the line after them.
    fn changed(&self, before: &Chained, line: &Chained) -> Fault {
        let what = "it is not the line that the next one names";
        match &self.last {
            Some(last) if line.link.prev != last.position.sha256 => last
                .place
                .fault(FaultKind::Changed, "it names another line before it, and so does the next one"),
            _ => before.place.fault(FaultKind::Changed, what),
        }
    }

    /// Checks that the bytes before the first line are those that it says.
    fn check_gap(&mut self, line: &Chained, gap: &Gap) -> Result<(), Fault> {
        let Some(span) = line.link.unchained else { return self.check_torn(0, line, gap) };
        check_span(line, gap, span)?;
        self.unchained_bytes = span.bytes;
        Ok(())
    }

    /// Checks that the bytes between two lines are those that the second one says.
    fn check_torn(&mut self, last_seq: u64, line: &Chained, gap: &Gap) -> Result<(), Fault> {
        match line.link.torn {
            Some(span) => {
                check_span(line, gap, span)?;
                self.torn += 1;
                Ok(())
            }
            None if gap.is_empty() => Ok(()),
            None => {
                let is_line = line.position.seq == last_seq.saturating_add(1).saturating_add(gap.lines);
                let kind = if is_line { FaultKind::Changed } else { FaultKind::Foreign };
                Err(before(line, gap).fault(kind, "it is not a line of the log"))
            }
        }
    }
}

/// Returns where the bytes before a line begin.
fn before(line: &Chained, gap: &Gap) -> Place {
    Place { file: Arc::clone(&line.place.file), line: gap.first_line }
}

/// Checks that the bytes before a line are those that it names.
fn check_span(line: &Chained, gap: &Gap, span: Span) -> Result<(), Fault> {
    if gap.is_named_by(&span) {
        return Ok(());
    }
    if gap.is_empty() {
        let what = format!("the {} bytes before it are gone", span.bytes);
        return Err(line.place.fault(FaultKind::Missing, what));
    }
    let what = format!("it is not what line {} says of the bytes before it", line.place.line);
    Err(before(line, gap).fault(FaultKind::Changed, what))
}

/// Checks that the first line of a file names the file before it.
fn check_file(last: &Chained, line: &Chained) -> Result<(), Fault> {
    if last.place.file == line.place.file {
        return Ok(());
    }
    let name = name_of(&last.place.file);
    match &line.link.after {
        Some(after) if after.file == name => Ok(()),
        Some(after) => {
            let what = format!("it names `{}` as the file before it, and that is `{name}`", after.file);
            Err(line.place.fault(FaultKind::Missing, what))
        }
        None => {
            let what = format!("it is the first line after `{name}`, and does not name that file");
            Err(line.place.fault(FaultKind::Changed, what))
        }
    }
}

/// Checks the first line of all. What lies before it may be a line that was changed.
fn check_first(line: &Chained, gap: &Gap) -> Result<(), Fault> {
    let seq = line.position.seq;
    if let Some(after) = &line.link.after {
        let what = format!("the file before it, `{}`, is missing", after.file);
        return Err(line.place.fault(FaultKind::Missing, what));
    }
    let is_told = line.link.torn.is_some_and(|span| gap.is_named_by(&span));
    let may_be_line = line.link.torn.is_some() || seq == gap.lines.saturating_add(1);
    if seq != 1 && !gap.is_empty() && may_be_line && !is_told {
        return Ok(());
    }
    if seq != 1 {
        let what = format!("it is number {seq}, and the lines before it are missing");
        return Err(line.place.fault(FaultKind::Missing, what));
    }
    if line.link.prev == NO_LINE {
        return Ok(());
    }
    Err(line.place.fault(FaultKind::Changed, "it is the first line, and names a line before it"))
}
