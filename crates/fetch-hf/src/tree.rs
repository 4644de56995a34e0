//! Holds the files of a commit, as the Hub or the cache of another tool lists them.

use std::collections::HashSet;
#[cfg(feature = "native")]
use std::mem;

use provisioner_core::{Digest, DigestAlgorithm, RelativePath, ScanStatus, server_text};
use serde::Deserialize;
use serde_json::Value;

/// How many files and folders a listing has at the most.
const MAX_ENTRIES: usize = 200_000;

/// How long a name is at the most: a file's path in the store, of at most 4095 bytes, has the folders of the cache and the
/// model before it. The fetcher does not look into a longer one, for an error about it would repeat it.
const MAX_NAME_BYTES: usize = 2048;

/// How many bytes all names of a listing have at the most: the fetcher holds them until the listing's end.
const MAX_NAMES_BYTES: usize = 64 << 20;

/// Describes a file in a commit's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) path: RelativePath,
    pub(crate) size: u64,
    /// The SHA-256 of a large file; the git blob id of a small one.
    pub(crate) digest: Digest,
    /// Its name in Xet, where the Hub stores it there: 64 hex digits.
    pub(crate) xet_hash: Option<String>,
    /// What the Hub's scanners say of it, where the listing says it.
    pub(crate) scan: Option<ScanStatus>,
}

/// Holds the files of a commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<TreeFile>,
    /// The names that no file of this machine can have, with the sizes of these files.
    pub(crate) odd: Vec<(String, u64)>,
}

impl Tree {
    /// Adds a file, by the name that a listing gives it.
    pub(crate) fn add(
        &mut self,
        name: String,
        path: Option<RelativePath>,
        entry: Entry,
    ) -> Result<(), String> {
        match path {
            Some(path) => self.files.push(listed(path, entry)?),
            None => self.odd.push((name, entry.size)),
        }
        Ok(())
    }
}

/// Collects the entries of a listing.
#[cfg(feature = "native")]
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) tree: Tree,
    names: Names,
}

#[cfg(feature = "native")]
impl Entries {
    /// Reads an entry of a page, which is a file or a folder, and adds it.
    pub(crate) fn read(&mut self, entry: &[u8]) -> Result<(), String> {
        let mut entry: Entry = serde_json::from_slice(entry).map_err(|error| no_entry(&error))?;
        self.add(mem::take(&mut entry.path), entry)
    }

    /// Adds an entry by its name.
    pub(crate) fn add(&mut self, name: String, entry: Entry) -> Result<(), String> {
        let path = self.names.add(&name)?;
        if entry.kind == "file" { self.tree.add(name, path, entry) } else { Ok(()) }
    }

    /// Returns the number of names so far, of files and of folders.
    pub(crate) fn len(&self) -> usize {
        self.names.seen.len()
    }
}

#[derive(Deserialize)]
pub(crate) struct Entry {
    #[cfg_attr(not(feature = "native"), expect(dead_code, reason = "a cache lists files alone"))]
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[cfg_attr(not(feature = "native"), expect(dead_code, reason = "a cache lists files by their paths"))]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) size: u64,
    pub(crate) oid: String,
    pub(crate) lfs: Option<Lfs>,
    #[serde(rename = "xetHash")]
    pub(crate) xet_hash: Option<String>,
    /// What the scanners say. Its form is not stable.
    #[serde(rename = "securityFileStatus", default)]
    pub(crate) security: Option<Value>,
}

impl Entry {
    /// Returns what the scanners say of the file. A result without a readable status is an unknown one.
    fn scan(&self) -> Option<ScanStatus> {
        let status = self.security.as_ref()?.get("status").and_then(Value::as_str);
        Some(status.map_or(ScanStatus::Unknown, ScanStatus::of))
    }
}

#[derive(Deserialize)]
pub(crate) struct Lfs {
    pub(crate) oid: String,
    pub(crate) size: u64,
}

