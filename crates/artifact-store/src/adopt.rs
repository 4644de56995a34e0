//! Taking in a file that lies elsewhere on this machine, instead of fetching it.
//!
//! # Model
//! A name is a claim, and no proof. The file is linked into a partial, or copied there, and what lies there then is hashed;
//! only with the digest that is wanted does it count. Links are made before the bytes are read, so what was read is what is
//! kept. The file that was found is never written to, nor are its mode, its owner or its times changed.
//!
//! # Two steps
//! A link has to settle for two ticks before its file is read. So a caller with many files begins with all of them, and ends
//! with each: the files settle together.
//!
//! # Where there can be no link
//! On another device, on a file system without links, of a file that may not be linked (`fs.protected_hardlinks`) or has too
//! many: a copy, which shares blocks with the file where that can be.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use provisioner_core::{AdoptMode, Digest, DigestAlgorithm, Stamp};

use crate::{
    Error, PartialFile, Result, Store,
    partial::unlink,
    reading::{self, FreshStamp, Reading, Watch},
    space,
};

/// What a file must be to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// The digest of its bytes: SHA-256, or git's id. `None` takes whatever they are.
    pub digest: Option<Digest>,
}

/// A file that was taken in: it lies in a partial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Where it lies now.
    pub location: PathBuf,
    /// Where it was found.
    pub from: PathBuf,
    /// Why it is a copy and no link, where a link was wanted.
    pub not_linked: Option<String>,
    /// Whether it is a link, and so somebody else's too.
    pub is_externally_linked: bool,
    /// What it was when its bytes were read.
    pub stamp: Stamp,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Git's id of its bytes, where that is what was wanted.
    pub git_sha1: Option<Digest>,
    /// Its first bytes, which tell its format.
    pub first: Vec<u8>,
}

impl Wanted {
    fn needs_git_id(&self) -> bool {
        self.digest.as_ref().is_some_and(|digest| digest.algorithm() == DigestAlgorithm::GitSha1)
    }

    /// Whether bytes that were read are those.
    fn is(&self, found: &Reading) -> bool {
        let actual = if self.needs_git_id() { found.git_sha1.as_ref() } else { Some(&found.sha256) };
        found.after.size == self.size_bytes && (self.digest.is_none() || self.digest.as_ref() == actual)
    }
}

/// A file whose taking in was begun: it is linked, or is to be copied.
#[derive(Debug)]
#[must_use = "`end_taking` reads the file"]
pub struct Taking {
    slot: PartialFile,
    wanted: Wanted,
    from: PathBuf,
    way: Way,
}

/// How a file comes into a partial.
#[derive(Debug)]
enum Way {
    /// It is linked; the stamp is the one that the link left.
    Link(FreshStamp),
    /// It is to be copied, for the reason that there can be no link, where one was wanted.
    Copy(Option<String>),
}

impl Store {
    /// Takes a file in, into a place that holds nothing else. `None` where it is not what is wanted, or no file that can
    /// be read. `watch` is told how many bytes more were read, and says whether to go on.
    ///
    /// # Errors
    /// What our own disk says; [`Error::NoSpace`] for a copy; [`Error::GivenUp`].
    pub fn take(
        &self,
        slot: &PartialFile,
        wanted: &Wanted,
        from: &Path,
        mode: AdoptMode,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Adopted>> {
        match self.begin_taking(slot, wanted, from, mode)? {
            Some(taking) => self.end_taking(taking, watch),
            None => Ok(None),
        }
    }

    /// Links a file that is to be taken in, or decides that it is to be copied. `None` where it has another size than is
    /// wanted, or is no file that can be read. No byte is read.
    ///
    /// # Errors
    /// What our own disk says.
    pub fn begin_taking(
        &self,
        slot: &PartialFile,
        wanted: &Wanted,
        from: &Path,
        mode: AdoptMode,
    ) -> Result<Option<Taking>> {
        if mode == AdoptMode::Off || open_as(from, wanted.size_bytes).is_none() {
            return Ok(None);
        }
        let way = if mode == AdoptMode::Copy { Some(Way::Copy(None)) } else { link(slot, wanted, from)? };
        let taking = |way| Taking { slot: slot.clone(), wanted: wanted.clone(), from: from.to_owned(), way };
        Ok(way.map(taking))
    }

    /// Reads a file whose taking in was begun, once its link has settled. `None` where its bytes are not what is wanted.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn end_taking(&self, taking: Taking, watch: &mut Watch<'_>) -> Result<Option<Adopted>> {
        let Taking { slot, wanted, from, way } = taking;
        let not_linked = match way {
            Way::Copy(reason) => reason,
            Way::Link(fresh) => match read_link(&slot.linked, &wanted, fresh, watch)? {
                Linked::Done(found) => return Ok(Some(adopted(slot.linked, from, found, true, None))),
                Linked::Wrong => return Ok(None),
                Linked::Unsettled => Some("others change it, or link it, all the time".to_owned()),
            },
        };
        let Some(file) = open_as(&from, wanted.size_bytes) else { return Ok(None) };
        let found = self.copy(&slot.data, &wanted, file, watch)?;
        Ok(found.map(|found| adopted(slot.data, from, found, false, not_linked)))
    }

