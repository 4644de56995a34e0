//! Reads the end of a file: the last line of the chain, and what lies behind it.

use std::{
    fs::File,
    io::{BufReader, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    gap::Gap,
    line::{Parsed, Span, VERSION, parse},
    lines::Lines,
    position::Position,
};

/// How many bytes of the end are read at first, and after that. A usual line is much shorter than the first. Behind the last,
/// the whole file is read.
const BLOCKS: [u64; 3] = [4 << 10, 64 << 10, 1 << 20];

/// Holds the last line of a log, and how many bytes lie behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number and the hash of the last line.
    pub position: Position,
    /// The length of what a writer that died left behind the line, in bytes. The next line says that it was there.
    pub torn_bytes: u64,
}

/// Describes the end of a file.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The length of the file, in bytes.
    pub(crate) len: u64,
    /// The last line of the chain.
    pub(crate) head: Option<Position>,
    /// What lies behind that line, or all of a file without one.
    pub(crate) gap: Option<Span>,
    /// Says whether the file is empty, or a newline ends it.
    pub(crate) is_ended: bool,
}

impl Tail {
    /// Reads the end of a file.
    pub(crate) fn of(file: &File, path: &Path) -> Result<Self> {
        let len = file.metadata()?.len();
        if len == 0 {
            return Ok(Self { is_ended: true, ..Self::default() });
        }
        for block in BLOCKS {
            let start = len.saturating_sub(block);
            let mut bytes = vec![0; usize::try_from(len - start).unwrap_or_default()];
            file.read_exact_at(&mut bytes, start)?;
            if let Some(tail) = in_block(&bytes, start == 0, len, path)? {
                return Ok(tail);
            }
        }
        whole(file, path, len)
    }
}

/// Returns the tail, if the last line of the chain lies in the last bytes of a file.
fn in_block(bytes: &[u8], is_all: bool, len: u64, path: &Path) -> Result<Option<Tail>> {
    let is_ended = bytes.last() == Some(&b'\n');
    let mut end = bytes.len();
    loop {
        let start = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // The first line of a block may lack its beginning.
        if start == 0 && !is_all {
            return Ok(None);
        }
        if let Some(seq) = seq_of(&bytes[start..end], path)? {
            let head = Position::of(seq, &bytes[start..end]);
            let gap = bytes.get(end + 1..).filter(|gap| !gap.is_empty()).map(span_of);
            return Ok(Some(Tail { len, head: Some(head), gap, is_ended }));
        }
        if start == 0 {
            return Ok(Some(Tail { len, head: None, gap: Some(span_of(bytes)), is_ended }));
        }
        end = start - 1;
    }
}

/// Reads a whole file for its tail.
fn whole(mut file: &File, path: &Path, len: u64) -> Result<Tail> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(BufReader::new(file));
    let (mut head, mut gap, mut is_ended) = (None, Gap::default(), true);
    while let Some(line) = lines.next()? {
        is_ended = line.is_ended;
        match seq_of(line.text, path)?.filter(|_| line.is_whole) {
            Some(seq) => {
                head = Some(Position::of(seq, line.text));
                gap = Gap::default();
            }
            None => gap.add(&line),
        }
    }
    let gap = (!gap.is_empty()).then(|| gap.span());
    Ok(Tail { len, head, gap, is_ended })
}

/// Returns the number of the first line of the chain in a file.
pub(crate) fn first_seq(mut file: &File, path: &Path) -> Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(BufReader::new(file));
    while let Some(line) = lines.next()? {
        if let Some(seq) = seq_of(line.text, path)?.filter(|_| line.is_whole) {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// Returns the number of a line; `None` for bytes that are not a line of the chain.
fn seq_of(text: &[u8], path: &Path) -> Result<Option<u64>> {
    match parse(text) {
        Parsed::Link(link) => Ok(Some(link.seq)),
        Parsed::Newer(found) => Err(Error::Newer { path: path.to_owned(), found, known: VERSION }),
        Parsed::Other => Ok(None),
    }
}

fn span_of(bytes: &[u8]) -> Span {
    Span { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}
