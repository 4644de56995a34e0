use std::{
    collections::HashSet,
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::{Barrier, atomic::AtomicUsize},
    thread::ThreadId,
};

use provisioner_core::ContentDigests;

use super::*;

const BUFFER: u64 = BUFFER_BYTES as u64;

/// A file, and what the threads told of it.
#[derive(Debug, Default)]
struct Known {
    path: PathBuf,
    size_bytes: u64,
    /// How many readings do not count.
    refuses: usize,
    /// How often the file cannot be opened first.
    unsettled: usize,
    takes: Vec<Contents>,
}

impl FileToHash for &mut Known {
    type Error = Error;

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn needs_git_id(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<File>, Error> {
        if self.unsettled > 0 {
            self.unsettled -= 1;
            return Ok(None);
        }
        Ok(Some(fs_err::File::open(&self.path)?.into()))
    }

    fn take(&mut self, found: Contents) -> Result<bool, Error> {
        self.takes.push(found);
        Ok(self.takes.len() > self.refuses)
    }

    fn give_up(self, error: Option<io::Error>) -> Error {
        error.unwrap_or_else(|| io::ErrorKind::ResourceBusy.into()).into()
    }
}

/// Makes files of these sizes, in bytes, each with bytes of its own.
fn files(dir: &Path, sizes: &[u64]) -> Vec<Known> {
    let make = |(index, size_bytes): (usize, &u64)| {
        let path = dir.join(index.to_string());
        fs_err::write(&path, bytes(index, *size_bytes)).unwrap();
        Known { path, size_bytes: *size_bytes, ..Known::default() }
    };
    sizes.iter().enumerate().map(make).collect()
}

fn bytes(index: usize, size: u64) -> Vec<u8> {
    (0..size).map(|n| (n % 251).to_le_bytes()[0] ^ index.to_le_bytes()[0]).collect()
}

/// Checks that the last reading of a file found all its bytes.
#[track_caller]
fn check(index: usize, file: &Known) {
    let found = file.takes.last().unwrap();
    let mut hasher = ContentHasher::with_git_id(file.size_bytes);
    hasher.update(&bytes(index, file.size_bytes));
    let ContentDigests { sha256, git_sha1 } = hasher.finish();
    assert_eq!((&found.sha256, &found.git_sha1), (&sha256, &git_sha1), "{index}");
    assert_eq!((found.before, found.before.size), (found.after, file.size_bytes), "{index}");
}

fn is(kind: io::ErrorKind, hashed: &Result<(), Error>) -> bool {
    matches!(hashed, Err(Error::Io(error)) if error.kind() == kind)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn each_file_gets_the_digests_of_its_own_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [0, 1, BUFFER, 0, 5 * BUFFER + 77, BUFFER - 1, 63, BUFFER + 1, 2 * BUFFER, 64, 3 * BUFFER];
    for count in 0..=sizes.len() {
        let mut files = files(dir.path(), &sizes[..count]);
        let (read, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let watch = |bytes| {
            let bytes = usize::try_from(bytes).unwrap();
            read.fetch_add(bytes, Ordering::Relaxed);
            most.fetch_max(bytes, Ordering::Relaxed);
            true
        };
        hash_all(files.iter_mut().collect(), &watch).unwrap();
        assert_eq!(read.into_inner() as u64, sizes[..count].iter().sum::<u64>());
        files.iter().enumerate().for_each(|(index, file)| check(index, file));
        assert!(files.iter().all(|file| file.takes.len() == 1), "{files:?}");
    }
}

#[test]
fn a_thread_reads_two_files_where_there_are_more_than_threads() {
    let dir = tempfile::tempdir().unwrap();
    for (count, is_paired) in [(cores(), false), (cores() + 1, is_quicker_in_pairs())] {
        let mut files = files(dir.path(), &vec![4 * BUFFER; count]);
        let (most, begun, all_begun) =
            (AtomicUsize::new(0), Mutex::new(HashSet::new()), Barrier::new(cores()));
        let watch = |bytes| {
            most.fetch_max(usize::try_from(bytes).unwrap(), Ordering::Relaxed);
            // No thread ends its file before each has one.
            let is_first = begun.lock().unwrap().insert(thread::current().id());
            if is_first {
                all_begun.wait();
            }
            true
        };
        hash_all(files.iter_mut().collect(), &watch).unwrap();
        assert_eq!(most.into_inner(), if is_paired { 2 } else { 1 } * BUFFER_BYTES, "{count} files");
        files.iter().enumerate().for_each(|(index, file)| check(index, file));
    }
}

#[test]
fn the_largest_files_come_first_and_to_one_thread_each() {
    let mut files: Vec<_> = [3, 1, 5, 2, 4].map(|size_bytes| Known { size_bytes, ..Known::default() }).into();
    let queue = Queue::new(files.iter_mut().collect(), 2);
    let next = |has_one| queue.next(has_one).map(|file| file.size_bytes);
    assert_eq!([next(true), next(false), next(true), next(false)], [None, Some(5), None, Some(4)]);
    assert_eq!(next(true), is_quicker_in_pairs().then_some(3));
    queue.has_failed.store(true, Ordering::Relaxed);
    assert_eq!(next(false), None, "after a failure no thread begins with another file");
}

#[test]
fn a_file_is_read_again_until_a_reading_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path(), &[2 * BUFFER; 3]);
    (files[0].unsettled, files[0].refuses) = (2, 3);
    files[1].refuses = MAX_READS - 1;
    hash_all(files.iter_mut().collect(), &|_| true).unwrap();
    let takes: Vec<_> = files.iter().map(|file| file.takes.len()).collect();
    assert_eq!(takes, [4, MAX_READS, 1]);
    files.iter().enumerate().for_each(|(index, file)| check(index, file));
    for (unsettled, takes) in [(MAX_READS, 0), (1, MAX_READS - 1), (0, MAX_READS)] {
        let mut file =
            Known { path: files[2].path.clone(), unsettled, refuses: MAX_READS, ..Known::default() };
        let failed = hash_all(vec![&mut file], &|_| true);
        assert!(is(io::ErrorKind::ResourceBusy, &failed), "{failed:?}");
        assert_eq!(file.takes.len(), takes, "{unsettled} of {MAX_READS}");
    }
}

