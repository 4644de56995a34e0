//! Holds the piece of a file that a reader goes over from its front. Who reads the piece, and within what limits, is the reader's matter:
//! the `window` of a header and the cursor of a look at a format each have their own.

/// Holds a piece of a file, and how much of it is taken.
#[derive(Default)]
pub(crate) struct Buffer {
    /// The offset in the file at which the piece begins.
    start: u64,
    bytes: Vec<u8>,
    /// The offset in the piece of the next byte.
    at: usize,
}

impl Buffer {
    /// Returns the offset in the file of the next byte.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Returns the offset in the file of the byte behind the piece.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Returns the bytes that are not taken yet.
    #[inline]
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes the next bytes. `None` where the piece has fewer.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..)?.get(..bytes)?;
        self.at += bytes;
        Some(taken)
    }

    /// Skips the next bytes, also past the end of the piece.
    #[inline]
    pub(crate) fn skip(&mut self, bytes: u64) {
        match usize::try_from(bytes) {
            Ok(inside) if inside <= self.rest().len() => self.at += inside,
            _ => {
                self.start = self.offset().saturating_add(bytes);
                self.bytes.clear();
                self.at = 0;
            }
        }
    }

    /// Drops what is taken, and returns the rest for a reader that adds to it.
    pub(crate) fn unread(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.at);
        self.start += self.at as u64;
        self.at = 0;
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_count_of_the_file() {
        let mut buffer = Buffer::default();
        buffer.unread().extend_from_slice(b"abcdef");
        assert_eq!(buffer.take(2), Some(b"ab".as_slice()));
        assert_eq!(buffer.take(5), None);
        assert_eq!((buffer.rest(), buffer.offset(), buffer.end()), (b"cdef".as_slice(), 2, 6));
        buffer.skip(1);
        assert_eq!(buffer.unread(), b"def");
        assert_eq!((buffer.offset(), buffer.end()), (3, 6));
        buffer.skip(10);
        assert_eq!((buffer.offset(), buffer.end(), buffer.rest()), (13, 13, b"".as_slice()));
        buffer.unread().push(b'x');
        assert_eq!(buffer.take(1), Some(b"x".as_slice()));
        assert_eq!(buffer.offset(), 14);
        buffer.skip(u64::MAX);
        assert_eq!(buffer.offset(), u64::MAX, "no sum overflows");
    }
}
