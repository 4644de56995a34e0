//! Hashes the bytes between two lines of the chain.

use sha2::{Digest as _, Sha256};

use crate::{line::Span, lines::RawLine};

/// Collects what lies between two lines: fragments of dead writers, and lines without a chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gap {
    bytes: u64,
    hasher: Sha256,
    /// The state before the last newline: the writer of the next line may have added that one.
    before_newline: Option<(u64, Sha256)>,
    /// The number of the first line.
    pub(crate) first_line: u64,
    /// How many lines there are.
    pub(crate) lines: u64,
}

impl Gap {
    /// Adds a line, or a part of one.
    pub(crate) fn add(&mut self, line: &RawLine<'_>) {
        if self.bytes == 0 {
            self.first_line = line.number;
        }
        self.lines = line.number + 1 - self.first_line;
        self.hasher.update(line.text);
        self.bytes += line.text.len() as u64;
        self.before_newline = None;
        if line.is_ended {
            self.before_newline = Some((self.bytes, self.hasher.clone()));
            self.hasher.update(b"\n");
            self.bytes += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Returns whether a newline ends the bytes.
    pub(crate) fn is_ended(&self) -> bool {
        self.before_newline.is_some()
    }

    /// Returns the length and the hash of all bytes.
    pub(crate) fn span(&self) -> Span {
        Span { bytes: self.bytes, sha256: self.hasher.clone().finalize().into() }
    }

    /// Returns whether a line that names this span was written behind these bytes.
    pub(crate) fn is_named_by(&self, span: &Span) -> bool {
        let without = self.before_newline.as_ref();
        let without =
            without.map(|(bytes, hasher)| Span { bytes: *bytes, sha256: hasher.clone().finalize().into() });
        self.span() == *span || without.as_ref() == Some(span)
    }
}
