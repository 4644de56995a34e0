//! Defines where models come from: the contract of a fetcher.

use std::{
    fmt,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{
    account::Account,
    fact_needs::FactNeeds,
    fetch_error::{FetchError, FetchErrorKind},
    host_policy::HostPolicy,
    manifest::{Entry, Manifest, ManifestFile},
    path::RelativePath,
    record::CatalogRecord,
    reference::ModelRef,
    scratch_folder::ScratchFolder,
};

/// Answers for one or more schemes: pins a reference, lists its files, and opens ranges of their bytes.
///
/// A new source writes nothing else. Its caller resumes, retries, hashes, reports progress and writes to the disk, once for
/// every scheme.
///
/// # Contract
/// - `resolve` moves no bytes of the model. What it returns is pinned: `open` of a listed file gives the same bytes later, or
///   fails.
/// - Every path in a manifest is a [`RelativePath`](crate::RelativePath). A fetcher leaves a file out whose name does not make
///   one, and fails where the reference means that file.
/// - What the fetcher learns of a file in `resolve`, and needs in `open`, goes into the file's
///   [`RemoteFile`](crate::RemoteFile), which lives as long as the manifest. A fetcher keeps no map of files.
/// - `open` returns in [`Opened`] what the source really answered. It does not claim the range that it was asked for.
/// - **Cancellation**: the caller may drop either call at any await, and the stream too. A dropped call leaves nothing
///   behind.
/// - **Retries**: a fetcher retries no request of its own. The caller retries, by the error's kind and `retry_after`.
/// - Neither call blocks the runtime.
/// - A fetcher that runs a [program](ModelFetcher::program) ends it when the caller drops the call, and sees to it that the program
///   ends when this process dies, however it dies.
#[async_trait]
pub trait ModelFetcher: fmt::Debug + Send + Sync + 'static {
    /// Returns the schemes that the fetcher answers for, in lower case and without a colon.
    fn schemes(&self) -> &'static [&'static str];

    /// Returns whether the fetcher uses a network. Then the policy must allow the network. The default is `true`.
    fn uses_network(&self) -> bool {
        true
    }

    /// Returns whether a reference may mean other files later, so that a refresh asks it again. Otherwise a refresh does what
    /// ensuring does.
    ///
    /// Where its manifests name no [revision](Manifest::at_revision), a refresh compares the listings: their paths, sizes and
    /// digests. A file without a digest may be another one, so a refresh fetches it again.
    fn has_revisions(&self) -> bool {
        true
    }

    /// Returns whether each of the fetcher's references is a [repository](crate::reference::RepoRef): `org/repo`, with a
    /// revision, and with a path, a quantization or patterns, which `resolve` applies. Then a caller
    /// [reads](crate::reference::OtherRef::repository) every text of its schemes as one, and can list the variants of a
    /// repository.
    fn has_repositories(&self) -> bool {
        false
    }

    /// Returns whether the fetcher's manifests say what each file is to an [engine](crate::Role). Then a caller takes a record without
    /// that for one of an earlier release. The default is `false`.
    fn states_roles(&self) -> bool {
        false
    }

    /// Returns whether a revision is one that its source pins a reference to. An import asks this of the revision that an exported
    /// folder states. The default is what the [scheme tells](ModelRef::may_be_at).
    fn pins(&self, reference: &ModelRef, revision: &str) -> bool {
        reference.may_be_at(revision)
    }

    /// Keeps from now on to the hosts that the policy allows, wherever its source would send it. The caller calls this once,
    /// before it asks for anything.
    ///
    /// # Errors
    /// [`FetchErrorKind::Denied`] where the policy allows some hosts only, and the fetcher cannot limit itself to them. The
    /// default is such a fetcher.
    fn confine(&mut self, hosts: &HostPolicy) -> Result<(), FetchError> {
        if !hosts.is_limited() || !self.uses_network() {
            return Ok(());
        }
        let schemes = self.schemes().join(":`, `");
        let message =
            format!("policy does not allow a source of `{schemes}:` that keeps to no list of hosts");
        Err(FetchError::new(FetchErrorKind::Denied, message)
            .with_hint("leave that source or the policy's `hosts` out"))
    }

    /// Pins the reference, applies its selection and lists its files.
    ///
    /// # Errors
    /// A [`FetchError`], whose kind says what the source lacks or refuses, and whether the caller may retry.
    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError>;

    /// Resolves without a network, from what another tool on this machine keeps of the source's answers. The manifest says
    /// [which file](Manifest::listed_in) listed it. Returns `None` where there is no such answer, which is the default.
    ///
    /// The manifest lists all files of the model. A fetcher that finds a part of them returns `None`.
    ///
    /// # Errors
    /// A [`FetchError`] for a reference that the fetcher does not take, and for files that it cannot read.
    async fn resolve_offline(&self, _request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        Ok(None)
    }

    /// Returns as whom the source knows its caller. `None` where the caller has no credentials or the source has no accounts, which is
    /// the default. A fetcher asks the source's own endpoint alone, and for some seconds at the most.
    ///
    /// # Errors
    /// A [`FetchError`]; [`FetchErrorKind::Unauthorized`] where the source refuses the credentials.
    async fn account(&self) -> Result<Option<Account>, FetchError> {
        Ok(None)
    }

    /// Opens one file of a manifest at a range of bytes. A range that starts at the file's size is empty. A range that ends
    /// behind the file ends with it.
    ///
    /// # Errors
    /// A [`FetchError`]; [`FetchErrorKind::Invalid`] for a range that starts behind the file; [`FetchErrorKind::Changed`] where the
    /// file is not the listed one any more.
    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError>;

    /// Returns how long a range of a file that begins at `start` is to be at least, in bytes, where [`open`](Self::open) of a shorter
    /// one costs the source as much. `None`, as by default, where the caller may choose.
    fn range_bytes(&self, _file: &ManifestFile, _start: u64) -> Option<u64> {
        None
    }

    /// Returns the name of the program that downloads for this fetcher, such as a source's own command. The caller then asks the
    /// policy whether that program may run, before it calls [`resolve`](Self::resolve), and fetches whole files by
    /// [`download`](Self::download). `None`, as by default, for a fetcher that runs no program.
    fn program(&self) -> Option<&'static str> {
        None
    }

    /// Downloads files of a manifest by the fetcher's [program](Self::program), each to its path below the [files](ScratchFolder::files)
    /// of a scratch folder.
    ///
    /// The caller takes the listed files out of the folder, hashes them, and ignores all else there. What a download left there that
    /// was cut off stays, so that the program resumes it.
    ///
    /// # Errors
    /// A [`FetchError`]; [`FetchErrorKind::ToolMissing`] where the program is not on this machine;
    /// [`FetchErrorKind::Unsupported`] from a fetcher that runs no program.
    async fn download(&self, request: &DownloadRequest<'_>) -> Result<(), FetchError> {
        let message = format!("no program downloads `{}`", request.manifest.reference());
        Err(FetchError::new(FetchErrorKind::Unsupported, message))
    }
}

