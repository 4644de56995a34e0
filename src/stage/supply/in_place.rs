//! Stages files of this machine where they lie, and hashes their bytes where a verdict needs a digest.
//!
//! # Model
//! A thread opens a file once, takes its stamp from the open descriptor, reads its bytes, and takes the stamp again. A
//! difference means that another process wrote meanwhile. Where the stamp is settled and equals the recorded one, the
//! step takes the recorded digest over instead of reading the file.
//!
//! Several threads hash several files, as `file-hashing` has them do.
//!
//! # Coarse clocks
//! Kernels keep a file's times in ticks of up to 10 ms. A file that changed in the present tick could change again
//! without a new time. So a thread waits until two ticks have passed since a file's last change before it hashes the
//! file.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use file_hashing::{Contents, FileToHash, hash_all};
use provisioner_core::{
    CatalogRecord, Clock, Digest, DigestAlgorithm, Expectation, Format, Locator, Manifest, ManifestFile,
    ProgressSink, Question, StagedFile, StagedModel, Stamp,
};

use crate::{
    context::{CancelOnDrop, Context, run_blocking},
    error::{Error, Interruption, Result},
    stage::{format::format_of, read_progress::ReadProgress},
};

/// Stages a model of this machine where it lies. `recorded` is the record whose digests hold for the files that have not
/// changed.
pub(crate) async fn stage_in_place(
    ctx: &Context,
    manifest: Manifest,
    expectation: &Expectation,
    hashes: bool,
    recorded: Option<CatalogRecord>,
) -> Result<StagedModel> {
    let (clock, progress) = (Arc::clone(&ctx.clock), Arc::clone(&ctx.progress));
    let git_ids = wants_git_id(expectation);
    let staged = HashInPlace { hashes, git_ids, known: recorded, clock, progress }.stage(manifest).await?;
    for file in staged.files() {
        let path = &file.location.to_string_lossy();
        ctx.ask(&Question::Format { path, format: file.format })?;
    }
    Ok(staged)
}

/// Two ticks of the slowest kernel, in nanoseconds.
const TICKS_NS: u32 = 20_000_000;

/// Says how to stage files in place.
#[derive(Debug)]
struct HashInPlace {
    /// Whether a thread hashes their bytes.
    hashes: bool,
    /// Whether it computes git's id of each file too.
    git_ids: bool,
    /// The model's record, where its digests may be taken over.
    known: Option<CatalogRecord>,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn ProgressSink>,
}

impl HashInPlace {
    /// Stages every file of a manifest. When the caller drops the future, the threads end soon after.
    async fn stage(self, manifest: Manifest) -> Result<StagedModel> {
        let cancel = CancelOnDrop::default();
        let is_cancelled = cancel.watch();
        run_blocking(move || self.stage_blocking(manifest, &is_cancelled)).await
    }

    fn stage_blocking(
        &self,
        manifest: Manifest,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<StagedModel> {
        let id = manifest.reference().id();
        let mut files = Vec::with_capacity(manifest.files().len());
        for listed in manifest.files() {
            let opened = Opened::new(listed)?;
            let known = self.known_digest(listed, opened.stamp);
            files.push(opened.staged(listed, self.clock.as_ref(), known));
        }
        let is_unread = |file: &&mut StagedFile| self.hashes && file.sha256.is_none();
        let to_hash: Vec<_> =
            files.iter_mut().filter(is_unread).map(|staged| HashedFile { step: self, staged }).collect();
        if !to_hash.is_empty() {
            let sizes: Vec<_> = to_hash.iter().map(FileToHash::size_bytes).collect();
            let reading = ReadProgress::start(&self.progress, &id, &sizes);
            hash_all(to_hash, &|bytes| {
                reading.add(bytes);
                !is_cancelled()
            })?;
        }
        Ok(StagedModel::new(manifest, files)?)
    }

    /// Returns the recorded digest of a file whose bytes are still the same.
    fn known_digest(&self, listed: &ManifestFile, stamp: Stamp) -> Option<Digest> {
        if self.git_ids {
            return None;
        }
        let record = self.known.as_ref()?;
        let file = record.file(&listed.path)?;
        let Locator::InPlace(location) = &listed.locator else { return None };
        let same = file.settled
            && file.stamp.difference(&stamp).is_none()
            && record.location(&file.path) == **location;
        if same { file.sha256.clone() } else { None }
    }
}

/// A file that a thread hashes where it lies. The thread changes the file of the list, so that no file is in memory twice.
struct HashedFile<'a> {
    step: &'a HashInPlace,
    staged: &'a mut StagedFile,
}

impl HashedFile<'_> {
    /// Names the file in an error of the operating system.
    fn failed(&self, error: io::Error) -> Error {
        Error::storage(format!("`{}` cannot be read", self.staged.location.display()), error)
    }

    fn changed(&self) -> Error {
        Error::ChangedWhileRead { path: self.staged.location.to_path_buf() }
    }
}

