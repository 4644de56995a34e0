//! Reads the lines of a file one after the other, in bounded memory.

use std::io::{self, BufRead, Read};

use crate::line::MAX_LINE_BYTES;

/// Holds the bytes up to a newline, or up to the end of the file.
pub(crate) struct RawLine<'a> {
    /// The bytes, without the newline.
    pub(crate) text: &'a [u8],
    /// The number of the line in its file, from 1 on.
    pub(crate) number: u64,
    /// Says whether a newline ends the line.
    pub(crate) is_ended: bool,
    /// Says whether these are all bytes of the line. A line over the limit comes in several parts.
    pub(crate) is_whole: bool,
}

/// Reads lines.
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
    is_inside: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), number: 0, is_inside: false }
    }

    /// Returns the next line, or the next part of one that is over the limit; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        let was_inside = self.is_inside;
        if !was_inside {
            self.number += 1;
        }
        let is_ended = self.buffer.last() == Some(&b'\n');
        let is_cut = !is_ended && self.buffer.len() as u64 > MAX_LINE_BYTES;
        self.is_inside = is_cut;
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        Ok(Some(RawLine { text, number: self.number, is_ended, is_whole: !was_inside && !is_cut }))
    }
}