    /// Copies a file, and hashes what it writes.
    fn copy(
        &self,
        place: &Path,
        wanted: &Wanted,
        mut from: File,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Reading>> {
        let mut options = File::options();
        let mut data = options.create(true).truncate(true).read(true).write(true).open(place)?;
        let mut found = if share_blocks(&data, &from) {
            reading::read(&mut data, wanted.needs_git_id(), None, watch)?
        } else {
            let free_bytes = space::free_bytes(self.root())?;
            if free_bytes < wanted.size_bytes {
                let (path, needed_bytes) = (self.root().to_owned(), wanted.size_bytes);
                return Err(Error::NoSpace { path, needed_bytes, free_bytes });
            }
            reading::read(&mut from, wanted.needs_git_id(), Some(&mut data), watch)?
        };
        // What was hashed is what was written, whatever became of the other file.
        found.after = Stamp::of(&data.metadata()?);
        Ok(wanted.is(&found).then_some(found))
    }
}

fn adopted(
    location: PathBuf,
    from: PathBuf,
    found: Reading,
    is_externally_linked: bool,
    not_linked: Option<String>,
) -> Adopted {
    let Reading { sha256, git_sha1, after: stamp, first, .. } = found;
    Adopted { location, from, not_linked, is_externally_linked, stamp, sha256, git_sha1, first }
}

/// A file of the size that is wanted, if it may be read.
fn open_as(from: &Path, size_bytes: u64) -> Option<File> {
    let why = match reading::open(from) {
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

/// Links a file into a partial. `None` where what is linked has another size, or is no file.
fn link(slot: &PartialFile, wanted: &Wanted, from: &Path) -> Result<Option<Way>> {
    let linked = &slot.linked;
    unlink(linked)?;
    if let Err(error) = std::fs::hard_link(from, linked) {
        return Ok(Some(Way::Copy(Some(error.to_string()))));
    }
    // Another file may have the name by now.
    let fresh = FreshStamp::at(linked)?.filter(|fresh| fresh.stamp().size == wanted.size_bytes);
    if fresh.is_none() {
        unlink(linked)?;
    }
    Ok(fresh.map(Way::Link))
}

/// What the reading of a link found.
enum Linked {
    Done(Reading),
    /// The bytes are others.
    Wrong,
    /// The file never had one stamp for long enough.
    Unsettled,
}

/// Reads a file that was linked. One that is not what is wanted loses the link.
fn read_link(linked: &Path, wanted: &Wanted, fresh: FreshStamp, watch: &mut Watch<'_>) -> Result<Linked> {
    let Some(mut file) = reading::open(linked)? else { return Ok(Linked::Wrong) };
    let became = match reading::read_settled(&mut file, fresh, wanted.needs_git_id(), watch)? {
        Some(found) if wanted.is(&found) => return Ok(Linked::Done(found)),
        Some(found) => {
            tracing::debug!("`{}` is not adopted: it has {}", linked.display(), found.sha256);
            Linked::Wrong
        }
        None => Linked::Unsettled,
    };
    unlink(linked)?;
    Ok(became)
}

/// Makes a file have the bytes of another one without writing them, where the file system can.
#[cfg(target_os = "linux")]
pub(crate) fn share_blocks(to: &File, from: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn share_blocks(_: &File, _: &File) -> bool {
    false
}

#[cfg(test)]
mod tests;
