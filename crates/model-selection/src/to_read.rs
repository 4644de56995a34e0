//! Says which small files of a repository a fetcher reads before the choice.
//!
//! The most needed come first: the manifests at the top; those in the folders that these name; the programs that a configuration
//! names, and what they import; and then those in other folders. What a manifest names is known once it is read, so the fetcher
//! asks again until there is nothing more to read.

use provisioner_core::{NAMING_CODE, RelativePath, reference::RepoTarget};

use crate::{
    code,
    layouts::named_folders,
    listing::{Listed, Listing},
    manifests::{
        MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, MAX_MANIFESTS, MAX_MANIFESTS_BYTES, MAX_TOKENIZER_BYTES,
        Manifests,
    },
    names::{ending, split},
    scope::Scope,
};

/// The largest number of bytes of a program that is read before the choice.
const MAX_CODE_BYTES: u64 = 256 << 10;

/// How many folders deep a program lies at the most that is read.
const MAX_CODE_DEPTH: usize = 8;

/// The number of manifests up to which the fetcher reads all of them at once. More of them are read in the order of need.
const MOST_AT_ONCE: usize = MAX_MANIFESTS / 2;

/// The names of the files that say which layout a repository has, the most telling first.
const TELLING: [&str; 4] = ["model_index.json", "modules.json", "router_config.json", "genai_config.json"];

/// Returns the files to read next, the most needed first; none once all that matter are read or given up. All that this returns
/// for one choice are at most [`MAX_MANIFESTS`] files, of at most [`MAX_MANIFEST_BYTES`] each and [`MAX_MANIFESTS_BYTES`] together.
/// There are none where the reference names one file, a quantization or patterns to take, for then these decide.
pub fn manifests_to_read(listing: &Listing, target: &RepoTarget, read: &Manifests) -> Vec<RelativePath> {
    let stages = Stages::of(listing, target, read);
    let unread = |stage: &Stage<'_>| -> Vec<_> {
        stage.iter().filter(|file| file.is_taken).map(|file| file.path.clone()).collect()
    };
    if stages.are_few {
        let all = [0, 1, 3].map(|at| unread(&stages.files[at])).concat();
        if !all.is_empty() {
            return all;
        }
    }
    stages.files.iter().map(unread).find(|stage| !stage.is_empty()).unwrap_or_default()
}

/// Returns how many files are not read because the limits do not allow more.
pub(crate) fn count_left_unread(listing: &Listing, target: &RepoTarget, read: &Manifests) -> usize {
    let files = Stages::of(listing, target, read).files;
    files.iter().flatten().filter(|file| !file.is_taken && !read.is_settled(file.path)).count()
}

/// A file that tells what a repository is.
struct Telling<'a> {
    path: &'a RelativePath,
    size: u64,
    rank: usize,
    /// Whether it is not read yet, and the limits allow to read it.
    is_taken: bool,
}

type Stage<'a> = Vec<Telling<'a>>;

/// Holds the files to read.
struct Stages<'a> {
    /// The stages in the order of need: at the top; in folders that these name; programs; in other folders.
    files: [Stage<'a>; 4],
    /// Whether all manifests are read at once, before the programs.
    are_few: bool,
}

impl<'a> Stages<'a> {
    fn of(listing: &'a Listing, target: &RepoTarget, read: &Manifests) -> Self {
        let none = || Self { files: Default::default(), are_few: true };
        let folder = match target {
            RepoTarget::Repository(selection) if selection.include.is_empty() => String::new(),
            RepoTarget::Path(path) if listing.size(path.as_str()).is_none() => format!("{path}/"),
            _ => return none(),
        };
        let named = named_folders(&folder, read);
        let [mut top, mut inner, mut others] = [const { Vec::new() }; 3];
        for (name, file) in listing.below(&folder) {
            let (Some(rel), Some(path)) = (name.strip_prefix(&folder), &file.path) else { continue };
            let Some(rank) = rank(rel, file.size) else { continue };
            let stage = match split(rel).0 {
                "" => &mut top,
                folder if named.contains(folder) => &mut inner,
                _ => &mut others,
            };
            stage.push(Telling { path, size: file.size, rank, is_taken: false });
        }
        let are_few = top.len() + inner.len() + others.len() <= MOST_AT_ONCE;
        let code = programs(listing, &folder, read);
        let mut stages = Self { files: [top, inner, code, others], are_few };
        stages.limit(read);
        stages
    }

    /// Sorts each stage, and takes as many files as the limits allow. Those that are read count first.
    fn limit(&mut self, read: &Manifests) {
        let (mut files, mut bytes) = (0, 0_u64);
        for file in self.files.iter().flatten().filter(|file| read.is_settled(file.path)) {
            (files, bytes) = (files + 1, bytes.saturating_add(file.size));
        }
        let order = if self.are_few { [0, 1, 3, 2] } else { [0, 1, 2, 3] };
        for at in order {
            let stage = &mut self.files[at];
            stage.sort_unstable_by(|a, b| (a.rank, a.path).cmp(&(b.rank, b.path)));
            for file in stage.iter_mut().filter(|file| !read.is_settled(file.path)) {
                let sum = bytes.saturating_add(file.size);
                file.is_taken = files < MAX_MANIFESTS && sum <= MAX_MANIFESTS_BYTES;
                if file.is_taken {
                    (files, bytes) = (files + 1, sum);
                }
            }
        }
    }
}