impl FileToHash for HashedFile<'_> {
    type Error = Error;

    fn size_bytes(&self) -> u64 {
        self.staged.stamp.size
    }

    fn needs_git_id(&self) -> bool {
        self.step.git_ids
    }

    fn open(&mut self) -> Result<Option<File>> {
        let (file, clock) = (open(&self.staged.location)?, self.step.clock.as_ref());
        let Some(before) = settled(&file, clock).map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        self.staged.stamp = before;
        // A write from here on must show in the stamp, so the age counts before the first read.
        self.staged.settled = before.is_settled(clock.now());
        // The format of the bytes that this thread hashes, and not of those that lay here when the step listed the file.
        self.staged.format = format_of(&self.staged.path, &file).map_err(|error| self.failed(error))?;
        Ok(Some(file))
    }

    /// Does not count a reading where another process made or removed a link to the file: that changes the stamp and not the bytes.
    fn take(&mut self, found: Contents) -> Result<bool> {
        let before = self.staged.stamp;
        if before.without_ctime() != found.after.without_ctime() {
            return Err(self.changed());
        }
        let counts = before == found.before && before == found.after;
        if counts {
            (self.staged.sha256, self.staged.git_sha1) = (Some(found.sha256), found.git_sha1);
        }
        Ok(counts)
    }

    fn give_up(self, error: Option<io::Error>) -> Error {
        error.map_or_else(|| self.changed(), |error| self.failed(error))
    }
}

/// Returns whether an expectation names git's id of a file.
pub(crate) fn wants_git_id(expectation: &Expectation) -> bool {
    expectation.digest().is_some_and(|(digest, _)| digest.algorithm() == DigestAlgorithm::GitSha1)
}

/// Describes a file that was opened: its path, its stamp and its format.
struct Opened {
    location: Arc<Path>,
    stamp: Stamp,
    format: Format,
}

impl Opened {
    fn new(listed: &ManifestFile) -> Result<Self> {
        let Locator::InPlace(location) = &listed.locator else {
            return Err(Interruption::NotInPlace { path: listed.path.clone() }.into());
        };
        let failed = |error| Error::storage(format!("`{}` cannot be read", location.display()), error);
        let file = open(location)?;
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        let format = format_of(&listed.path, &file).map_err(failed)?;
        Ok(Self { location: location.clone(), stamp, format })
    }

    fn staged(self, listed: &ManifestFile, clock: &dyn Clock, sha256: Option<Digest>) -> StagedFile {
        StagedFile {
            path: listed.path.clone(),
            location: self.location,
            stamp: self.stamp,
            settled: self.stamp.is_settled(clock.now()),
            format: self.format,
            sha256,
            git_sha1: None,
        }
    }
}

/// Opens a regular file. It follows a symlink, for the name is the user's, and does not wait for a pipe.
fn open(path: &Path) -> Result<File> {
    let failed = |error| Error::storage(format!("`{}` cannot be opened", path.display()), error);
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(file)
    } else {
        Err(failed(io::Error::other("it is not a regular file")))
    }
}

/// Returns the stamp of a file that a thread is about to hash, once two ticks have passed since its last change; `None`
/// for a file that changes all the time.
fn settled(file: &File, clock: &dyn Clock) -> io::Result<Option<Stamp>> {
    let stamp = Stamp::of(&file.metadata()?);
    let changed = i128::from(stamp.ctime_ns.unwrap_or(stamp.mtime_ns));
    if clock.now().as_nanosecond() - changed < i128::from(TICKS_NS) {
        // A time in the future waits too: the clocks of a file server and of this machine differ.
        return file_hashing::settled_stamp(file);
    }
    Ok(Some(stamp))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use provisioner_core::{NoProgress, RelativePath, Timestamp};

    use super::*;

    /// A clock that stands still.
    #[derive(Debug)]
    struct Still(Timestamp);

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn a_file_that_changed_in_this_tick_is_left_alone_until_it_is_over() {
        let file = tempfile::tempfile().unwrap();
        let stamp = Stamp::of(&file.metadata().unwrap());
        let changed = Timestamp::from_nanosecond(stamp.ctime_ns.unwrap().into()).unwrap();
        let ticks = Duration::from_nanos(TICKS_NS.into());
        for (now, waits) in [(changed, true), (changed - ticks, true), (changed + ticks, false)] {
            let began = Instant::now();
            assert_eq!(settled(&file, &Still(now)).unwrap(), Some(stamp));
            assert!(!waits || began.elapsed() >= ticks, "{now}: {:?}", began.elapsed());
        }
    }

    #[test]
    fn the_format_is_that_of_the_bytes_that_are_hashed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = RelativePath::new("weights.dat").unwrap();
        let locator = Locator::InPlace(file.path().into());
        let listed = ManifestFile { path, size: 0, digest: None, locator };
        let (clock, progress) = (Arc::new(Still(Timestamp::UNIX_EPOCH)), Arc::new(NoProgress));
        let mut staged = Opened::new(&listed).unwrap().staged(&listed, clock.as_ref(), None);
        assert_eq!(staged.format, Format::Text);
        // Another process writes a pickle after the file was listed.
        fs_err::write(file.path(), b"\x80\x02}q\0.").unwrap();
        let hash = HashInPlace { hashes: true, git_ids: false, known: None, clock, progress };
        hash_all(vec![HashedFile { step: &hash, staged: &mut staged }], &|_| true).unwrap();
        assert_eq!(staged.format, Format::Pickle);
    }
}
