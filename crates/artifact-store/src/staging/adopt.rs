//! Adopts a file that another tool has on this machine, instead of fetching it.
//!
//! # Model
//! A name is a claim, and not a proof. The store links the file into a partial, or copies it there, and then hashes it. The
//! file counts only with the digest that the caller asks for. The store links before it reads, so it keeps the bytes that it
//! read. It never writes to the file that it found, and never changes its mode, its user or its times.
//!
//! # Two steps
//! A link has to settle for two ticks before the store reads its file. So a caller with many files begins with all of them,
//! and then finishes each: the files settle together.
//!
//! # Where there can be no link
//! The store copies the file, and shares its blocks where the file system can. There can be no link on another device, on a
//! file system without links, of a file that this process may not link (`fs.protected_hardlinks`), and of one with too many
//! links.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use durable_fs::share_blocks;
use file_hashing::{Contents, FreshStamp, Watch, open, read, read_settled};
use provisioner_core::{AdoptMode, Digest, DigestAlgorithm, Stamp};

use crate::{
    error::{Error, Result},
    files::{free_bytes, unlink},
    layout::Store,
    staging::partial_file::PartialFile,
};

/// Says what a file must be to be adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptionTarget {
    /// The size of the file, in bytes.
    pub size_bytes: u64,
    /// The digest of the bytes: SHA-256, or git's id. `None` accepts any bytes of that size.
    pub digest: Option<Digest>,
}

/// Describes an adopted file, which lies in a partial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedFile {
    /// The path at which the file lies now.
    pub location: PathBuf,
    /// The path at which the store found it.
    pub from: PathBuf,
    /// Why the store copied the file, where the caller asked for a link.
    pub not_linked: Option<String>,
    /// Says whether the file is a link to another tool's file.
    pub is_externally_linked: bool,
    /// The stamp of the file when the store read its bytes.
    pub stamp: Stamp,
    /// The SHA-256 of the bytes.
    pub sha256: Digest,
    /// Git's id of the bytes, where the target's digest is one.
    pub git_sha1: Option<Digest>,
}

impl AdoptionTarget {
    pub(crate) fn needs_git_id(&self) -> bool {
        self.digest.as_ref().is_some_and(|digest| digest.algorithm() == DigestAlgorithm::GitSha1)
    }

    /// Returns whether the bytes of a reading are the target's.
    fn is_met_by(&self, found: &Contents) -> bool {
        let actual = if self.needs_git_id() { found.git_sha1.as_ref() } else { Some(&found.sha256) };
        found.after.size == self.size_bytes && (self.digest.is_none() || self.digest.as_ref() == actual)
    }
}

/// Holds a file whose adoption has begun: the store has linked it, or is about to copy it.
#[derive(Debug)]
#[must_use = "`finish_adoption` reads the file"]
pub struct BegunAdoption {
    file: PartialFile,
    target: AdoptionTarget,
    from: PathBuf,
    method: Method,
}

/// Says how a file comes into a partial.
#[derive(Debug)]
enum Method {
    /// The store has linked the file. The stamp is the one that the link left.
    Link(FreshStamp),
    /// The store copies the file. The text says why there can be no link, where the caller asked for one.
    Copy(Option<String>),
}

impl Store {
    /// Adopts a file into the paths of a partial, which hold nothing else. Returns `None` for a file that is not the target,
    /// or that this process cannot read. `watch` receives how many more bytes the store has read, and returns whether to go
    /// on.
    ///
    /// # Errors
    /// The failures of the store's own disk; [`Error::NoSpace`] for a copy; [`Error::Cancelled`].
    pub fn adopt(
        &self,
        file: &PartialFile,
        target: &AdoptionTarget,
        from: &Path,
        mode: AdoptMode,
        watch: &mut Watch<'_>,
    ) -> Result<Option<AdoptedFile>> {
        match self.begin_adoption(file, target, from, mode)? {
            Some(begun) => self.finish_adoption(begun, watch),
            None => Ok(None),
        }
    }

    /// Links a file that the store is to adopt, or decides to copy it. Returns `None` for a file of another size than the
    /// target's, or one that this process cannot read. The store reads no byte.
    ///
    /// # Errors
    /// The failures of the store's own disk.
    pub fn begin_adoption(
        &self,
        file: &PartialFile,
        target: &AdoptionTarget,
        from: &Path,
        mode: AdoptMode,
    ) -> Result<Option<BegunAdoption>> {
        if mode == AdoptMode::Off || open_as(from, target.size_bytes).is_none() {
            return Ok(None);
        }
        let method =
            if mode == AdoptMode::Copy { Some(Method::Copy(None)) } else { link(file, target, from)? };
        let (file, target, from) = (file.clone(), target.clone(), from.to_owned());
        Ok(method.map(|method| BegunAdoption { file, target, from, method }))
    }

