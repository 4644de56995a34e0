//! Chooses the files that belong to the model that a path names.
//!
//! - A file: it, and the other shards of its set.
//! - A folder: all files below it; a projector goes along where there is exactly one.

use std::{collections::HashSet, io, path::Path};

use provisioner_core::{
    Entry, FetchError, FetchErrorKind, Format, Locator, Manifest, ManifestFile, ModelRef, RelativePath,
    reference::{Companion, ShardName},
};

use crate::{api::names, error::failed};

/// Lists the files of the model that a reference names, without reading one. It blocks.
pub(crate) fn select(reference: ModelRef) -> Result<Manifest, FetchError> {
    let ModelRef::Local(local) = &reference else {
        let message = format!("`{reference}` is not a local reference");
        return Err(FetchError::new(FetchErrorKind::Unsupported, message));
    };
    let path = local.path().to_owned();
    if path.is_dir() { list_folder(reference, &path) } else { list_file(reference, &path) }
}

fn list_folder(reference: ModelRef, folder: &Path) -> Result<Manifest, FetchError> {
    let names = names(folder)?;
    if names.is_empty() {
        let message = format!("the folder `{}` has no files", folder.display());
        return Err(FetchError::new(FetchErrorKind::Empty, message));
    }
    check_shards(folder, &names)?;
    let mut projectors = names.iter().map(|(path, _)| path).filter(|path| is_projector(path));
    let projector = match (projectors.next(), projectors.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    };
    let files = names.into_iter().map(|(path, size)| in_place(folder, path, size)).collect();
    Ok(manifest(reference, files, Entry::Folder)?.with_projector(projector))
}

/// Returns an error unless each set of shards in a folder is complete. Where a folder has an index of safetensors, the index
/// decides, and not the names.
fn check_shards(folder: &Path, names: &[(RelativePath, u64)]) -> Result<(), FetchError> {
    let present: HashSet<_> = names.iter().map(|(path, _)| path.as_str()).collect();
    let is_index = |path: &&RelativePath| path.as_str().ends_with(".safetensors.index.json");
    let indexed: HashSet<_> =
        names.iter().map(|(path, _)| path).filter(is_index).map(RelativePath::folder).collect();
    for (path, _) in names {
        let Some(shard) = ShardName::parse(path.file_name()) else { continue };
        let above = path.folder();
        if path.as_str().ends_with(".safetensors") && indexed.contains(above) {
            continue;
        }
        let mut siblings = shard.needs().map(|number| format!("{above}{}", shard.sibling(number)));
        if let Some(missing) = siblings.find(|sibling| !present.contains(sibling.as_str())) {
            let message = format!("missing shard `{}`, of {}", folder.join(missing).display(), shard.count());
            return Err(FetchError::new(FetchErrorKind::MissingShard, message));
        }
    }
    Ok(())
}

/// Returns whether a file is a multimodal projector, by its name.
pub fn is_projector(path: &RelativePath) -> bool {
    Format::named(path.file_name()) == Some(Format::Gguf)
        && Companion::of(path.as_str()) == Some(Companion::Projector)
}

fn list_file(reference: ModelRef, path: &Path) -> Result<Manifest, FetchError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let names = match ShardName::parse(name) {
        Some(shard) => (1..=shard.count()).map(|number| shard.sibling(number)).collect(),
        None => vec![name.to_owned()],
    };
    let mut files = Vec::new();
    let mut missing = Vec::new();
    for name in &names {
        let location = folder.join(name);
        match fs_err::metadata(&location) {
            Ok(metadata) if metadata.is_file() => {
                let relative = safe(name)?;
                files.push(in_place(folder, relative, metadata.len()));
            }
            Ok(_) => {
                let message = format!("`{}` is neither a file nor a folder", location.display());
                return Err(FetchError::new(FetchErrorKind::NotAFile, message));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && names.len() > 1 => {
                missing.push(location);
            }
            Err(error) => return Err(failed(&location, error)),
        }
    }
    match missing.as_slice() {
        [] => manifest(reference, files, Entry::File(safe(&names[0])?)),
        [first, others @ ..] => {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            let message = format!("missing shard `{}`{more}, of {}", first.display(), names.len());
            Err(FetchError::new(FetchErrorKind::MissingShard, message))
        }
    }
}

fn in_place(folder: &Path, path: RelativePath, size: u64) -> ManifestFile {
    let locator = Locator::InPlace(folder.join(&path).into());
    ManifestFile { path, size, digest: None, locator }
}

fn safe(name: &str) -> Result<RelativePath, FetchError> {
    RelativePath::new(name).map_err(|error| FetchError::new(FetchErrorKind::UnsafePath, error.to_string()))
}

fn manifest(reference: ModelRef, files: Vec<ManifestFile>, entry: Entry) -> Result<Manifest, FetchError> {
    Manifest::new(reference, files, entry)
        .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))
}