/// Returns the programs that the configurations name which were read, with what the programs import that were read.
fn programs<'a>(listing: &'a Listing, folder: &str, read: &Manifests) -> Stage<'a> {
    let is_program = |name: &str| ending(name) == "py";
    if !listing.below(folder).any(|(name, _)| is_program(name)) {
        return Vec::new();
    }
    let scope = Scope::of(listing, folder);
    let reached = code::of(&scope, read, &read.folders(folder)).files;
    let files = reached.into_iter().map(|at| &scope.files[at]).filter(|file| {
        let depth = file.folder().matches('/').count();
        is_program(file.rel) && depth <= MAX_CODE_DEPTH && file.size <= MAX_CODE_BYTES
    });
    let paths = files.filter_map(|file| listing.get(file.path.as_str()));
    let telling = |file: &'a Listed| {
        Some(Telling { path: file.path.as_ref()?, size: file.size, rank: 0, is_taken: false })
    };
    paths.filter_map(telling).collect()
}

/// Returns how telling a manifest is, by its path in the scope; `None` for a file that tells nothing.
fn rank(rel: &str, size: u64) -> Option<usize> {
    let (folder, name) = split(rel);
    if folder.matches('/').count() > 1 {
        return None;
    }
    if name.ends_with(".safetensors.index.json") {
        return (size <= MAX_MANIFEST_BYTES).then_some(40);
    }
    let most = if name == "tokenizer_config.json" { MAX_TOKENIZER_BYTES } else { MAX_CONFIG_BYTES };
    let mut known = TELLING.iter().chain(&NAMING_CODE);
    known.position(|telling| *telling == name).filter(|_| size <= most)
}

#[cfg(test)]
mod tests {
    use provisioner_core::ModelRef;

    use super::*;

    fn next(files: &[(&str, u64)], reference: &str, read: &Manifests) -> Vec<String> {
        let ModelRef::Repo(repo) = reference.parse().unwrap() else { panic!("{reference}") };
        let listing = files.iter().copied().collect();
        let next = manifests_to_read(&listing, repo.target(), read);
        next.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_configuration_that_is_large_is_not_read() {
        for (name, most) in [
            ("config.json", 256 << 10),
            ("adapter_config.json", 256 << 10),
            ("tokenizer_config.json", 2 << 20),
            ("model.safetensors.index.json", 32 << 20),
        ] {
            let is_read = |size| !next(&[(name, size)], "hf:o/r", &Manifests::default()).is_empty();
            assert!(is_read(most) && !is_read(most + 1), "{name}");
        }
    }

    /// A program is read once a configuration names it, however many others lie beside it.
    #[test]
    fn programs_are_read_by_need() {
        let others: Vec<_> = (0..60).map(|n| format!("a{n:02}.py")).collect();
        let mut files: Vec<_> = others.iter().map(|name| (name.as_str(), 9)).collect();
        files.extend([("config.json", 9), ("modeling_x.py", 9), ("core/deep/b.py", 9)]);
        let mut read = Manifests::default();
        assert_eq!(next(&files, "hf:o/r", &read), ["config.json"]);
        let config = r#"{"auto_map": {"AutoModel": "modeling_x.X"}}"#;
        read.insert("config.json".parse().unwrap(), config.as_bytes().to_vec());
        assert_eq!(next(&files, "hf:o/r", &read), ["modeling_x.py"]);
        read.insert("modeling_x.py".parse().unwrap(), b"from .core.deep.b import C".to_vec());
        assert_eq!(next(&files, "hf:o/r", &read), ["core/deep/b.py"]);
        read.give_up("core/deep/b.py".parse().unwrap());
        assert_eq!(next(&files, "hf:o/r", &read), [""; 0]);
    }

    /// Of more configurations than the limit, those come first that the manifest at the top names.
    #[test]
    fn folders_that_a_manifest_names_are_read_first() {
        let folders: Vec<_> = (0..100).map(|n| format!("f{n:03}/config.json")).collect();
        let mut files: Vec<_> = folders.iter().map(|name| (name.as_str(), 9)).collect();
        files.extend([("modules.json", 9), ("zz_Dense/config.json", 9)]);
        let mut read = Manifests::default();
        assert_eq!(next(&files, "hf:o/r", &read), ["modules.json"]);
        let modules = r#"[{"path": "zz_Dense", "type": "a.B"}]"#;
        read.insert("modules.json".parse().unwrap(), modules.as_bytes().to_vec());
        assert_eq!(next(&files, "hf:o/r", &read), ["zz_Dense/config.json"]);
        read.give_up("zz_Dense/config.json".parse().unwrap());
        let rest = next(&files, "hf:o/r", &read);
        assert_eq!((rest.len(), rest[0].as_str()), (MAX_MANIFESTS - 2, "f000/config.json"));
        let ModelRef::Repo(repo) = "hf:o/r".parse().unwrap() else { panic!() };
        let listing = files.iter().copied().collect();
        assert_eq!(count_left_unread(&listing, repo.target(), &read), 100 - rest.len());
    }
}