/// Asks a fetcher to download files by its program.
#[derive(Clone, Copy)]
pub struct DownloadRequest<'a> {
    /// The manifest that lists the files.
    pub manifest: &'a Manifest,
    /// The files to download.
    pub files: &'a [ManifestFile],
    /// The folder that receives the files, and whatever else the program writes. It may hold what an earlier download left.
    pub scratch: &'a ScratchFolder,
    /// Receives how many bytes the folder holds on the disk, from time to time.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl fmt::Debug for DownloadRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifest, files, scratch, .. } = self;
        f.debug_struct("DownloadRequest")
            .field("manifest", manifest)
            .field("files", files)
            .field("scratch", scratch)
            .finish_non_exhaustive()
    }
}

/// Asks a fetcher to resolve a reference.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolveRequest {
    /// The reference to resolve.
    pub reference: ModelRef,
    /// The revision at which the fetcher must pin the reference again. `None` lets the source choose.
    pub revision: Option<String>,
    /// The files that an earlier call chose at that revision. A fetcher that chooses files lists these again, and chooses anew
    /// only where the source does not list all of them. `None` lets the fetcher choose.
    pub chosen: Option<ChosenFiles>,
    /// The folder in which a fetcher's [program](ModelFetcher::program) may make files, where nothing but a download lists the
    /// model. A later [`DownloadRequest`] names the same folder. `None` lets `resolve` move no byte of the model.
    pub scratch: Option<ScratchFolder>,
    /// Says which of the facts the caller needs that the source does not tell unasked.
    pub needs: FactNeeds,
}

/// Holds which files an earlier call chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenFiles {
    /// The paths, in order.
    pub paths: Vec<RelativePath>,
    /// The part of the model that an engine loads.
    pub entry: Entry,
}

impl ResolveRequest {
    /// Makes a request for a reference, at whichever revision the source has now.
    pub fn new(reference: ModelRef) -> Self {
        Self { reference, revision: None, chosen: None, scratch: None, needs: FactNeeds::default() }
    }

