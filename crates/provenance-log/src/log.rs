//! Appends lines, and begins a new file when one has grown too long.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::{
    error::{Error, Result},
    files::{CURRENT, LOCK, name_of, open, segment_name, segments},
    line::{After, Link, NO_LINE, VERSION},
    position::Position,
    tail::{Head, Tail, first_seq},
};

/// The length at which a file becomes one of earlier lines, in bytes: some 150,000 lines.
pub const ROTATE_BYTES: u64 = 64 << 20;

/// Says whether a line must survive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The line is on the disk when the call returns.
    Synced,
    /// The system writes the line to the disk later, or with a later line that is synced.
    Later,
}

/// Appends to the log in a folder, and reads it.
#[derive(Clone, Debug)]
pub struct Log {
    pub(crate) folder: PathBuf,
    rotate_bytes: u64,
}

impl Log {
    /// Returns the log in a folder. It creates and opens nothing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), rotate_bytes: ROTATE_BYTES }
    }

    /// Sets the length at which a file becomes one of earlier lines, in bytes.
    #[must_use]
    pub fn rotating_at(self, bytes: u64) -> Self {
        Self { rotate_bytes: bytes, ..self }
    }

    /// Returns the file that grows.
    pub fn path(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// Returns the file that writers lock.
    pub fn lock_path(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    /// Returns the files of earlier lines, in the order of their lines.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn earlier_files(&self) -> Result<Vec<PathBuf>> {
        Ok(segments(&self.folder)?.into_iter().map(|segment| segment.path).collect())
    }

    /// Checks that this process can append lines. It creates missing files and folders.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn check(&self) -> Result<()> {
        durable_fs::create_folders(&self.folder)?;
        durable_fs::check_appendable(&self.lock_path())?;
        Ok(durable_fs::check_appendable(&self.path())?)
    }

    /// Appends a line with the fields of `what`, which is an object. Waits as long as `wait` for another writer. Returns the
    /// number and the hash of the line.
    ///
    /// # Errors
    /// [`Error::File`], with [`durable_fs::Error::Busy`] when the wait is over; [`Error::Newer`]; [`Error::TooLong`].
    pub fn append(&self, what: &impl Serialize, durability: Durability, wait: Duration) -> Result<Position> {
        durable_fs::create_folders(&self.folder)?;
        let _lock = durable_fs::lock(&self.lock_path(), wait)?;
        let (mut file, tail) = self.open_rotated()?;
        let chained = self.next(&tail)?;
        let line = chained.text(what)?;
        let mut text = Vec::with_capacity(line.len() + 2);
        if !tail.is_ended {
            text.push(b'\n');
        }
        text.extend_from_slice(&line);
        text.push(b'\n');
        file.write_all(&text).map_err(|error| self.failed(&error))?;
        if durability == Durability::Synced {
            file.sync_data().map_err(|error| self.failed(&error))?;
            if tail.len == 0 {
                durable_fs::sync_folder(&self.folder)?;
            }
        }
        Ok(Position::of(chained.seq, &line))
    }

    /// Returns the last line of the log; `None` where it has none yet. It reads the end of one file, and writes nothing.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn head(&self, wait: Duration) -> Result<Option<Head>> {
        let _lock = durable_fs::lock_shared_found(&self.lock_path(), wait)?;
        let tail = match open(&self.path())? {
            Some(file) => Tail::of(&file, &self.path())?,
            None => Tail::default(),
        };
        let position = match tail.head {
            Some(head) => Some(head),
            None => self.earlier_head()?.map(|(_, head)| head),
        };
        let torn_bytes = tail.gap.map_or(0, |gap| gap.bytes);
        Ok(position.map(|position| Head { position, torn_bytes }))
    }

    /// Opens the file that grows, after it has become one of earlier lines where it is too long.
    fn open_rotated(&self) -> Result<(File, Tail)> {
        let path = self.path();
        let file = durable_fs::open_append(&path)?;
        let tail = Tail::of(&file, &path)?;
        let Some(head) = tail.head.filter(|_| tail.gap.is_none() && tail.len >= self.rotate_bytes) else {
            return Ok((file, tail));
        };
        let first = first_seq(&file, &path)?.unwrap_or(head.seq);
        let earlier = self.folder.join(segment_name(first, head.seq));
        if durable_fs::open_found(&earlier)?.is_some() {
            return Ok((file, tail));
        }
        // The lines that were not synced must not lose their file to the next one.
        file.sync_data().map_err(|error| self.failed(&error))?;
        durable_fs::rename(&path, &earlier)?;
        Ok((durable_fs::open_append(&path)?, Tail { is_ended: true, ..Tail::default() }))
    }

    /// Returns the fields that chain the next line.
    fn next(&self, tail: &Tail) -> Result<Link> {
        let pid = Some(std::process::id());
        let mut link =
            Link { v: VERSION, seq: 1, prev: NO_LINE, pid, after: None, unchained: None, torn: None };
        let head = match tail.head {
            Some(head) => head,
            None => match self.earlier_head()? {
                Some((path, head)) => {
                    link.after = Some(After { file: name_of(&path), sha256: head.sha256 });
                    head
                }
                None => return Ok(Link { unchained: tail.gap, ..link }),
            },
        };
        link.seq = head.seq.checked_add(1).ok_or_else(|| Error::Full { path: self.path() })?;
        Ok(Link { prev: head.sha256, torn: tail.gap, ..link })
    }

    /// Returns the last of the files of earlier lines, and its last line.
    fn earlier_head(&self) -> Result<Option<(PathBuf, Position)>> {
        for segment in segments(&self.folder)?.into_iter().rev() {
            let Some(file) = open(&segment.path)? else { continue };
            if let Some(head) = Tail::of(&file, &segment.path)?.head {
                return Ok(Some((segment.path, head)));
            }
        }
        Ok(None)
    }

    fn failed(&self, error: &io::Error) -> Error {
        let path: &Path = &self.path();
        io::Error::new(error.kind(), format!("failed to append to `{}`: {error}", path.display())).into()
    }
}
