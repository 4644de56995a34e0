//! Lists a model without a client of our own.
//!
//! # What the command keeps
//! A download of no file makes the command ask the hub for the commit, and releases from 1.0 on for the listing of that commit too. They
//! keep both in their cache (`cache` has its layout), which here lies in the scratch folder. So the listing is the hub's own, with its
//! digests. The small files that say what a repository is come by a second run.
//!
//! # Without a listing
//! Older releases keep the commit alone. Then nothing but a download lists the files: all that the reference may mean comes into the
//! scratch folder, and the rules choose among what is there. Nothing states a digest of these files, so their basis is the first use.

use std::path::{Path, PathBuf};

use durable_fs::read_foreign;
use model_selection::{Choice, Listing, Manifests, manifests_to_read, select};
use provisioner_core::{
    Digest, FetchError, FetchErrorKind, Locator, Manifest, ManifestFile, ModelRef, RelativePath, RemoteFile,
    ResolveRequest, ScratchFolder,
    reference::{RepoRef, RepoTarget, ShardName},
};

use super::{
    arguments::{pattern_of, runs, to_download, to_list},
    runner::Runner,
    scratch::{Workplace, failed},
};
use crate::{
    cache,
    repository::Repository,
    request::{blocking, hub_of},
    tree::TreeFile,
};

/// How many files a walk over a download reads at the most.
const MAX_FILES: usize = 200_000;

/// Lists a model by what the command learns of the hub.
///
/// # Errors
/// Why the command cannot ask the hub; [`FetchErrorKind::ToolMissing`] where only a download would list the model, and the request
/// names no scratch folder.
pub(super) async fn list(runner: &Runner, request: &ResolveRequest) -> Result<Manifest, FetchError> {
    let hub = hub_of(request)?.clone();
    let repo = hub.repo().to_owned();
    let revision = request.revision.clone().or_else(|| hub.revision().map(str::to_owned));
    let scratch = request.scratch.clone();
    let place = blocking(move || Workplace::make(scratch.as_ref())).await?;
    runner.run(to_list(&repo, revision.as_deref().unwrap_or("main")), &place, &|_| ()).await?;
    let (at, kept, pinned) = (place.cache(), hub.clone(), revision.clone());
    let (commit, listing) = blocking(move || {
        let commit = cache::commit(&at, &kept, pinned.as_deref())?;
        Ok((commit, cache::listing(&[at], &kept, pinned.as_deref())?))
    })
    .await?;
    let Some(commit) = commit else {
        return Err(FetchError::new(FetchErrorKind::Invalid, format!("`{}` names no commit", runner.name())));
    };
    match (listing, &request.scratch) {
        (Some(found), _) => {
            let repository = Repository::new(hub, found.commit, found.tree);
            choose(runner, repository, request, &place, &repo).await
        }
        (None, Some(scratch)) => download_to_list(runner, hub, commit, scratch, &place).await,
        (None, None) => {
            let message =
                format!("`{}` keeps no listing, so nothing but a download lists `{repo}`", runner.name());
            let hint = "ensure the model, which downloads it, or install huggingface_hub 1.0 or newer, which keeps a listing";
            Err(FetchError::new(FetchErrorKind::ToolMissing, message).with_hint(hint))
        }
    }
}

/// Returns a model as the listing in a cache has it, without the command.
pub(super) async fn recall(
    caches: Vec<PathBuf>,
    request: &ResolveRequest,
) -> Result<Option<Manifest>, FetchError> {
    let (hub, revision) = (hub_of(request)?.clone(), request.revision.clone());
    blocking(move || {
        let Some(found) = cache::listing(&caches, &hub, revision.as_deref())? else { return Ok(None) };
        let mut repository = Repository::new(hub, found.commit, found.tree);
        repository.read_downloaded_alone(&caches);
        let choice = repository.choose()?;
        let paths: Vec<_> = choice.files.iter().map(|file| file.path.clone()).collect();
        let manifest = manifest(repository, &paths, &choice.entry)?;
        Ok(Some(choice.applied_to(manifest).listed_in(found.path)))
    })
    .await
}