/// Collects the names of a listing.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashSet<String>,
    bytes: usize,
}

impl Names {
    /// Adds the name of a file or a folder, which must be new. Returns the path, where a file of this machine can have it: an
    /// odd name decides nothing, unless the choice would take that file.
    pub(crate) fn add(&mut self, name: &str) -> Result<Option<RelativePath>, String> {
        if name.len() > MAX_NAME_BYTES {
            return Err(format!("the listing has a name of {} bytes", name.len()));
        }
        self.bytes += name.len();
        // Folders count too.
        if self.bytes > MAX_NAMES_BYTES || self.seen.len() == MAX_ENTRIES {
            return Err("the listing does not end".to_owned());
        }
        if self.seen.insert(name.to_owned()) {
            Ok(RelativePath::new(name).ok())
        } else {
            Err(format!("the listing names `{}` twice", server_text(name)))
        }
    }
}

/// Returns a file of a tree, from the Hub's entry for it.
fn listed(path: RelativePath, entry: Entry) -> Result<TreeFile, String> {
    let (digest, size) = match &entry.lfs {
        Some(lfs) => (Digest::new(DigestAlgorithm::Sha256, lfs.oid.trim_start_matches("sha256:")), lfs.size),
        None => (Digest::new(DigestAlgorithm::GitSha1, &entry.oid), entry.size),
    };
    let digest = digest.map_err(|error| format!("`{path}`: {error}"))?;
    // The fetcher passes over a malformed hash: plain HTTP serves the file without.
    let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let scan = entry.scan();
    Ok(TreeFile { path, size, digest, xet_hash: entry.xet_hash.filter(is_hash), scan })
}

#[cfg(feature = "native")]
fn no_entry(error: &serde_json::Error) -> String {
    format!("no document came: {}", server_text(&error.to_string()))
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use source_http::JsonElements;

    use super::*;

    #[test]
    fn names_are_bounded_one_by_one_and_all_together() {
        let mut names = Names::default();
        let part = "x".repeat(250);
        let long = |n: usize| format!("{n:06}/{}", [part.as_str(); 8].join("/"));
        let room = MAX_NAMES_BYTES / long(0).len();
        for n in 0..room {
            names.add(&long(n)).unwrap();
        }
        assert_eq!(names.add(&long(room)).unwrap_err(), "the listing does not end");
        let mut names = Names::default();
        for n in 0..MAX_ENTRIES {
            names.add(&n.to_string()).unwrap();
        }
        assert_eq!(names.add("x").unwrap_err(), "the listing does not end");
        let mut names = Names::default();
        assert_eq!(names.add(&"x".repeat(4097)).unwrap_err(), "the listing has a name of 4097 bytes");
        assert_eq!(
            names.add(&(long(0) + &"/x".repeat(20))).unwrap_err(),
            "the listing has a name of 2054 bytes"
        );
        assert!(names.add("a/b").unwrap().is_some());
        assert!(names.add("nul").unwrap().is_none());
        for twice in ["a/b", "nul"] {
            assert_eq!(names.add(twice).unwrap_err(), format!("the listing names `{twice}` twice"));
        }
    }

    #[test]
    fn a_page_is_not_read_past_what_a_listing_may_have() {
        let oid = "0".repeat(40);
        let (mut entries, mut elements) = (Entries::default(), JsonElements::default());
        let entry = |n: usize| format!(r#"{{"type":"file","path":"{n}","oid":"{oid}"}},"#);
        let mut add = |text: &str| elements.push(text.as_bytes(), &mut |entry| entries.read(entry));
        add("[").unwrap();
        for n in 0..MAX_ENTRIES {
            add(&entry(n)).unwrap();
        }
        assert_eq!(add(&entry(MAX_ENTRIES)).unwrap_err(), "the listing does not end");
        assert_eq!(entries.tree.files.len(), MAX_ENTRIES);
    }
}
