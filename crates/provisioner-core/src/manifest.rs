//! Holds manifests: a reference, pinned to its files.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    choice::{LeftOut, LeftOutReason, Notice, Role},
    digest::Digest,
    error::{Error, Result},
    path::RelativePath,
    reference::{ModelRef, RepoRef, RepoTarget},
    remote_file::RemoteFile,
    signature::SignatureFile,
    source_facts::SourceFacts,
};

/// Pins a reference to a revision, and to its files in the order of their paths. Clones share the files.
///
/// ```
/// use provisioner_core::{Entry, Locator, Manifest, ManifestFile, RelativePath, RemoteFile};
///
/// let path = RelativePath::new("model.gguf")?;
/// let locator = Locator::Streamed(RemoteFile::new("https://example.org/model.gguf"));
/// let file = ManifestFile { path: path.clone(), size: 1024, digest: None, locator };
/// let manifest = Manifest::new("mem:org/repo/model.gguf".parse()?, vec![file], Entry::File(path))?;
/// assert_eq!((manifest.size_bytes(), manifest.is_in_place()), (1024, false));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Manifest {
    reference: ModelRef,
    revision: Option<String>,
    files: Arc<Vec<ManifestFile>>,
    entry: Entry,
    projector: Option<RelativePath>,
    listed_in: Option<PathBuf>,
    roles: BTreeMap<RelativePath, Role>,
    left_out: Vec<LeftOut>,
    notices: Vec<Notice>,
    signatures: Vec<SignatureFile>,
    source: Option<SourceFacts>,
}

/// Says which part of a model an engine loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The engine loads one file: the model, or the first of its shards.
    File(RelativePath),
    /// The engine loads the folder that holds all the files.
    Folder,
    /// The engine loads one folder below that one. The files of the model keep their whole paths.
    Subfolder(RelativePath),
}

/// Describes one file of a model.
#[derive(Clone, Debug)]
pub struct ManifestFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The digest that the source lists for the bytes.
    pub digest: Option<Digest>,
    /// Says where the bytes are now.
    pub locator: Locator,
}

/// Says where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Locator {
    /// The bytes lie at this path of this machine, and an engine uses them in place. A staged file shares the path.
    InPlace(Arc<Path>),
    /// The bytes are in the store, or on their way into it. No fetcher opens them.
    Stored,
    /// The bytes are at their source, and the fetcher opens them.
    Streamed(RemoteFile),
}

/// Lists the names that the store needs in a folder of a model's files: of its seal, and of the mark of its removal.
const RESERVED: [&str; 2] = [".model.json", ".removed.json"];

/// Returns the first name in some paths that is reserved, at any depth and in any letter case.
fn reserved(paths: &HashSet<&RelativePath>) -> Option<&'static str> {
    let mut names = paths.iter().flat_map(|path| path.as_str().split('/'));
    names.find_map(|name| RESERVED.into_iter().find(|reserved| name.eq_ignore_ascii_case(reserved)))
}

/// Returns whether a path goes on where another one ends.
fn has_file_as_folder(paths: &HashSet<&RelativePath>) -> bool {
    let all: HashSet<&str> = paths.iter().map(|path| path.as_str()).collect();
    let above = |path: &str| path.match_indices('/').any(|(slash, _)| all.contains(&path[..slash]));
    all.iter().any(|path| above(path))
}

