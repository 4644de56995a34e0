//! Reads what a signer says of a model: its files and their digests (OpenSSF Model Signing 1.0, section 5; in-toto Statement v1).
//!
//! # Compatibility
//! The reference implementation (PyPI `model-signing`, up to 1.1.1) writes some things otherwise than its specification says:
//!
//! | what | the specification | the implementation |
//! | --- | --- | --- |
//! | the name of a single file | its file name | `.` |
//! | the order of the files | by code points | by the components of their paths |
//! | `shard_size` | an integer | a number with a point, such as `3.0` |
//! | `algorithm` of a piece | `sha256` | `sha256-sharded-3` |
//!
//! So this module takes the digests in the order in which they are listed, never sorts them, and reads both forms.

use std::collections::BTreeMap;

use provisioner_core::excerpt;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    hash::HashAlgorithm,
};

mod name;
mod raw;

use name::{is_safe, split_range};
use raw::{RawHeader, RawPredicate, RawResource, RawStatement};

/// The largest number of files and pieces of files that a signature may name.
const MAX_RESOURCES: usize = 200_000;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
/// What release 0.2 of the reference implementation wrote. It encoded the envelope in another way than DSSE says.
const OLD_PREDICATE: &str = "https://model_signing/Digests/v0.1";

/// The name of the only file of a model, where the signer signed a file and not a folder.
pub(crate) const ONLY_FILE: &str = ".";

/// Holds the files that a signer names, with their digests.
#[derive(Clone, Debug)]
pub struct SignedFiles {
    pub(crate) files: BTreeMap<String, SignedFile>,
    pub(crate) ignored: Vec<String>,
    /// Says whether the signer tells files by their pieces: one without a byte has none, and is not named.
    pub(crate) omits_empty: bool,
    /// The digests of all resources as they are listed. The signed digest is over these bytes.
    digests: Vec<u8>,
}

/// Holds what a signer says of one file.
#[derive(Clone, Debug)]
pub(crate) struct SignedFile {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) digest: SignedDigest,
}

/// Holds one digest of a file, or one of each of its pieces.
#[derive(Clone, Debug)]
pub(crate) enum SignedDigest {
    Whole(Vec<u8>),
    Pieces(Vec<Piece>),
}

/// Holds the digest of some bytes of a file: from `begin`, and before `end`.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) digest: Vec<u8>,
}

impl SignedFiles {
    /// Reads a statement whose signature is verified.
    ///
    /// # Errors
    /// [`Error::Statement`] for a text that is not a statement about a model; [`Error::Unsupported`] for one that this build
    /// does not read.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self> {
        let malformed = |reason: String| Error::Statement(excerpt(&reason, 200));
        let header: RawHeader = parse(json)?;
        if header.statement_type != STATEMENT {
            return Err(malformed(format!("`{}` is not the type of a statement", header.statement_type)));
        }
        if header.predicate_type == OLD_PREDICATE {
            return Err(Error::Unsupported(format!(
                "it is of release 0.2 of the tool (`{OLD_PREDICATE}`), and this build reads those since 0.3"
            )));
        }
        if header.predicate_type != PREDICATE {
            return Err(malformed(format!("it says `{}`, and not `{PREDICATE}`", header.predicate_type)));
        }
        let statement: RawStatement = parse(json)?;
        let [subject] = statement.subject.as_slice() else {
            return Err(malformed(format!("it has {} subjects, and not one", statement.subject.len())));
        };
        let RawPredicate { resources, serialization } = statement.predicate;
        let digests = concatenated(&resources).map_err(malformed)?;
        if !subject.digest.sha256.eq_ignore_ascii_case(&hex::encode(Sha256::digest(&digests))) {
            return Err(malformed("the digest of the model is not that of its files".to_owned()));
        }
        let ignored = serialization.ignore_paths.iter().flatten().map(|path| ignored_path(path));
        let ignored = ignored.collect::<std::result::Result<_, _>>().map_err(malformed)?;
        let shard_size = serialization.shard_size();
        let omits_empty = serialization.method == "shards";
        let files = match serialization.method.as_str() {
            "files" => whole_files(resources),
            "shards" => pieces(resources, shard_size.map_err(malformed)?),
            other => {
                return Err(Error::Unsupported(format!("its files are told as `{}`", excerpt(other, 80))));
            }
        };
        let files = files.map_err(malformed)?;
        match files.values().find(|file| !file.algorithm.is_built()) {
            Some(_) => Err(Error::Unsupported(
                "its files are hashed with BLAKE3, which this build was made without".to_owned(),
            )),
            None => Ok(Self { files, ignored, omits_empty, digests }),
        }
    }

    /// Returns the bytes whose SHA-256 the signer signed as the digest of the model.
    #[cfg(feature = "keyless")]
    pub(crate) fn signed_bytes(&self) -> &[u8] {
        &self.digests
    }

    /// Returns the SHA-256 of the model that the signer signed: that of the raw digests of its files, in hex.
    pub fn root_digest(&self) -> String {
        hex::encode(Sha256::digest(&self.digests))
    }

    /// Returns how many files the signer names.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether the signer names no file. No statement is read so.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| Error::Statement(excerpt(&error.to_string(), 200)))
}