#[test]
fn a_file_that_changes_hurts_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path(), &[4 * BUFFER; 7]);
    let open =
        |index: usize| OpenOptions::new().append(true).open(dir.path().join(index.to_string())).unwrap();
    let (shrinking, growing) = (open(1), open(5));
    let watch = |_| {
        shrinking.set_len(BUFFER).unwrap();
        growing.set_len(growing.metadata().unwrap().len() + BUFFER).unwrap();
        true
    };
    hash_all(files.iter_mut().collect(), &watch).unwrap();
    assert_eq!(files[1].takes[0].after.size, BUFFER);
    let Contents { before, after, .. } = files[5].takes[0];
    assert!(before.size < after.size, "{before:?} {after:?}");
    for index in [0, 2, 3, 4, 6] {
        check(index, &files[index]);
    }
}

#[test]
fn the_first_error_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path(), &vec![2 * BUFFER; 4 * cores() + 4]);
    let stopped = hash_all(files.iter_mut().collect(), &|_| false);
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert!(files.iter().all(|file| file.takes.is_empty()), "no thread reads more than once");
    // The system opens a folder, and refuses to read it.
    files[0].path = dir.path().to_owned();
    let failed = hash_all(files.iter_mut().collect(), &|_| true);
    assert!(is(io::ErrorKind::IsADirectory, &failed), "{failed:?}");
}

#[test]
fn a_thread_that_panics_ends_the_work() {
    /// A file whose thread panics, unless it is this one.
    struct Panics<'a>(ThreadId, &'a AtomicBool);

    impl FileToHash for Panics<'_> {
        type Error = Error;

        fn size_bytes(&self) -> u64 {
            0
        }

        fn needs_git_id(&self) -> bool {
            false
        }

        fn open(&mut self) -> Result<Option<File>, Error> {
            if thread::current().id() != self.0 {
                self.1.store(true, Ordering::Relaxed);
                panic!("this test panics in another thread");
            }
            while !self.1.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Ok(None)
        }

        fn take(&mut self, _: Contents) -> Result<bool, Error> {
            Ok(true)
        }

        fn give_up(self, _: Option<io::Error>) -> Error {
            Error::Cancelled
        }
    }
    if cores() > 1 {
        let (own, has_panicked) = (thread::current().id(), AtomicBool::new(false));
        let files = (0..2).map(|_| Panics(own, &has_panicked)).collect();
        let ended = hash_all(files, &|_| true);
        assert!(matches!(ended, Err(Error::Ended)), "{ended:?}");
    }
}
