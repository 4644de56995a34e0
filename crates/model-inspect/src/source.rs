//! Gives the bytes of a file, wherever it is.

use std::io::{self, Read, Seek, SeekFrom};

use fs_err::os::unix::fs::FileExt;

/// Gives the bytes of one file: from a disk, from memory, or by ranged requests.
///
/// # Contract
/// - `read_at` reads up to as many bytes as the buffer holds, from an offset in the file, and returns how many; fewer is
///   allowed, none means that there is nothing at that offset.
/// - The reader asks it only for bytes below `size_bytes`.
/// - The reader reads a header from the front, in pieces that double what it read before, up to 1 MiB; so it reads less than
///   twice the header. It leaves out bytes that do not matter.
pub trait ByteSource {
    /// Returns the size of the file, in bytes.
    fn size_bytes(&self) -> u64;

    /// Reads bytes from an offset.
    ///
    /// # Errors
    /// What the operating system or the server says.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Returns how many bytes to read first. A source that pays for each request says more.
    fn first_read_bytes(&self) -> usize {
        4096
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Box<S> {
    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn first_read_bytes(&self) -> usize {
        (**self).first_read_bytes()
    }
}

impl ByteSource for &[u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }
}

/// Gives the bytes of a file on this machine.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: fs_err::File,
    size_bytes: u64,
}

impl OpenFile {
    pub(crate) fn open(path: &std::path::Path) -> io::Result<Self> {
        let file = fs_err::File::open(path)?;
        let size_bytes = file.metadata()?.len();
        Ok(Self { file, size_bytes })
    }
}

impl ByteSource for OpenFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

/// Gives the bytes of any reader that can seek.
///
/// ```
/// use model_inspect::{ByteSource, Seekable};
///
/// let source = Seekable::new(std::io::Cursor::new(b"GGUF"))?;
/// assert_eq!(source.size_bytes(), 4);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Seekable<R> {
    reader: R,
    size_bytes: u64,
}

impl<R: Read + Seek> Seekable<R> {
    /// Takes a reader, from its beginning to its end as it is now.
    ///
    /// # Errors
    /// The error of the reader, where it cannot seek.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let size_bytes = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, size_bytes })
    }

    /// The reader, locked while it seeks and reads.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: Read + Seek> ByteSource for Seekable<R> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.seek(SeekFrom::Start(offset))?;
        self.reader.read(buffer)
    }
}