    /// Reads a file whose adoption has begun, once its link has settled. Returns `None` where its bytes are not the target's.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt).
    pub fn finish_adoption(
        &self,
        begun: BegunAdoption,
        watch: &mut Watch<'_>,
    ) -> Result<Option<AdoptedFile>> {
        let BegunAdoption { file, target, from, method } = begun;
        let not_linked = match method {
            Method::Copy(reason) => reason,
            Method::Link(fresh) => match read_link(&file.linked, &target, fresh, watch)? {
                Linked::Done(found) => return Ok(Some(adopted(file.linked, from, found, true, None))),
                Linked::Wrong => return Ok(None),
                Linked::Unsettled => Some("other processes keep changing or linking it".to_owned()),
            },
        };
        let Some(source) = open_as(&from, target.size_bytes) else { return Ok(None) };
        let found = self.copy(&file.data, &target, source, watch)?;
        Ok(found.map(|found| adopted(file.data, from, found, false, not_linked)))
    }

    /// Copies a file, and hashes what it writes.
    fn copy(
        &self,
        to: &Path,
        target: &AdoptionTarget,
        mut source: File,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Contents>> {
        let mut options = File::options();
        let mut data = options.create(true).truncate(true).read(true).write(true).open(to)?;
        let mut found = if share_blocks(&data, &source) {
            read(&mut data, target.needs_git_id(), None, watch)?
        } else {
            let free_bytes = free_bytes(self.root())?;
            if free_bytes < target.size_bytes {
                let (path, needed_bytes) = (self.root().to_owned(), target.size_bytes);
                return Err(Error::NoSpace { path, needed_bytes, free_bytes });
            }
            read(&mut source, target.needs_git_id(), Some(&mut data), watch)?
        };
        // The hashed bytes are those that this process wrote, whatever another process does to the other file.
        found.after = Stamp::of(&data.metadata()?);
        Ok(target.is_met_by(&found).then_some(found))
    }
}

fn adopted(
    location: PathBuf,
    from: PathBuf,
    found: Contents,
    is_externally_linked: bool,
    not_linked: Option<String>,
) -> AdoptedFile {
    let Contents { sha256, git_sha1, after: stamp, .. } = found;
    AdoptedFile { location, from, not_linked, is_externally_linked, stamp, sha256, git_sha1 }
}

/// Opens a file of the right size, where this process may read it.
fn open_as(from: &Path, size_bytes: u64) -> Option<File> {
    let why = match open(from) {
        Ok(Some(file)) => match file.metadata() {
            Ok(metadata) if metadata.len() == size_bytes => return Some(file),
            Ok(metadata) => format!("it has {} bytes", metadata.len()),
            Err(error) => error.to_string(),
        },
        Ok(None) => "it is no regular file".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::debug!("`{}` is not adopted: {why}", from.display());
    None
}

/// Links a file into a partial. Returns `None` where the linked file has another size, or is not a regular file.
fn link(file: &PartialFile, target: &AdoptionTarget, from: &Path) -> Result<Option<Method>> {
    let linked = &file.linked;
    unlink(linked)?;
    if let Err(error) = std::fs::hard_link(from, linked) {
        return Ok(Some(Method::Copy(Some(error.to_string()))));
    }
    // Another program may have given the name to another file by now.
    let fresh = FreshStamp::at(linked)?.filter(|fresh| fresh.stamp().size == target.size_bytes);
    if fresh.is_none() {
        unlink(linked)?;
    }
    Ok(fresh.map(Method::Link))
}

/// Says what the reading of a link found.
enum Linked {
    /// The bytes are the target's.
    Done(Contents),
    /// The bytes are not the target's.
    Wrong,
    /// The file never had one stamp for long enough.
    Unsettled,
}

/// Reads a file that was linked. A file that is not the target loses the link.
fn read_link(
    linked: &Path,
    target: &AdoptionTarget,
    fresh: FreshStamp,
    watch: &mut Watch<'_>,
) -> Result<Linked> {
    let Some(mut file) = open(linked)? else { return Ok(Linked::Wrong) };
    let became = match read_settled(&mut file, fresh, target.needs_git_id(), watch)? {
        Some(found) if target.is_met_by(&found) => return Ok(Linked::Done(found)),
        Some(found) => {
            tracing::debug!("`{}` is not adopted: it has {}", linked.display(), found.sha256);
            Linked::Wrong
        }
        None => Linked::Unsettled,
    };
    unlink(linked)?;
    Ok(became)
}

#[cfg(test)]
mod tests;
