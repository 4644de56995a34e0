//! Reads pieces of a file, within the limits of one look.

use std::io;

use provisioner_core::Format;

use crate::{buffer::Buffer, source::ByteSource};

/// Limits what one look reads of a file, in bytes.
pub const MAX_BYTES: u64 = 32 << 20;
/// Limits how often one look reads.
pub(super) const MAX_READS: u32 = 100_000;

/// Says why a look ended without an answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file needs more reading than a look may do.
    Limit,
    /// The source failed.
    Io(io::Error),
}

/// Is what a look found, or why it ended.
pub(super) type Told<T> = Result<T, Stop>;

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Names a part of a file: the whole of it, or a member of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u64,
    len: u64,
}

impl Span {
    pub(super) fn len(self) -> u64 {
        self.len
    }

    /// Returns a part of this one, cut off at its end.
    pub(super) fn part(self, offset: u64, len: u64) -> Self {
        let offset = offset.min(self.len);
        Self { start: self.start.saturating_add(offset), len: len.min(self.len - offset) }
    }
}

/// How deep archives in archives are followed.
pub(super) const MAX_DEPTH: usize = 3;

/// Tells the format of a part of a file, which has a name and lies so deep in archives.
pub(super) type Teller = fn(&mut Look<'_>, Span, &str, usize) -> Told<Format>;

/// One look at a file, with what it may still read.
pub(super) struct Look<'a> {
    source: &'a mut dyn ByteSource,
    left_bytes: u64,
    left_reads: u32,
    is_beginning: bool,
    teller: Teller,
}

impl<'a> Look<'a> {
    pub(super) fn new(source: &'a mut dyn ByteSource, teller: Teller) -> Self {
        Self { source, left_bytes: MAX_BYTES, left_reads: MAX_READS, is_beginning: false, teller }
    }

    /// Returns the format of a member of an archive.
    pub(super) fn member(&mut self, span: Span, file_name: &str, depth: usize) -> Told<Format> {
        (self.teller)(self, span, file_name, depth + 1)
    }

    /// Returns the format of a member of which these are the first bytes.
    pub(super) fn member_beginning(&self, bytes: &[u8], file_name: &str, depth: usize) -> Told<Format> {
        let mut source = bytes;
        let mut look = Look { is_beginning: true, ..Look::new(&mut source, self.teller) };
        let whole = look.whole();
        look.member(whole, file_name, depth)
    }

    /// Returns whether the file goes on behind the bytes of the source.
    pub(super) fn is_beginning(&self) -> bool {
        self.is_beginning
    }

    pub(super) fn whole(&self) -> Span {
        Span { start: 0, len: self.source.size_bytes() }
    }

    /// Reads so many bytes, or fewer where the part ends.
    pub(super) fn read(&mut self, span: Span, offset: u64, bytes: usize) -> Told<Vec<u8>> {
        let part = span.part(offset, bytes as u64);
        if part.len > self.left_bytes {
            return Err(Stop::Limit);
        }
        // Not more than `bytes`, which the caller counted itself.
        let mut found = vec![0; usize::try_from(part.len).unwrap_or(0)];
        let mut filled = 0;
        while let Some(rest) = found.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            self.left_reads = self.left_reads.checked_sub(1).ok_or(Stop::Limit)?;
            match self.source.read_at(part.start + filled as u64, rest) {
                // The file is shorter by now; its stamp says so.
                Ok(0) => break,
                Ok(read) => filled += read.min(rest.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        found.truncate(filled);
        self.left_bytes -= filled as u64;
        Ok(found)
    }
}

/// Goes over a part of a file from its front.
pub(super) struct Cursor<'l, 'a> {
    look: &'l mut Look<'a>,
    span: Span,
    /// What was read of the part.
    buffer: Buffer,
    piece: usize,
}

/// The first piece that a cursor reads, in bytes, and the longest one.
const PIECES: (usize, usize) = (512, 64 * 1024);

impl<'l, 'a> Cursor<'l, 'a> {
    pub(super) fn new(look: &'l mut Look<'a>, span: Span) -> Self {
        Self { look, span, buffer: Buffer::default(), piece: PIECES.0 }
    }

    /// Returns how many bytes are left to the end of the part.
    pub(super) fn left(&self) -> u64 {
        self.span.len.saturating_sub(self.offset())
    }

    pub(super) fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// Takes the next bytes, which must be few. `None` where the part ends before.
    pub(super) fn take(&mut self, bytes: usize) -> Told<Option<&[u8]>> {
        if self.buffer.rest().len() < bytes && !self.fill(bytes)? {
            return Ok(None);
        }
        Ok(self.buffer.take(bytes))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Told<Option<[u8; N]>> {
        Ok(self.take(N)?.and_then(|bytes| bytes.try_into().ok()))
    }

    /// Skips the next bytes. Returns whether the part has them.
    pub(super) fn skip(&mut self, bytes: u64) -> bool {
        if bytes > self.left() {
            return false;
        }
        self.buffer.skip(bytes);
        true
    }

    /// Takes the bytes up to the next line feed, and that one. Returns up to `most` of them, and whether a line feed follows.
    pub(super) fn line(&mut self, most: usize) -> Told<(Vec<u8>, bool)> {
        let mut line = Vec::new();
        loop {
            let rest = self.buffer.rest();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            line.extend_from_slice(
                part.get(..part.len().min(most.saturating_sub(line.len()))).unwrap_or_default(),
            );
            // The line feed too.
            let taken = part.len() as u64 + u64::from(end.is_some());
            self.buffer.skip(taken);
            if end.is_some() {
                return Ok((line, true));
            }
            if !self.fill(1)? {
                return Ok((line, false));
            }
        }
    }

    /// Reads so many bytes into the buffer, or more. Returns whether the part has them.
    fn fill(&mut self, bytes: usize) -> Told<bool> {
        self.buffer.unread();
        while let Some(missing) = bytes.checked_sub(self.buffer.rest().len()).filter(|missing| *missing > 0) {
            let wanted = missing.max(self.piece).min(PIECES.1);
            let more = self.look.read(self.span, self.buffer.end(), wanted)?;
            if more.is_empty() {
                return Ok(false);
            }
            self.piece = (self.piece * 2).min(PIECES.1);
            self.buffer.unread().extend_from_slice(&more);
        }
        Ok(true)
    }
}
