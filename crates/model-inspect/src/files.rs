//! Lists and opens the files of one model, wherever they are.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use provisioner_core::{Entry, Format, RelativePath, StagedModel, reference::ShardName};

use crate::{ByteSource, Error, Result, source::OpenFile};

const MAX_NAMES: usize = 100_000;
const MAX_DEPTH: usize = 16;

/// Describes one file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// The place of the file in the model.
    pub path: RelativePath,
    /// The size of the file, in bytes.
    pub size_bytes: u64,
    /// The format of the file, where its contents were seen. Otherwise its name tells.
    pub format: Option<Format>,
}

/// Lists the files of one model, and opens them.
///
/// # Contract
/// - `files` is sorted by path, and does not change.
/// - `open` takes only paths among `files`. The reader calls it once for each file that it reads, and drops what it returns
///   before the next call.
pub trait ModelSource {
    /// Returns all files of the model.
    fn files(&self) -> &[ListedFile];

    /// Returns the file that an engine is given, where it is given a file and not the folder.
    fn entry(&self) -> Option<&RelativePath> {
        None
    }

    /// Opens one file of the model.
    ///
    /// # Errors
    /// What the operating system or the server says.
    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>>;

    /// Returns whether a look into each small file costs little, as it does where all files lie on this machine.
    fn is_on_this_machine(&self) -> bool {
        false
    }

    /// Returns whether the caller may have left files out on purpose, so that an index may name some that are not there.
    fn is_selection(&self) -> bool {
        false
    }
}

/// The files of a model on this machine.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    files: Vec<ListedFile>,
    locations: BTreeMap<RelativePath, Arc<Path>>,
    entry: Option<RelativePath>,
    is_selection: bool,
}

impl LocalFiles {
    /// Finds a file, with the other shards of its set; or the files of a folder, without names that begin with a dot.
    ///
    /// # Errors
    /// [`Error::Io`] where something cannot be read; [`Error::Incomplete`] naming a shard that is not there;
    /// [`Error::Unsound`] for names that are not safe, for what is neither a file nor a folder, and for folders too deep
    /// or too large.
    pub fn at(path: &Path) -> Result<Self> {
        let mut files =
            Self { files: Vec::new(), locations: BTreeMap::new(), entry: None, is_selection: false };
        if path.is_dir() {
            files.add_folder(path, "", 0, &mut 0)?;
        } else {
            files.add_set(path)?;
        }
        files.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Takes over the files of a staged model.
    pub fn staged(model: &StagedModel) -> Self {
        let manifest = model.manifest();
        let seen = |path: &RelativePath| manifest.entry().seen(path);
        let listed = model.files().iter().map(|file| ListedFile {
            path: seen(&file.path),
            size_bytes: file.stamp.size,
            format: Some(file.format),
        });
        let locations = model.files().iter().map(|file| (seen(&file.path), file.location.clone()));
        let entry = if let Entry::File(path) = manifest.entry() { Some(path.clone()) } else { None };
        let is_selection = manifest.is_selection();
        let mut files: Vec<_> = listed.collect();
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { files, locations: locations.collect(), entry, is_selection }
    }

    fn add_set(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let names = match ShardName::parse(name) {
            Some(shard) => (1..=shard.count()).map(|number| shard.sibling(number)).collect(),
            None => vec![name.to_owned()],
        };
        for name in &names {
            let location = folder.join(name);
            // What cannot be looked for is not missing: opening it says why.
            if names.len() > 1 && matches!(location.try_exists(), Ok(false)) {
                let reason = format!("missing shard, of {}", names.len());
                return Err(Error::Incomplete { file: Some(name.clone()), reason });
            }
            self.add_file(location, name)?;
        }
        self.entry = self.files.first().map(|file| file.path.clone());
        Ok(())
    }

    fn add_file(&mut self, location: PathBuf, name: &str) -> Result<()> {
        let path = RelativePath::new(name).map_err(|error| Error::unsound(error.to_string()))?;
        let metadata = fs_err::metadata(&location).map_err(|error| Error::from(error).in_file(name))?;
        if !metadata.is_file() {
            return Err(Error::unsound("is neither a file nor a folder").in_file(name));
        }
        self.locations.insert(path.clone(), location.into());
        self.files.push(ListedFile { path, size_bytes: metadata.len(), format: None });
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path, above: &str, depth: usize, names: &mut usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let reason = format!("lies more than {MAX_DEPTH} folders deep");
            return Err(Error::unsound(reason).in_file(above));
        }
        for entry in fs_err::read_dir(folder)? {
            let location = entry?.path();
            let name = location.file_name().unwrap_or_default();
            let name = name.to_str().ok_or_else(|| {
                Error::unsound("its name is not valid UTF-8").in_file(&location.display().to_string())
            })?;
            if name.starts_with('.') {
                continue;
            }
            *names += 1;
            if *names > MAX_NAMES {
                return Err(
                    Error::unsound(format!("its folder has more than {MAX_NAMES} names")).in_file(name)
                );
            }
            let path = format!("{above}{name}");
            if location.is_dir() {
                self.add_folder(&location, &format!("{path}/"), depth + 1, names)?;
            } else {
                self.add_file(location, &path)?;
            }
        }
        Ok(())
    }
}

impl ModelSource for LocalFiles {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn entry(&self) -> Option<&RelativePath> {
        self.entry.as_ref()
    }

    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        let location = self.locations.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(OpenFile::open(location)?))
    }

    fn is_on_this_machine(&self) -> bool {
        true
    }

    fn is_selection(&self) -> bool {
        self.is_selection
    }
}