    /// Makes a request for the files of a record again: at its revision, and chosen as they were.
    pub fn of_record(reference: ModelRef, record: &CatalogRecord) -> Self {
        let paths = record.files.iter().map(|file| file.path.clone()).collect();
        let chosen = ChosenFiles { paths, entry: record.loaded() };
        let is_pinned = record.revision.is_some();
        Self {
            chosen: Some(chosen).filter(|_| is_pinned),
            ..Self::new(reference).at_revision(record.revision.clone())
        }
    }

    /// Sets the folder in which a fetcher's program may make files.
    #[must_use]
    pub fn in_scratch(mut self, folder: Option<ScratchFolder>) -> Self {
        self.scratch = folder;
        self
    }

    /// Sets which of the facts the caller needs that the source does not tell unasked.
    #[must_use]
    pub fn needing(mut self, needs: FactNeeds) -> Self {
        self.needs = needs;
        self
    }

    /// Sets the revision at which the fetcher must pin the reference again.
    #[must_use]
    pub fn at_revision(mut self, revision: Option<String>) -> Self {
        self.revision = revision;
        self
    }
}

/// Selects the bytes from `start` up to `end`, without the one at `end`; without an `end`, up to the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset after the last byte. `None` means the end of the file.
    pub end: Option<u64>,
}

impl ByteRange {
    /// Selects the whole file.
    pub const ALL: Self = Self { start: 0, end: None };
}

/// Gives the bytes of a file in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, FetchError>> + Send>>;

/// Holds what a source answered to [`open`](ModelFetcher::open).
pub struct Opened {
    /// The range of bytes that the stream really covers.
    pub range: ByteRange,
    /// The size of the whole file in bytes, where the source states it.
    pub total_size: Option<u64>,
    /// The name that the source gives this state of the file, such as an `ETag`.
    pub validator: Option<String>,
    /// The bytes of the range, in pieces.
    pub stream: ByteStream,
}

impl Opened {
    /// Answers with a range of a file whose bytes are all in memory, as [`open`](ModelFetcher::open) answers.
    ///
    /// # Errors
    /// [`FetchErrorKind::Invalid`] for a range that starts behind the file, or ends before its start.
    pub fn of_bytes(file: &Bytes, range: ByteRange) -> Result<Self, FetchError> {
        let size = file.len();
        let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let (start, end) = (offset(range.start), range.end.map_or(size, offset).min(size));
        if start > end {
            let message = format!("bytes {} to {end} are not a range of {size} bytes", range.start);
            return Err(FetchError::new(FetchErrorKind::Invalid, message));
        }
        let piece = file.slice(start..end);
        Ok(Self {
            range: ByteRange { start: start as u64, end: Some(end as u64) },
            total_size: Some(size as u64),
            validator: None,
            stream: Box::pin(Whole(Some(piece).filter(|piece| !piece.is_empty()))),
        })
    }
}

/// Gives its bytes as one piece.
struct Whole(Option<Bytes>);

impl Stream for Whole {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("range", &self.range)
            .field("total_size", &self.total_size)
            .field("validator", &self.validator)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Returns the range and the bytes that a file of eight bytes answers with.
    fn answer(start: u64, end: Option<u64>) -> Result<(u64, Option<u64>, Vec<u8>), FetchErrorKind> {
        let file = Bytes::from_static(b"01234567");
        let mut opened = Opened::of_bytes(&file, ByteRange { start, end }).map_err(|error| error.kind)?;
        assert_eq!(opened.total_size, Some(8));
        let mut bytes = Vec::new();
        let mut task = TaskContext::from_waker(Waker::noop());
        while let Poll::Ready(Some(piece)) = opened.stream.as_mut().poll_next(&mut task) {
            bytes.extend_from_slice(&piece.unwrap());
        }
        Ok((opened.range.start, opened.range.end, bytes))
    }

    #[test]
    fn bytes_in_memory_answer_as_a_source_does() {
        let whole = b"01234567".to_vec();
        assert_eq!(answer(0, None), Ok((0, Some(8), whole.clone())));
        assert_eq!(answer(2, Some(5)), Ok((2, Some(5), b"234".to_vec())));
        assert_eq!(answer(0, Some(u64::MAX)), Ok((0, Some(8), whole)), "it ends with the file");
        assert_eq!(answer(8, None), Ok((8, Some(8), Vec::new())), "an empty range at the file's end");
        for (start, end) in [(9, None), (u64::MAX, None), (9, Some(20)), (5, Some(2))] {
            assert_eq!(answer(start, end), Err(FetchErrorKind::Invalid), "{start} to {end:?}");
        }
    }
}