/// Chooses the files of a listing, by the small files that say what the repository is.
async fn choose(
    runner: &Runner,
    mut repository: Repository,
    request: &ResolveRequest,
    place: &Workplace,
    repo: &str,
) -> Result<Manifest, FetchError> {
    if let Some(chosen) = request.chosen.as_ref().filter(|chosen| repository.has(&chosen.paths)) {
        return manifest(repository, &chosen.paths, &chosen.entry);
    }
    loop {
        let telling = repository.telling();
        if telling.is_empty() {
            break;
        }
        for names in runs(telling.iter().map(|file| file.path.as_str())) {
            let arguments = to_download(repo, &repository.commit, None, &names);
            runner.run(arguments, place, &|_| ()).await?;
        }
        let caches = vec![place.cache()];
        repository = blocking(move || {
            repository.read_downloaded(&caches);
            let unread = repository.telling();
            // What the command did not bring as it is listed decides nothing.
            let is_unread = |file: &TreeFile| unread.contains(file);
            telling.into_iter().filter(is_unread).for_each(|file| repository.refuse(file.path));
            Ok(repository)
        })
        .await?;
    }
    blocking(move || {
        let choice = repository.choose()?;
        let paths: Vec<_> = choice.files.iter().map(|file| file.path.clone()).collect();
        let manifest = manifest(repository, &paths, &choice.entry)?;
        Ok(choice.applied_to(manifest))
    })
    .await
}

/// Returns the manifest of some files of a listing.
fn manifest(
    repository: Repository,
    paths: &[RelativePath],
    entry: &provisioner_core::Entry,
) -> Result<Manifest, FetchError> {
    let (hub, commit) = (repository.hub.clone(), repository.commit.clone());
    let facts = repository.facts_of(paths);
    let mut files = repository.into_files();
    let taken = paths.iter().filter_map(|path| files.take(path));
    let files = taken.map(|(file, _)| listed(&hub, &commit, file.path, file.size, Some(file.digest)));
    Ok(made(&hub, files.collect(), entry, commit.clone())?.with_source(Some(facts)))
}

/// Returns a listed file. Only a download opens it.
fn listed(
    hub: &RepoRef,
    commit: &str,
    path: RelativePath,
    size: u64,
    digest: Option<Digest>,
) -> ManifestFile {
    let address = format!("{}:{}@{commit}/{path}", hub.scheme(), hub.repo());
    ManifestFile { path, size, digest, locator: Locator::Streamed(RemoteFile::new(address)) }
}

fn made(
    hub: &RepoRef,
    files: Vec<ManifestFile>,
    entry: &provisioner_core::Entry,
    commit: String,
) -> Result<Manifest, FetchError> {
    let manifest = Manifest::new(ModelRef::Repo(hub.clone()), files, entry.clone())
        .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))?;
    Ok(manifest.at_revision(commit))
}

/// Downloads all that a reference may mean, and lists what is there.
async fn download_to_list(
    runner: &Runner,
    hub: RepoRef,
    commit: String,
    scratch: &ScratchFolder,
    place: &Workplace,
) -> Result<Manifest, FetchError> {
    let files = scratch.files();
    let made_at = files.clone();
    blocking(move || fs_err::create_dir_all(made_at).map_err(failed)).await?;
    let arguments = to_download(hub.repo(), &commit, Some(&files), &patterns_of(&hub));
    runner.run(arguments, place, &|_| ()).await?;
    blocking(move || {
        let listing = walk(&files)?;
        let manifests = manifests_of(&listing, &hub, &files)?;
        let Choice { files: chosen, entry, .. } = select(&hub, &listing, &manifests)?;
        let of = |path: &RelativePath| {
            let size = listing.size(path.as_str()).unwrap_or_default();
            listed(&hub, &commit, path.clone(), size, None)
        };
        let manifest =
            made(&hub, chosen.iter().map(|file| of(&file.path)).collect(), &entry, commit.clone())?;
        Ok(select(&hub, &listing, &manifests)?.applied_to(manifest))
    })
    .await
}

