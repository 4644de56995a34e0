//! Tells what a zip holds by its directory: `PyTorch`'s archives, `TorchScript`, Keras, and `NumPy`'s.
//!
//! Source: APPNOTE.TXT of PKWARE, version 6.3.10, sections 4.3 and 4.5. A zip is read from its end, so any bytes may stand before it,
//! and it may have several ends. Each end record is followed, with its directory at the offset that it says and where it would
//! lie behind a prefix, and both again for zip64. Loaders differ in which of them they take.

mod contents;
mod entry;
mod record;

use contents::Contents;
use entry::Entry;
use provisioner_core::Format;
use record::{END, END64, ENTRY, LOCAL, LOCATOR64, number};

use super::{
    danger::worst,
    look::{Cursor, Look, MAX_DEPTH, Span, Stop, Told},
};

const END_BYTES: usize = 22;
const LOCATOR64_BYTES: usize = 20;
const END64_BYTES: usize = 56;
/// How far from the end of a file the end record may begin, in bytes: it ends with a comment.
const TAIL: usize = END_BYTES + 0xffff;
/// Limits the end records that are followed.
const MAX_ENDS: usize = 32;
/// Limits the members of a directory.
const MAX_ENTRIES: usize = 1 << 17;

/// Returns the worst format that a zip shows; `None` where the file is not a zip, or shows none that runs code.
pub(super) fn tell(look: &mut Look<'_>, span: Span, beginning: &[u8], depth: usize) -> Told<Option<Format>> {
    let is_named_so = beginning.starts_with(LOCAL) || beginning.starts_with(END);
    if look.is_beginning() {
        return Ok(is_named_so.then_some(Format::Archive));
    }
    let Some(ends) = ends(look, span)? else { return Ok(Some(Format::Archive)) };
    let directories = directories(look, span, &ends)?;
    if directories.is_empty() {
        let is_empty = ends.iter().any(End::is_of_an_empty_zip);
        return Ok((is_named_so && !is_empty).then_some(Format::Archive));
    }
    if depth >= MAX_DEPTH {
        return Err(Stop::Limit);
    }
    let mut found = None;
    for directory in directories {
        found = worst(found, directory.tell(look, span, depth)?);
        if found == Some(Format::Pickle) {
            break;
        }
    }
    Ok(found)
}

/// What an end record says.
struct End {
    /// The offset of the record.
    at: u64,
    entries: u64,
    size: u64,
    offset: u64,
    is_split: bool,
}

impl End {
    fn is_of_an_empty_zip(&self) -> bool {
        self.entries == 0 && self.size == 0 && self.offset == self.at && self.at == 0
    }
}

/// Finds the end records, the last one first. `None` for too many.
fn ends(look: &mut Look<'_>, span: Span) -> Told<Option<Vec<End>>> {
    let from = span.len().saturating_sub(TAIL as u64);
    let tail = look.read(span, from, TAIL)?;
    let mut ends = Vec::new();
    let mut seen = 0;
    for at in (0..tail.len().saturating_sub(END_BYTES - 1)).rev() {
        let Some(record) = tail.get(at..at + END_BYTES).filter(|record| record.starts_with(END)) else {
            continue;
        };
        seen += 1;
        if seen > MAX_ENDS {
            return Ok(None);
        }
        let at = from + at as u64;
        let end = End {
            at,
            is_split: number(record, 4, 2) != 0 || number(record, 6, 2) != 0,
            entries: number(record, 10, 2),
            size: number(record, 12, 4),
            offset: number(record, 16, 4),
        };
        ends.extend(ends64(look, span, &end)?);
        ends.push(end);
    }
    Ok(Some(ends))
}

/// Finds the records of zip64 of an end: where its locator says, and right before it.
fn ends64(look: &mut Look<'_>, span: Span, end: &End) -> Told<Vec<End>> {
    let Some(at) = end.at.checked_sub(LOCATOR64_BYTES as u64) else { return Ok(Vec::new()) };
    let locator = look.read(span, at, LOCATOR64_BYTES)?;
    if !locator.starts_with(LOCATOR64) {
        return Ok(Vec::new());
    }
    let mut ends: Vec<End> = Vec::new();
    for at in [Some(number(&locator, 8, 8)), at.checked_sub(END64_BYTES as u64)].into_iter().flatten() {
        let record = look.read(span, at, END64_BYTES)?;
        if record.len() == END64_BYTES && record.starts_with(END64) && ends.iter().all(|end| end.at != at) {
            ends.push(End {
                at,
                entries: number(&record, 32, 8),
                size: number(&record, 40, 8),
                offset: number(&record, 48, 8),
                is_split: number(&record, 16, 4) != 0 || number(&record, 20, 4) != 0,
            });
        }
    }
    Ok(ends)
}

/// One directory, where an end record says that it lies.
struct Directory {
    at: u64,
    /// How far the directory lies behind the offset that its end says: the length of a prefix.
    shift: u64,
    entries: u64,
    is_split: bool,
}

/// Finds the directories of some ends, each once.
fn directories(look: &mut Look<'_>, span: Span, ends: &[End]) -> Told<Vec<Directory>> {
    let mut found: Vec<Directory> = Vec::new();
    for end in ends {
        for at in [Some(end.offset), end.at.checked_sub(end.size)].into_iter().flatten() {
            let is_known = found.iter().any(|known| known.at == at);
            if !is_known && look.read(span, at, ENTRY.len())? == ENTRY {
                let shift = at.saturating_sub(end.offset);
                found.push(Directory { at, shift, entries: end.entries, is_split: end.is_split });
            }
        }
    }
    Ok(found)
}

impl Directory {
    fn tell(&self, look: &mut Look<'_>, span: Span, depth: usize) -> Told<Option<Format>> {
        let mut contents = Contents::default();
        let mut count = 0;
        {
            let mut cursor = Cursor::new(look, span.part(self.at, u64::MAX));
            while let Some(entry) = Entry::read(&mut cursor)? {
                count += 1;
                if count > MAX_ENTRIES {
                    contents.contradicts();
                    break;
                }
                contents.add(entry);
            }
        }
        // Without zip64 the count has two bytes, and some writers let it run over.
        let is_right = self.entries == count as u64 || self.entries == count as u64 & 0xffff;
        if !is_right || self.is_split {
            contents.contradicts();
        }
        contents.tell(look, span, self.at, self.shift, depth)
    }
}
