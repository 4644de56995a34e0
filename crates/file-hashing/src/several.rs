//! Hashes several files on several threads.
//!
//! # Two files in one thread
//! A processor with SHA instructions hashes two files at once in little more than the time of one. So a thread has two files open where
//! there are enough of them: it reads the next bytes of both, each into a buffer of its own, and hashes both. Where one file ends, the
//! thread goes on with the next one beside the other.
//!
//! The largest files come first, so that no thread is left with a large one at the end. The first files go to one thread each, because
//! a processor of its own is worth more to a file than a half of one.

use std::{
    cmp::Reverse,
    fs::File,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread, vec,
};

use paired_sha256::is_quicker_in_pairs;
use provisioner_core::ContentHasher;

use crate::{
    error::Error,
    read::{BUFFER_BYTES, Contents, Reading},
    settle::MAX_READS,
};

/// Receives how many more bytes a thread has read, and returns whether to go on. Several threads call it.
pub type SharedWatch<'a> = dyn Fn(u64) -> bool + Sync + 'a;

/// Opens one of several files, and judges what a thread read of it.
///
/// # Contract
/// One thread calls these methods, one after the other. A thread hashes a second file meanwhile, so a method that blocks delays that one.
/// An error of any file ends the work with all of them.
pub trait FileToHash: Send {
    /// Names the errors of the caller.
    type Error: From<Error> + Send;

    /// Returns the size of the file in bytes, as far as it is known. Larger files come first.
    fn size_bytes(&self) -> u64;

    /// Returns whether the caller needs git's id of the bytes.
    fn needs_git_id(&self) -> bool;

    /// Opens the file for one more reading. Returns `None` where it changes at present.
    ///
    /// # Errors
    /// The caller's own.
    fn open(&mut self) -> Result<Option<File>, Self::Error>;

    /// Takes what a reading found. Returns whether it counts; otherwise the thread opens and reads the file once more.
    ///
    /// # Errors
    /// The caller's own.
    fn take(&mut self, found: Contents) -> Result<bool, Self::Error>;

    /// Returns the error of a file of which no reading will count: the operating system refuses to read it, or `None` where
    /// [`MAX_READS`] did not suffice.
    fn give_up(self, error: Option<io::Error>) -> Self::Error;
}

/// Hashes files, the largest first, on as many threads as there are cores. It blocks.
///
/// # Errors
/// The first error of any file; [`Error::Cancelled`] when `watch` returns `false`; [`Error::Ended`] where a thread panicked.
pub fn hash_all<F: FileToHash>(files: Vec<F>, watch: &SharedWatch<'_>) -> Result<(), F::Error> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(files.len());
    let queue = Queue::new(files, threads);
    let work = || queue.work(watch);
    thread::scope(|scope| {
        // Where no further thread can start, the running ones hash all files.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let own = work();
        let ended = |_| Err(Error::Ended.into());
        let done = others.into_iter().map(|thread| thread.join().unwrap_or_else(ended));
        done.collect::<Vec<_>>().into_iter().chain([own]).collect()
    })
}

/// Holds the files that no thread has taken.
struct Queue<F> {
    files: Mutex<vec::IntoIter<F>>,
    /// From how many files on a thread takes none beside another one.
    spare: usize,
    has_failed: AtomicBool,
}

impl<F: FileToHash> Queue<F> {
    fn new(mut files: Vec<F>, threads: usize) -> Self {
        files.sort_by_key(|file| Reverse(file.size_bytes()));
        let spare = files.len() - threads;
        Self { files: Mutex::new(files.into_iter()), spare, has_failed: AtomicBool::new(false) }
    }

