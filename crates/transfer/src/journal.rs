//! Which bytes are there.
//!
//! The journal is text, one entry a line: first a JSON object that says of which file in which state; then `done <start>
//! <end>` for bytes that were written, and `synced <n>` when the first `n` such lines had reached the disk. It is only
//! appended to. A line that was cut off ends the reading. `validator <text>` names the state of the file, once it is known.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{Result, ranges::Ranges, sink::cut};

/// A journal of this size is no longer worth reading.
const MAX_BYTES: u64 = 64 << 20;

/// Of which file, in which state, the bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalHeader {
    pub(crate) size: u64,
    pub(crate) digest: Option<String>,
    pub(crate) validator: Option<String>,
    /// The boot in which they were written.
    pub(crate) boot: String,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    lines: usize,
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) subject: Option<JournalHeader>,
    done: Vec<Range<u64>>,
    synced: usize,
}

impl Entries {
    /// Reads a journal; what is not there, or makes no sense, says nothing.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = durable_fs::read(path, MAX_BYTES).ok().flatten().unwrap_or_default();
        let Ok(text) = String::from_utf8(bytes) else { return Self::default() };
        let mut lines = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
        let subject = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let mut entries = Self { subject, ..Self::default() };
        for line in lines {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["done", start, end] => match (start.parse(), end.parse()) {
                    (Ok(start), Ok(end)) => entries.done.push(start..end),
                    _ => break,
                },
                ["validator", ..] => {
                    let validator = line.strip_prefix("validator ").map(str::to_owned);
                    if let Some(subject) = &mut entries.subject {
                        subject.validator = validator;
                    }
                }
                ["synced", count] => entries.synced = count.parse().unwrap_or(0),
                _ => break,
            }
        }
        entries
    }

    /// The bytes that are surely there: all that were written in this boot, or those that were synced in another.
    pub(crate) fn ranges(&self, boot: &str) -> Ranges {
        let same_boot = self.subject.as_ref().is_some_and(|subject| subject.boot == boot);
        if same_boot { self.of_lines(self.done.len()) } else { self.synced() }
    }

    /// The bytes that had reached the disk.
    pub(crate) fn synced(&self) -> Ranges {
        self.of_lines(self.synced)
    }

    fn of_lines(&self, count: usize) -> Ranges {
        let mut ranges = Ranges::default();
        self.done.iter().take(count).for_each(|range| ranges.add(range.clone()));
        ranges
    }
}

impl Journal {
    /// Begins a journal anew, with the bytes that are there already, of which some have reached the disk. Where there are any,
    /// the old one is there until the new one is whole.
    pub(crate) fn begin(
        path: &Path,
        subject: &JournalHeader,
        have: &Ranges,
        synced: &Ranges,
    ) -> Result<Self> {
        let mut text = first_line(subject)?;
        let (durable, all): (Vec<_>, Vec<_>) = (synced.iter().collect(), have.iter().collect());
        text.extend(durable.iter().map(line));
        if !durable.is_empty() {
            let _ = writeln!(text, "synced {}", durable.len());
        }
        text.extend(all.iter().map(line));
        let lines = durable.len() + all.len();
        if lines > 0 {
            durable_fs::replace(path, text.as_bytes()).map_err(io::Error::from)?;
        }
        let mut file = durable_fs::open_own(path).map_err(io::Error::from)?;
        if lines > 0 {
            file.seek(SeekFrom::End(0))?;
        } else {
            cut(&file, 0)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(Self { file, lines })
    }

    /// Notes that bytes were written.
    pub(crate) fn done(&mut self, range: &Range<u64>) -> Result<()> {
        self.file.write_all(line(range).as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    /// Notes which state of the file this is.
    pub(crate) fn validator(&mut self, validator: &str) -> Result<()> {
        // One that would break the line is kept as one that nothing matches.
        let line = validator.replace(['\n', '\r'], " ");
        Ok(self.file.write_all(format!("validator {line}\n").as_bytes())?)
    }

    /// How many lines there are, for [`synced`](Self::synced).
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Notes that the bytes of the first lines have reached the disk, and makes that durable.
    pub(crate) fn synced(&mut self, lines: usize) -> Result<()> {
        self.file.write_all(format!("synced {lines}\n").as_bytes())?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Forgets all entries.
    pub(crate) fn reset(&mut self, subject: &JournalHeader) -> Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(first_line(subject)?.as_bytes())?;
        self.lines = 0;
        Ok(())
    }
}

fn first_line(subject: &JournalHeader) -> Result<String> {
    let mut text = serde_json::to_string(subject).map_err(io::Error::from)?;
    text.push('\n');
    Ok(text)
}

fn line(range: &Range<u64>) -> String {
    format!("done {} {}\n", range.start, range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_boot_believes_only_what_was_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let subject =
            JournalHeader { size: 100, digest: None, validator: Some("v".into()), boot: "one".into() };
        let mut have = Ranges::default();
        have.add(10..20);
        let mut journal = Journal::begin(&path, &subject, &have, &Ranges::default()).unwrap();
        journal.done(&(0..10)).unwrap();
        journal.synced(journal.lines()).unwrap();
        journal.done(&(20..30)).unwrap();
        journal.file.write_all(b"done 30 4").unwrap();
        let entries = Entries::read(&path);
        assert_eq!(entries.subject, Some(subject.clone()));
        assert_eq!((entries.ranges("one").frontier(), entries.ranges("two").frontier()), (30, 20));
        // One that is begun anew knows what had reached the disk, and what had not.
        let begun = |path: &Path| {
            let known = Entries::read(path);
            Journal::begin(path, &subject, &known.ranges("one"), &known.synced()).unwrap()
        };
        for _ in 0..2 {
            let mut journal = begun(&path);
            journal.done(&(30..40)).unwrap();
            let entries = Entries::read(&path);
            assert_eq!((entries.ranges("one").frontier(), entries.ranges("two").frontier()), (40, 20));
        }
        let mut journal = begun(&path);
        journal.synced(journal.lines()).unwrap();
        assert_eq!(Entries::read(&path).ranges("two").frontier(), 40);
        journal.reset(&subject).unwrap();
        assert_eq!(Entries::read(&path).ranges("one").len(), 0);
    }

    #[test]
    fn nonsense_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        for text in ["", "x", "{}\ndone 1 2\n", "{\"size\":1}\n", "\0\0\0\n"] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(Entries::read(&path).subject, None, "{text}");
        }
    }
}