/// Returns the raw digests, as they are listed.
fn concatenated(resources: &[RawResource]) -> std::result::Result<Vec<u8>, String> {
    match resources.len() {
        0 => return Err("it names no file".to_owned()),
        1..=MAX_RESOURCES => {}
        more => return Err(format!("it names {more} files, and {MAX_RESOURCES} are the most")),
    }
    let mut all = Vec::new();
    for resource in resources {
        all.extend(resource.raw_digest()?.1);
    }
    Ok(all)
}

fn whole_files(resources: Vec<RawResource>) -> std::result::Result<BTreeMap<String, SignedFile>, String> {
    let (mut files, is_only) = (BTreeMap::new(), resources.len() == 1);
    for resource in resources {
        let (algorithm, digest) = resource.raw_digest()?;
        check_name(&resource.name, is_only)?;
        let file = SignedFile { algorithm, digest: SignedDigest::Whole(digest) };
        if files.insert(resource.name.clone(), file).is_some() {
            return Err(format!("it names `{}` twice", resource.name));
        }
    }
    Ok(files)
}

/// Puts the pieces of each file together. They must cover the file from its first byte on without a gap.
fn pieces(
    resources: Vec<RawResource>,
    size: u64,
) -> std::result::Result<BTreeMap<String, SignedFile>, String> {
    let mut files = BTreeMap::<String, SignedFile>::new();
    for resource in resources {
        let (algorithm, digest) = resource.raw_digest()?;
        let no_range = || format!("`{}` does not say which bytes of the file it is", resource.name);
        let (name, begin, end) = split_range(&resource.name).ok_or_else(no_range)?;
        let fresh = SignedFile { algorithm, digest: SignedDigest::Pieces(Vec::new()) };
        let file = files.entry(name.to_owned()).or_insert(fresh);
        let SignedDigest::Pieces(pieces) = &mut file.digest else { continue };
        if file.algorithm != algorithm || pieces.iter().any(|piece| piece.begin == begin) {
            return Err(format!("it names `{}` twice", resource.name));
        }
        pieces.push(Piece { begin, end, digest });
    }
    let is_only = files.len() == 1;
    for (name, file) in &mut files {
        check_name(name, is_only)?;
        let SignedDigest::Pieces(pieces) = &mut file.digest else { continue };
        pieces.sort_unstable_by_key(|piece| piece.begin);
        let mut at = 0;
        let last = pieces.len() - 1;
        for (number, piece) in pieces.iter().enumerate() {
            let length = piece.end.checked_sub(piece.begin);
            let is_whole =
                length == Some(size) || (number == last && length.is_some_and(|length| length < size));
            if piece.begin != at || !is_whole {
                return Err(format!("the pieces of `{name}` do not make up a file"));
            }
            at = piece.end;
        }
    }
    Ok(files)
}

/// Reads a path that the signer left out. One that lies elsewhere fits no file.
fn ignored_path(path: &str) -> std::result::Result<String, String> {
    let bare = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if matches!(bare, "" | ".") || bare.split('/').any(|part| part == "..") {
        return Err(format!("it leaves `{path}` out, which may be the whole model"));
    }
    Ok(bare.to_owned())
}

/// Checks the name of a file. `is_only` says that the signer names no other.
fn check_name(name: &str, is_only: bool) -> std::result::Result<(), String> {
    if is_safe(name) || (is_only && name == ONLY_FILE) {
        return Ok(());
    }
    Err(format!("`{name}` is not a path below the model"))
}

#[cfg(test)]
mod tests;