    /// Returns the next file. A thread that has one already gets another one only where each thread has had one.
    fn next(&self, has_one: bool) -> Option<F> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let may_take = !has_one || (is_quicker_in_pairs() && files.len() <= self.spare);
        if may_take && !self.has_failed.load(Ordering::Relaxed) { files.next() } else { None }
    }

    /// Hashes files until none is left. It returns the error only of the thread that fails first: the others stop for it.
    fn work(&self, watch: &SharedWatch<'_>) -> Result<(), F::Error> {
        let hashed = self.hash(&|bytes| watch(bytes) && !self.has_failed.load(Ordering::Relaxed));
        if hashed.is_err() && self.has_failed.swap(true, Ordering::Relaxed) { Ok(()) } else { hashed }
    }

    fn hash(&self, watch: &SharedWatch<'_>) -> Result<(), F::Error> {
        let (mut one, mut other) = (Lane::default(), Lane::default());
        loop {
            one.fill(|| self.next(other.has_file()))?;
            other.fill(|| self.next(one.has_file()))?;
            let bytes = match (one.bytes(), other.bytes()) {
                (None, None) => return Ok(()),
                (Some((hasher, bytes)), None) | (None, Some((hasher, bytes))) => {
                    hasher.update(bytes);
                    bytes.len()
                }
                (Some(one), Some(other)) => {
                    let bytes = one.1.len() + other.1.len();
                    ContentHasher::update_both(one, other);
                    bytes
                }
            };
            if !watch(bytes as u64) {
                return Err(Error::Cancelled.into());
            }
        }
    }
}

/// Holds one of the files that a thread reads, and the bytes that are to be hashed next.
struct Lane<F> {
    file: Option<OpenFile<F>>,
    buffer: Vec<u8>,
    /// How many bytes of the buffer are to be hashed.
    filled: usize,
}

/// Holds a file that a thread has opened.
struct OpenFile<F> {
    file: F,
    reading: Reading<File>,
    /// How often the thread opened it.
    reads: usize,
}

impl<F> Default for Lane<F> {
    fn default() -> Self {
        Self { file: None, buffer: Vec::new(), filled: 0 }
    }
}

impl<F: FileToHash> Lane<F> {
    fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns the bytes that were read last, and their hasher.
    fn bytes(&mut self) -> Option<(&mut ContentHasher, &[u8])> {
        let file = self.file.as_mut()?;
        Some((&mut file.reading.hasher, &self.buffer[..self.filled]))
    }

    /// Reads the next bytes of the file, or of the next one that has any.
    fn fill(&mut self, next: impl Fn() -> Option<F>) -> Result<(), F::Error> {
        loop {
            let mut open = match self.file.take() {
                Some(open) => open,
                None => match next() {
                    Some(file) => OpenFile::open(file, 0)?,
                    None => return Ok(()),
                },
            };
            self.buffer.resize(BUFFER_BYTES, 0);
            match open.reading.fill(&mut self.buffer) {
                Ok(0) => self.file = open.end()?,
                Ok(filled) => {
                    (self.file, self.filled) = (Some(open), filled);
                    return Ok(());
                }
                Err(error) => return Err(open.file.give_up(Some(error))),
            }
        }
    }
}

impl<F: FileToHash> OpenFile<F> {
    /// Opens a file that the thread has opened so often before.
    fn open(mut file: F, before: usize) -> Result<Self, F::Error> {
        for reads in before..MAX_READS {
            let Some(opened) = file.open()? else { continue };
            return match Reading::begin(opened, file.needs_git_id()) {
                Ok(reading) => Ok(Self { file, reading, reads: reads + 1 }),
                Err(error) => Err(file.give_up(Some(error))),
            };
        }
        Err(file.give_up(None))
    }

    /// Ends a reading. Returns the file where it must be read once more.
    fn end(mut self) -> Result<Option<Self>, F::Error> {
        let counts = match self.reading.finish() {
            Ok(found) => self.file.take(found)?,
            Err(error) => return Err(self.file.give_up(Some(error))),
        };
        if counts { Ok(None) } else { Self::open(self.file, self.reads).map(Some) }
    }
}

#[cfg(test)]
mod tests;
