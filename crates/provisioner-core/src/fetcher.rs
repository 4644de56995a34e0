//! Where models come from.

use std::{fmt, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{
    fetch_error::{FetchError, FetchErrorKind},
    host_policy::HostPolicy,
    manifest::{Manifest, ManifestFile},
    reference::ModelRef,
};

/// Answers for one or more schemes. This is the smallest thing that a new source has to write: its caller does resume, retry,
/// hashing, progress and disk, once for every scheme.
///
/// # Contract
/// - `resolve` moves no bytes of the model. What it returns is pinned: opening a file of it later gives the same
///   bytes, or fails.
/// - Every path in a manifest is a [`RelativePath`](crate::RelativePath): a name that does not make one fails the
///   whole resolve.
/// - What it learns of a file while it resolves, and needs to open it, goes into the file's [`RemoteFile`](crate::RemoteFile): that
///   lives for as long as the manifest. A fetcher keeps no map of files.
/// - `open` tells what the source really answered, in [`Opened`]; it does not pretend to have kept to the range.
/// - **Cancellation**: either call may be dropped at any await, and so may the stream, without leaving anything
///   behind.
/// - **Retries**: none. The caller retries, guided by the error's kind and `retry_after`.
/// - Neither call blocks the runtime.
#[async_trait]
pub trait ModelFetcher: fmt::Debug + Send + Sync + 'static {
    /// Returns the schemes that it answers for, in lower case and without a colon.
    fn schemes(&self) -> &'static [&'static str];

    /// Returns whether it speaks to a network, which the policy must then allow.
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

    /// Returns whether each of its references is a [repository](crate::reference::RepoRef): `org/repo`, with a revision, and with a
    /// path, a quantization or patterns, which `resolve` applies. Then a caller [reads](crate::reference::OtherRef::repository) every
    /// text of its schemes as one, and can list the variants of a repository.
    fn has_repositories(&self) -> bool {
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
    /// [`FetchErrorKind::Denied`] where only some hosts are allowed, and it cannot keep to them.
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

    /// Pins the reference, applies the selection, lists the files.
    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError>;

    /// Does the same without a network, from what another tool keeps on this machine of the source's answers; the manifest
    /// says [in which file](Manifest::listed_in) it found them. `None` where there is nothing: a fetcher need not look.
    ///
    /// It lists all files of the model, or none: it takes no part of a model for the whole.
    async fn resolve_offline(&self, _request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        Ok(None)
    }

    /// Opens one file of a manifest at a range of bytes.
    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError>;
}

/// Asks for a reference to be resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolveRequest {
    /// The reference.
    pub reference: ModelRef,
    /// The revision that it was pinned to before, and is to be pinned to again.
    pub revision: Option<String>,
}

impl ResolveRequest {
    /// Makes a request for a reference.
    pub fn new(reference: ModelRef) -> Self {
        Self { reference, revision: None }
    }

    /// Pins it to a revision again.
    #[must_use]
    pub fn at_revision(mut self, revision: Option<String>) -> Self {
        self.revision = revision;
        self
    }
}

/// Selects the bytes from `start` up to, and without, `end`; to the end of the file where there is no `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset after the last byte.
    pub end: Option<u64>,
}

impl ByteRange {
    /// The whole file.
    pub const ALL: Self = Self { start: 0, end: None };
}

/// Gives the bytes of a file in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, FetchError>> + Send>>;

/// Tells what a source answered.
pub struct Opened {
    /// The range that the stream really covers.
    pub range: ByteRange,
    /// The size of the whole file in bytes, where the source said it.
    pub total_size: Option<u64>,
    /// What names this state of the file (an `ETag`, say), where the source has it.
    pub validator: Option<String>,
    /// The bytes.
    pub stream: ByteStream,
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
