use std::os::unix::fs::symlink;

use provisioner_core::ModelRef;
use testkit::HubCache;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const DIGEST: &str = "91e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5";

fn find(cache: &Path, reference: &str) -> Result<Option<Listing>, FetchError> {
    let Ok(ModelRef::Repo(hub)) = reference.parse() else { panic!("{reference}") };
    listing(&[cache.join("absent"), cache.to_owned()], &hub, None)
}

/// Returns the error of a tree of these bytes.
fn fault(tree: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = HubCache::new(dir.path(), "org/repo", COMMIT).write_tree();
    fs_err::write(path, tree).unwrap();
    let error = find(dir.path(), "hf:org/repo").unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Invalid);
    assert!(error.message.contains(&format!("trees/{COMMIT}.json")), "{error}");
    error.to_string()
}

/// Returns a tree of one file with that path and that description.
fn tree_of(path: &str, said: &str) -> Vec<u8> {
    format!(r#"{{"format_version": 1, "files": {{"{path}": {said}}}}}"#).into_bytes()
}

#[test]
fn a_listing_has_what_the_hub_said() {
    let dir = tempfile::tempdir().unwrap();
    let repo = HubCache::new(dir.path(), "org/repo", COMMIT).branch("refs/pr/1");
    let tree = repo.xet("a/b.gguf", "large", DIGEST).file("config.json", "{}").write_tree();
    let upper = COMMIT.to_ascii_uppercase();
    for reference in ["hf:org/repo", "hf:org/repo@refs%2Fpr%2F1/config.json", &format!("hf:org/repo@{upper}")]
    {
        let found = find(dir.path(), reference).unwrap().unwrap();
        assert_eq!((found.commit.as_str(), &found.path), (COMMIT, &tree), "{reference}");
        let said: Vec<_> = found.tree.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(said, [("a/b.gguf", 5), ("config.json", 2)]);
        assert_eq!(found.tree.files[0].digest.algorithm(), DigestAlgorithm::Sha256);
        let git_id = "git-sha1:9e26dfeeb6e641a33dae4961196235bdb965b21b";
        assert_eq!(found.tree.files[1].digest.to_string(), git_id);
    }
    for absent in ["hf:org/repo@other", "hf:org/other", &format!("hf:org/repo@{}", "0".repeat(40))] {
        assert!(find(dir.path(), absent).unwrap().is_none(), "{absent}");
    }
}

#[test]
fn a_listing_that_lies_is_refused() {
    let known = r#"{"size": 1, "blob_id": "9e26dfeeb6e641a33dae4961196235bdb965b21b"}"#;
    let check = |tree: &[u8], says: &str| {
        let fault = fault(tree);
        assert!(fault.contains(says), "{fault}");
        assert!(fault.len() < 600, "{fault}");
    };
    check(b"", "EOF");
    check(&vec![b'['; 100_000], "");
    check(br#"{"format_version": 2, "files": {}}"#, "its format is 2, and 1 is read");
    check(br#"{"files": {}}"#, "format_version");
    check(&tree_of(&"x/".repeat(3000), known), "a name of 6000 bytes");
    check(&tree_of(&format!(r#"a": {known}, "a"#), known), "names `a` twice");
    check(&tree_of("a", r#"{"size": -1, "blob_id": ""}"#), "u64");
    check(&tree_of("a", r#"{"size": 1, "blob_id": "../x"}"#), "`a`");
    check(&tree_of("a", r#"{"size": 1, "blob_id": "", "lfs_sha256": "xyz"}"#), "`a`");
}

#[test]
fn odd_names_are_noted_and_no_paths() {
    let known = r#"{"size": 1, "blob_id": "9e26dfeeb6e641a33dae4961196235bdb965b21b"}"#;
    for odd in ["../x", "/x", "nul", "a\\\\b"] {
        let dir = tempfile::tempdir().unwrap();
        let path = HubCache::new(dir.path(), "org/repo", COMMIT).write_tree();
        fs_err::write(path, tree_of(odd, known)).unwrap();
        let found = find(dir.path(), "hf:org/repo").unwrap().unwrap();
        assert!(found.tree.files.is_empty(), "{odd}");
        assert_eq!(found.tree.odd, [(odd.replace("\\\\", "\\"), 1)]);
    }
}

#[test]
fn only_regular_files_of_a_size_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let repo = HubCache::new(dir.path(), "org/repo", COMMIT).file("config.json", "{}");
    let tree = repo.write_tree();
    let elsewhere = dir.path().join("elsewhere");
    fs_err::rename(&tree, &elsewhere).unwrap();
    symlink(&elsewhere, &tree).unwrap();
    let refused = |says: &str| {
        let error = find(dir.path(), "hf:org/repo").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    refused("it is a symlink");
    fs_err::remove_file(&tree).unwrap();
    let sparse = fs_err::File::create(&tree).unwrap();
    sparse.set_len(MAX_TREE_BYTES + 1).unwrap();
    refused("it is too large");
    let main = dir.path().join("models--org--repo/refs/main");
    for (bytes, says) in [
        ("../../x".to_owned(), "it names no commit"),
        (String::new(), "it names no commit"),
        (COMMIT.repeat(10), "it is too large"),
    ] {
        fs_err::write(&main, bytes).unwrap();
        refused(says);
    }
    fs_err::remove_file(&main).unwrap();
    fs_err::create_dir(&main).unwrap();
    refused("it is no regular file");
}

#[test]
fn a_snapshot_serves_for_what_needs_no_list() {
    let dir = tempfile::tempdir().unwrap();
    let repo = HubCache::new(dir.path(), "org/repo", COMMIT).lfs("a.gguf", "a").file("vae/config.json", "{}");
    let repo = repo.lfs("x-00001-of-00002.safetensors", "x").lfs("x-00002-of-00002.safetensors", "y");
    let _ = repo.lfs("z-00001-of-00002.safetensors", "z").without_symlinks().lfs("plain.bin", "p");
    let files = |reference: &str| {
        let found = find(dir.path(), reference).unwrap();
        found.map(|found| {
            found.tree.files.iter().map(|file| (file.path.to_string(), file.size)).collect::<Vec<_>>()
        })
    };
    assert_eq!(files("hf:org/repo/vae/config.json"), Some(vec![("vae/config.json".to_owned(), 2)]));
    let both = ["x-00001-of-00002.safetensors", "x-00002-of-00002.safetensors"].map(|x| (x.to_owned(), 1));
    assert_eq!(files("hf:org/repo/x-00002-of-00002.safetensors"), Some(both.to_vec()));
    for part in ["z-00001-of-00002.safetensors", "plain.bin", "absent.bin", "absent.gguf"] {
        assert_eq!(files(&format!("hf:org/repo/{part}")), None, "{part}");
    }
    let told = |reference: &str| {
        let error = find(dir.path(), reference).unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::NotFound);
        (error.to_string(), error.hint.unwrap().to_string())
    };
    let (what, hint) = told("hf:org/repo/a.gguf");
    assert!(what.contains("whether a projector goes along"), "{what}");
    let snapshot = format!("models--org--repo/snapshots/{COMMIT}");
    assert!(hint.contains("--include a.gguf") && hint.contains(&format!("{snapshot}/a.gguf")), "{hint}");
    for (reference, command) in [
        ("hf:org/repo", "`hf download org/repo`"),
        ("hf:org/repo:Q4_K_M", "`hf download org/repo --include '*Q4_K_M*'`"),
        ("hf:org/repo?include=*.json", "`hf download org/repo --include '*.json'`"),
    ] {
        let (what, hint) = told(reference);
        assert!(what.contains("which files belong to the model") && hint.contains(command), "{what}; {hint}");
        assert!(hint.contains(&snapshot), "{hint}");
    }
}

#[test]
fn a_folder_that_leads_out_of_the_cache_is_passed_over() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    HubCache::new(dir.path(), "org/repo", COMMIT).file("config.json", "{}").write_tree();
    let repository = dir.path().join("models--org--repo");
    for name in ["trees", "refs"] {
        let (own, kept, moved) = (repository.join(name), dir.path().join(name), outside.path().join(name));
        fs_err::rename(&own, &moved).unwrap();
        symlink(&moved, &own).unwrap();
        assert!(!matches!(find(dir.path(), "hf:org/repo"), Ok(Some(_))), "{name} is outside");
        fs_err::rename(&moved, &kept).unwrap();
        fs_err::remove_file(&own).unwrap();
        symlink(format!("../{name}"), &own).unwrap();
        assert!(find(dir.path(), "hf:org/repo").unwrap().is_some(), "{name} is inside");
    }
}