/// Returns whether a path lies below a folder.
fn is_below(path: &RelativePath, folder: &RelativePath) -> bool {
    path.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

impl Entry {
    /// Returns the path in the model of what an engine loads. `None` for the folder of all the files.
    pub fn path(&self) -> Option<&RelativePath> {
        match self {
            Self::File(path) | Self::Subfolder(path) => Some(path),
            Self::Folder => None,
        }
    }

    /// Returns the path of a file as an engine sees it that loads this part: below the subfolder, where the file lies there.
    ///
    /// ```
    /// use provisioner_core::{Entry, RelativePath};
    ///
    /// let entry = Entry::Subfolder(RelativePath::new("cuda/fp16")?);
    /// assert_eq!(entry.seen(&RelativePath::new("cuda/fp16/config.json")?).as_str(), "config.json");
    /// # Ok::<(), provisioner_core::Error>(())
    /// ```
    pub fn seen(&self, path: &RelativePath) -> RelativePath {
        let below = match self {
            Self::Subfolder(folder) => path.as_str().strip_prefix(folder.as_str()),
            _ => None,
        };
        let below = below.and_then(|rest| RelativePath::new(rest.strip_prefix('/')?).ok());
        below.unwrap_or_else(|| path.clone())
    }
}

impl Manifest {
    /// Makes a manifest of the files of one reference.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when there is no file, two files have one path, a file has a reserved name, a file has the
    /// name of a folder, or the entry is neither one of the files nor a folder of them.
    pub fn new(reference: ModelRef, mut files: Vec<ManifestFile>, entry: Entry) -> Result<Self> {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let paths: HashSet<_> = files.iter().map(|file| &file.path).collect();
        let reason = match &entry {
            _ if files.is_empty() => Some("it has no files".to_owned()),
            _ if paths.len() < files.len() => Some("two files have one path".to_owned()),
            Entry::File(path) if !paths.contains(path) => Some(format!("`{path}` is not among its files")),
            Entry::Subfolder(path) if !files.iter().any(|file| is_below(&file.path, path)) => {
                Some(format!("`{path}` is not a folder of its files"))
            }
            _ if reserved(&paths).is_some() => {
                reserved(&paths).map(|name| format!("`{name}` is a name that the store needs"))
            }
            _ if has_file_as_folder(&paths) => Some("a file has the name of a folder".to_owned()),
            _ => None,
        };
        match reason {
            Some(reason) => Err(Error::Inconsistent { id: reference.id(), reason }),
            None => Ok(Self {
                reference,
                revision: None,
                files: Arc::new(files),
                entry,
                projector: None,
                listed_in: None,
                roles: BTreeMap::new(),
                left_out: Vec::new(),
                notices: Vec::new(),
                signatures: Vec::new(),
                source: None,
            }),
        }
    }

    /// Sets the revision to which the source pinned the reference.
    #[must_use]
    pub fn at_revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// Sets which of the files is the multimodal projector.
    #[must_use]
    pub fn with_projector(mut self, projector: Option<RelativePath>) -> Self {
        self.projector = projector;
        self
    }

    /// Sets what a rule chose of a listing: what each file is to an engine, which files stay out and why, and what a person
    /// should know of the choice.
    #[must_use]
    pub fn with_choice(
        mut self,
        roles: impl IntoIterator<Item = (RelativePath, Role)>,
        left_out: Vec<LeftOut>,
        notices: Vec<Notice>,
    ) -> Self {
        self.roles = roles.into_iter().collect();
        (self.left_out, self.notices) = (left_out, notices);
        self
    }

    /// Leaves out the files that `goes` says yes to, for a reason. `tell` changes the notices, and has their paths. A manifest of
    /// which nothing or everything would go stays as it is.
    #[must_use]
    pub fn leave_out(
        mut self,
        goes: impl Fn(&RelativePath, Option<Role>) -> bool,
        reason: LeftOutReason,
        tell: impl FnOnce(&mut Vec<Notice>, Vec<String>),
    ) -> Self {
        let goes = |file: &ManifestFile| goes(&file.path, self.roles.get(&file.path).copied());
        let (gone, kept): (Vec<_>, Vec<_>) = self.files.iter().cloned().partition(goes);
        if gone.is_empty() || kept.is_empty() {
            return self;
        }
        self.files = Arc::new(kept);
        for file in &gone {
            self.roles.remove(&file.path);
            self.left_out.push(LeftOut { path: file.path.to_string(), size: file.size, reason });
        }
        self.left_out.sort_by(|a, b| a.path.cmp(&b.path));
        tell(&mut self.notices, gone.iter().map(|file| file.path.to_string()).collect());
        self
    }

    /// Sets the digest that each file must have. A file for which `digest_of` returns none keeps the one that its source lists.
    #[must_use]
    pub fn with_digests(mut self, digest_of: impl Fn(&ManifestFile) -> Option<Digest>) -> Self {
        for file in Arc::make_mut(&mut self.files) {
            file.digest = digest_of(file).or(file.digest.take());
        }
        self
    }

    /// Says of each file that its bytes are in the store, or on their way into it. What the fetcher knew of the files goes.
    #[must_use]
    pub fn stored(mut self) -> Self {
        for file in Arc::make_mut(&mut self.files) {
            file.locator = Locator::Stored;
        }
        self
    }

    /// Sets which file of another tool listed the files, where the fetcher did not ask the source itself.
    #[must_use]
    pub fn listed_in(mut self, file: impl Into<PathBuf>) -> Self {
        self.listed_in = Some(file.into());
        self
    }

    /// Sets what the source says of the model, such as its licence.
    #[must_use]
    pub fn with_source(mut self, facts: Option<SourceFacts>) -> Self {
        self.source = facts.filter(|facts| !facts.is_empty());
        self
    }

    /// Sets the signatures that were found with the model.
    #[must_use]
    pub fn with_signatures(self, signatures: Vec<SignatureFile>) -> Self {
        Self { signatures, ..self }
    }

    /// Returns the reference that the manifest pins.
    pub fn reference(&self) -> &ModelRef {
        &self.reference
    }

    /// Returns the revision, where the source has revisions.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Returns whether the reference may leave files out on purpose.
    pub fn is_selection(&self) -> bool {
        let target = self.reference.repository().map(RepoRef::target);
        matches!(target, Some(RepoTarget::Repository(selection)) if !selection.is_empty())
    }

    /// Returns the files, in the order of their paths.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// Returns the file of a path. `None` where no file has it.
    pub fn file(&self, path: &RelativePath) -> Option<&ManifestFile> {
        let index = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.files.get(index)
    }

    /// Returns the part of the model that an engine loads.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Returns the only file of a model of one file, its projector left out. `None` for a set.
    pub fn single(&self) -> Option<&ManifestFile> {
        let Entry::File(entry) = &self.entry else { return None };
        let goes_along = |path: &RelativePath| Some(path) == self.projector.as_ref() || path == entry;
        let is_alone = self.files.iter().all(|file| goes_along(&file.path));
        self.file(entry).filter(|_| is_alone)
    }

    /// Returns the file whose digest people take for the model's: the only one, also of a repository that is a folder of one
    /// file.
    pub(crate) fn known_by_one(&self) -> Option<&ManifestFile> {
        let has_repo = self.reference.repository().is_some();
        let only = self.files.first().filter(|_| has_repo && self.files.len() == 1);
        self.single().or(only)
    }

    /// Returns the multimodal projector among the files.
    pub fn projector(&self) -> Option<&RelativePath> {
        self.projector.as_ref()
    }

    /// Returns what a file is to an engine. `None` where no rule said it.
    pub fn role(&self, path: &RelativePath) -> Option<Role> {
        self.roles.get(path).copied()
    }

    /// Returns the files that the source lists and that do not belong to the model.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns what a person should know of the choice.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Returns the signatures that were found with the model. No verifier has looked at them.
    pub fn signatures(&self) -> &[SignatureFile] {
        &self.signatures
    }

    /// Returns what the source says of the model. `None` where it says nothing.
    pub fn source(&self) -> Option<&SourceFacts> {
        self.source.as_ref()
    }

    /// Returns the file of another tool that listed the files. `None` where the source itself listed them.
    pub fn listing(&self) -> Option<&Path> {
        self.listed_in.as_deref()
    }

    /// Returns whether all files lie on this machine and an engine uses them in place.
    pub fn is_in_place(&self) -> bool {
        self.files.iter().all(|file| matches!(file.locator, Locator::InPlace(_)))
    }

    /// Returns where the view of a model lies that an engine does not use in place: see [`ModelRef::view_path`].
    ///
    /// # Errors
    /// [`Error::UnsafePath`] when the revision makes no path.
    pub fn view_path(&self) -> Result<RelativePath> {
        self.reference.view_path(self.revision())
    }

    /// Returns the size of all files, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_files_until_one_changes_them() {
        let file = |name: &str| ManifestFile {
            path: name.parse().unwrap(),
            size: 1,
            digest: None,
            locator: Locator::Streamed(RemoteFile::new(name)),
        };
        let files = ["b", "a", "c"].map(file).to_vec();
        let listed = Manifest::new("mem:org/repo".parse().unwrap(), files, Entry::Folder).unwrap();
        assert!(std::ptr::eq(listed.files(), listed.clone().files()));
        let stored = listed.clone().stored();
        for name in ["a", "b", "c"] {
            let path = name.parse().unwrap();
            assert_eq!(listed.file(&path).unwrap().locator, Locator::Streamed(RemoteFile::new(name)));
            assert_eq!(stored.file(&path).unwrap().locator, Locator::Stored);
        }
        assert!(listed.file(&"d".parse().unwrap()).is_none());
    }
}
