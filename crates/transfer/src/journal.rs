//! Keeps the journal, which says which bytes of a file are there.
//!
//! The journal is text, one entry a line. The first line is the header, a JSON object that says of which file in which state
//! the bytes are. `done <start> <end>` follows a write of those bytes. `synced <n>` follows a sync of the bytes of the first `n`
//! such lines. `validator <text>` names the state of the file, once the source gives it. The sink only appends to a journal. A
//! line that was cut off ends the reading.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{error::Result, ranges::Ranges, truncate::truncate};

/// Limits the journal that a transfer reads, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Says of which file, in which state, the bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalHeader {
    pub(crate) size: u64,
    pub(crate) digest: Option<String>,
    pub(crate) validator: Option<String>,
    /// The boot in which the sink wrote them.
    pub(crate) boot: String,
}

/// Appends to a journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    lines: usize,
    /// The line that says of which state of the file the next bytes are, until it is written.
    validator: Option<String>,
}

/// Holds the entries of a journal.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) header: Option<JournalHeader>,
    done: Vec<Range<u64>>,
    synced: usize,
}

impl Entries {
    /// Reads a journal. An absent journal has no entries, and neither has one without a header.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = durable_fs::read(path, MAX_BYTES).ok().flatten().unwrap_or_default();
        let Ok(text) = String::from_utf8(bytes) else { return Self::default() };
        let mut lines = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
        let header = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let mut entries = Self { header, ..Self::default() };
        for line in lines {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["done", start, end] => match (start.parse(), end.parse()) {
                    (Ok(start), Ok(end)) => entries.done.push(start..end),
                    _ => break,
                },
                ["validator", ..] => {
                    let validator = line.strip_prefix("validator ").map(str::to_owned);
                    if let Some(header) = &mut entries.header {
                        header.validator = validator;
                    }
                }
                ["synced", count] => entries.synced = count.parse().unwrap_or(0),
                _ => break,
            }
        }
        entries
    }

    /// Returns the bytes that are surely there: all that were written in this boot, or those that were synced in another.
    pub(crate) fn ranges(&self, boot: &str) -> Ranges {
        let same_boot = self.header.as_ref().is_some_and(|header| header.boot == boot);
        if same_boot { self.of_lines(self.done.len()) } else { self.synced() }
    }

    /// Returns the bytes that had reached the disk.
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
    /// the old journal stays until the new one is whole.
    pub(crate) fn begin(path: &Path, header: &JournalHeader, have: &Ranges, synced: &Ranges) -> Result<Self> {
        let mut text = header_line(header)?;
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
            truncate(&file, 0)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(Self { file, lines, validator: None })
    }

    /// Notes a write, and the state of the file where that is new.
    pub(crate) fn done(&mut self, range: &Range<u64>) -> Result<()> {
        let validator = self.validator.take().unwrap_or_default();
        self.file.write_all((validator + &line(range)).as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    /// Keeps the state of the file for the next write. It does not block.
    pub(crate) fn identify(&mut self, validator: &str) {
        // A line break would end the entry. Without it, the entry matches no validator.
        self.validator = Some(format!("validator {}\n", validator.replace(['\n', '\r'], " ")));
    }

    /// Returns how many lines there are, for [`synced`](Self::synced).
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Notes that the bytes of the first lines have reached the disk, and makes that durable.
    pub(crate) fn synced(&mut self, lines: usize) -> Result<()> {
        self.file.write_all(format!("synced {lines}\n").as_bytes())?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Removes all entries.
    pub(crate) fn reset(&mut self, header: &JournalHeader) -> Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(header_line(header)?.as_bytes())?;
        (self.lines, self.validator) = (0, None);
        Ok(())
    }
}

fn header_line(header: &JournalHeader) -> Result<String> {
    let mut text = serde_json::to_string(header).map_err(io::Error::from)?;
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
        let header =
            JournalHeader { size: 100, digest: None, validator: Some("v".into()), boot: "one".into() };
        let mut have = Ranges::default();
        have.add(10..20);
        let mut journal = Journal::begin(&path, &header, &have, &Ranges::default()).unwrap();
        journal.done(&(0..10)).unwrap();
        journal.synced(journal.lines()).unwrap();
        journal.done(&(20..30)).unwrap();
        journal.file.write_all(b"done 30 4").unwrap();
        let entries = Entries::read(&path);
        assert_eq!(entries.header, Some(header.clone()));
        assert_eq!((entries.ranges("one").frontier(), entries.ranges("two").frontier()), (30, 20));
        // A journal that begins anew says which bytes had reached the disk, and which had not.
        let begun = |path: &Path| {
            let known = Entries::read(path);
            Journal::begin(path, &header, &known.ranges("one"), &known.synced()).unwrap()
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
        journal.reset(&header).unwrap();
        assert_eq!(Entries::read(&path).ranges("one").len(), 0);
    }

    #[test]
    fn the_state_of_a_file_is_noted_with_its_next_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let header = JournalHeader { size: 100, digest: None, validator: None, boot: "one".into() };
        let mut journal = Journal::begin(&path, &header, &Ranges::default(), &Ranges::default()).unwrap();
        let validator = || Entries::read(&path).header.unwrap().validator;
        journal.identify("\"a\nb\"");
        assert_eq!(validator(), None);
        for range in [0..10, 10..20] {
            journal.done(&range).unwrap();
            assert_eq!(validator().as_deref(), Some("\"a b\""));
        }
        assert_eq!(Entries::read(&path).ranges("one").frontier(), 20);
        journal.identify("\"c\"");
        journal.reset(&header).unwrap();
        journal.done(&(0..10)).unwrap();
        assert_eq!(validator(), None, "another attempt asks anew");
    }

    #[test]
    fn nonsense_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        for text in ["", "x", "{}\ndone 1 2\n", "{\"size\":1}\n", "\0\0\0\n"] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(Entries::read(&path).header, None, "{text}");
        }
    }
}