/// Returns the patterns of all files that a reference may mean. There are two at least, for one name is no pattern to the command.
fn patterns_of(hub: &RepoRef) -> Vec<String> {
    let mut patterns = match hub.target() {
        RepoTarget::Path(path) => {
            let shards = ShardName::parse(path.file_name()).map(|set| {
                (1..=set.count())
                    .map(|n| pattern_of(&format!("{}{}", path.folder(), set.sibling(n))))
                    .collect()
            });
            let whole = || vec![pattern_of(path.as_str()), format!("{}/*", pattern_of(path.as_str()))];
            shards.unwrap_or_else(whole)
        }
        RepoTarget::Quantization(name) => vec![format!("*{}*", in_any_case(name)), "*mmproj*".to_owned()],
        RepoTarget::Repository(selection) if !selection.include.is_empty() => {
            selection.include.iter().cloned().collect()
        }
        RepoTarget::Repository(_) => vec!["*".to_owned()],
    };
    if let [only] = patterns.as_slice() {
        patterns.push(only.clone());
    }
    patterns
}

/// Returns a pattern that fits a name in any letter case.
fn in_any_case(name: &str) -> String {
    name.chars().fold(String::new(), |pattern, c| {
        if c.is_ascii_alphabetic() {
            format!("{pattern}[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase())
        } else {
            pattern + &pattern_of(&c.to_string())
        }
    })
}

/// Lists the regular files of a download. It follows no symlink, and leaves out what the command keeps for itself.
fn walk(files: &Path) -> Result<Listing, FetchError> {
    let (mut listing, mut waiting) = (Listing::default(), vec![files.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for path in durable_fs::entries(&folder).map_err(|error| unreadable(&error))? {
            let Some(name) = path.strip_prefix(files).ok().and_then(Path::to_str) else { continue };
            let Ok(metadata) = fs_err::symlink_metadata(&path) else { continue };
            if name == ".cache" {
                continue;
            }
            if metadata.is_dir() {
                waiting.push(path);
            } else if metadata.is_file() && listing.len() < MAX_FILES {
                listing.add(name, metadata.len());
            }
        }
    }
    Ok(listing)
}

/// Reads the small files of a download that say what the repository is.
fn manifests_of(listing: &Listing, hub: &RepoRef, files: &Path) -> Result<Manifests, FetchError> {
    let mut manifests = Manifests::default();
    loop {
        let unread = manifests_to_read(listing, hub.target(), &manifests);
        if unread.is_empty() {
            return Ok(manifests);
        }
        for path in unread {
            let size = listing.size(path.as_str()).unwrap_or_default();
            match read_foreign(&files.join(&path), size).map_err(|error| unreadable(&error))? {
                Some(bytes) => manifests.insert(path, bytes),
                None => manifests.give_up(path),
            }
        }
    }
}

fn unreadable(error: &durable_fs::Error) -> FetchError {
    FetchError::new(FetchErrorKind::Storage, format!("the download cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_means_no_file_that_its_patterns_leave_out() {
        let check = |reference: &str, expected: &[&str]| {
            let reference: ModelRef = reference.parse().unwrap();
            assert_eq!(patterns_of(reference.repository().unwrap()), expected, "{reference}");
        };
        check("hf:org/repo", &["*", "*"]);
        check("hf:org/repo/a[1].gguf", &["a[[]1].gguf", "a[[]1].gguf/*"]);
        check("hf:org/repo:Q4_K_M", &["*[Qq]4_[Kk]_[Mm]*", "*mmproj*"]);
        check("hf:org/repo?include=*.json", &["*.json", "*.json"]);
        check("hf:org/repo/x-00001-of-00002.gguf", &["x-00001-of-00002.gguf", "x-00002-of-00002.gguf"]);
    }
}
