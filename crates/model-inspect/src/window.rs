//! Moves a window over a file, from its front, and reads little more than it must.
//!
//! # Model
//! The window holds a piece of the file. It grows with what was read before: each piece is as long as all pieces so far,
//! up to [`LARGEST_PIECE`]. So a header of `n` bytes costs less than `2 n` (or one first piece), in few reads. The window
//! never reads what a caller skips past its end.
//!
//! # Limits
//! All bytes of a header, skipped ones included, lie below [`MAX_HEADER_BYTES`]. Every count in a header is compared
//! with the bytes that are left below that limit and below the end of the file, before anything is done with it.

use std::io;

use crate::{ByteSource, Error, Result, buffer::Buffer};

/// Limits the header, in bytes. The longest headers known, with a vocabulary of 262,144 tokens and as many merges,
/// have about 16 MiB.
pub(crate) const MAX_HEADER_BYTES: u64 = 256 << 20;

const LARGEST_PIECE: u64 = 1 << 20;

pub(crate) struct Window<'a> {
    source: &'a mut dyn ByteSource,
    size: u64,
    buffer: Buffer,
    read: u64,
}

impl<'a> Window<'a> {
    pub(crate) fn new(source: &'a mut dyn ByteSource) -> Self {
        let size = source.size_bytes();
        Self { source, size, buffer: Buffer::default(), read: 0 }
    }

    /// Returns the offset in the file of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// Returns how many bytes the file has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Checks that so many bytes may still follow. The name says in an error what they are.
    #[inline]
    pub(crate) fn expect(&self, bytes: u64, what: &str) -> Result<()> {
        if bytes <= self.size.min(MAX_HEADER_BYTES).saturating_sub(self.offset()) {
            return Ok(());
        }
        Err(self.too_little(bytes, what))
    }

    #[cold]
    fn too_little(&self, bytes: u64, what: &str) -> Error {
        let left = self.size.saturating_sub(self.offset());
        let reason = if bytes > left {
            format!("truncated: {what} needs {bytes} bytes, and {left} are left")
        } else {
            format!("{what} goes past {MAX_HEADER_BYTES} bytes, the longest header that is read")
        };
        Error::unsound_at(self.offset(), reason)
    }

    /// Takes the next bytes. They must be few, for they must lie in the buffer.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize, what: &str) -> Result<&[u8]> {
        if self.buffer.rest().len() < bytes {
            self.expect(bytes as u64, what)?;
            self.fill(bytes, what)?;
        }
        // `fill` has made sure that they are there.
        Ok(self.buffer.take(bytes).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let taken = self.take(N, what)?;
        Ok(taken.try_into().unwrap_or([0; N]))
    }

    #[inline]
    pub(crate) fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Skips the next bytes.
    #[inline]
    pub(crate) fn skip(&mut self, bytes: u64, what: &str) -> Result<()> {
        self.expect(bytes, what)?;
        self.buffer.skip(bytes);
        Ok(())
    }

    /// Skips so many strings, each its length and its bytes. A vocabulary has hundreds of thousands. For strings in the buffer it
    /// makes no further check: what is in the buffer is in the file.
    pub(crate) fn skip_strings(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            while let Some((length, after)) = self.buffer.rest().split_first_chunk() {
                let length = u64::from_le_bytes(*length);
                if length > after.len() as u64 {
                    break;
                }
                self.buffer.skip(size_of::<u64>() as u64 + length);
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            let length = self.u64("the length of a string")?;
            self.skip(length, "a string")?;
            left -= 1;
        }
        Ok(())
    }

    /// Reads so many bytes into the buffer, and more, as the window grows.
    fn fill(&mut self, bytes: usize, what: &str) -> Result<()> {
        let start = self.buffer.offset();
        let mut filled = self.buffer.unread().len();
        while filled < bytes {
            if self.buffer.end() == start + filled as u64 {
                self.grow();
            }
            let Some(rest) = self.buffer.unread().get_mut(filled..) else { break };
            match self.source.read_at(start + filled as u64, rest) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read.min(rest.len());
                    self.read += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer.unread().truncate(filled);
        if filled < bytes { Err(self.ended(what)) } else { Ok(()) }
    }

    /// Makes room for the next piece: as long as all pieces so far, and not past the end of the file.
    fn grow(&mut self) {
        let first = (self.source.first_read_bytes() as u64).clamp(1, LARGEST_PIECE);
        let left = self.size.saturating_sub(self.buffer.end());
        let piece = self.read.clamp(first, LARGEST_PIECE).min(left);
        let bytes = self.buffer.unread();
        bytes.resize(bytes.len() + usize::try_from(piece).unwrap_or(0), 0);
    }

    #[cold]
    fn ended(&self, what: &str) -> Error {
        let end = self.buffer.end();
        let reason =
            format!("its source ended at byte {end}, in {what}, and had promised {} bytes", self.size);
        Error::unsound_at(end, reason)
    }
}

/// Reads a whole small file, up to a limit in bytes.
pub(crate) fn read_whole(source: &mut dyn ByteSource, limit: u64) -> Result<Vec<u8>> {
    let size = source.size_bytes();
    if size > limit {
        return Err(Error::unsound(format!("it has {size} bytes, and is read only up to {limit}")));
    }
    let mut window = Window::new(source);
    let mut bytes = Vec::new();
    while window.offset() < size {
        let piece = usize::try_from((size - window.offset()).min(4096)).unwrap_or(1);
        bytes.extend_from_slice(window.take(piece, "it")?);
    }
    Ok(bytes)
}
