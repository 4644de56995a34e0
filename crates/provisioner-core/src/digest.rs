//! Holds digests: an algorithm and lowercase hex.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::path::RelativePath;

mod checked;

/// Names how a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DigestAlgorithm {
    /// SHA-256 over the bytes of one file (FIPS 180-4).
    Sha256,
    /// SHA-1 over `blob <length> NUL` and the bytes of one file: git's id of a blob.
    GitSha1,
    /// SHA-256 over the table of a set of files: see [`sha256_tree`].
    Sha256Tree,
}

impl DigestAlgorithm {
    /// Returns the name that people and files use, such as `sha256-tree`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::GitSha1 => "git-sha1",
            Self::Sha256Tree => "sha256-tree",
        }
    }

    /// Returns how many hex digits a value has.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 | Self::Sha256Tree => 64,
            Self::GitSha1 => 40,
        }
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Holds an algorithm and a value in lowercase hex, which always has the length of the algorithm.
///
/// As text it is `algorithm:hex`; in files it is `{"algo": …, "value": …}`. Clones share the text: the digest of each file is in a
/// listing, in what is staged and in the record.
///
/// ```
/// use provisioner_core::{Digest, DigestAlgorithm};
///
/// let empty: Digest = "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855".parse()?;
/// assert_eq!(empty.algorithm(), DigestAlgorithm::Sha256);
/// assert!(empty.hex().starts_with("e3b0c442"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawDigest", into = "RawDigest")]
pub struct Digest {
    algorithm: DigestAlgorithm,
    hex: Arc<str>,
}

impl Digest {
    /// Returns the digest of a SHA-256 that a hasher has computed.
    pub fn sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, hex: hex::encode(bytes).into() }
    }

    /// Returns the SHA-256 of bytes that are in memory. For those of a file, a [`ContentHasher`](crate::ContentHasher) takes them piece
    /// by piece.
    ///
    /// ```
    /// use provisioner_core::Digest;
    ///
    /// // printf a | sha256sum
    /// let hex = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    /// assert_eq!(Digest::sha256_of(b"a").hex(), hex);
    /// ```
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Self::sha256(Sha256::digest(bytes).into())
    }

    /// Returns the digest of a git blob id that a hasher has computed.
    pub fn git_sha1(bytes: [u8; 20]) -> Self {
        Self { algorithm: DigestAlgorithm::GitSha1, hex: hex::encode(bytes).into() }
    }

    /// Returns the algorithm that computed the value.
    pub const fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Returns the bytes of a SHA-256 of one file; `None` for another algorithm.
    ///
    /// ```
    /// use provisioner_core::Digest;
    ///
    /// let digest = Digest::sha256([7; 32]);
    /// assert_eq!(digest.sha256_bytes(), Some([7; 32]));
    /// ```
    pub fn sha256_bytes(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        let is_sha256 = self.algorithm == DigestAlgorithm::Sha256;
        (is_sha256 && hex::decode_to_slice(self.hex.as_ref(), &mut bytes).is_ok()).then_some(bytes)
    }

    /// Returns the value in lowercase hex.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

/// Returns the SHA-256 of a set of files.
///
/// Each file is one line, `<sha256>  <relative path>` and a newline, in the byte order of the paths: what
/// `sha256sum` prints for the sorted names. The digest is the SHA-256 of that text.
///
/// ```
/// use provisioner_core::{Digest, RelativePath, sha256_tree};
///
/// // printf a > a; printf b > b; sha256sum a b | sha256sum
/// let a: Digest = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb".parse()?;
/// let b: Digest = "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d".parse()?;
/// let (path_a, path_b) = (RelativePath::new("a")?, RelativePath::new("b")?);
/// let tree = sha256_tree([(&path_b, &b), (&path_a, &a)]);
/// assert_eq!(tree.hex(), "cb13f400dcb618e400d0f7d54f7cdb330d37a07272cb99a1016cda5830a10556");
/// # Ok::<(), provisioner_core::Error>(())
/// ```
pub fn sha256_tree<'a>(files: impl IntoIterator<Item = (&'a RelativePath, &'a Digest)>) -> Digest {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_unstable_by_key(|(path, _)| path.as_str());
    let mut hasher = Sha256::new();
    for (path, digest) in files {
        hasher.update(format!("{}  {path}\n", digest.hex()));
    }
    Digest { algorithm: DigestAlgorithm::Sha256Tree, hex: hex::encode(hasher.finalize()).into() }
}

/// Returns the name under which the store keeps what belongs to an id: the id's SHA-256, in hex.
pub fn key_of(id: &str) -> String {
    hex::encode(Sha256::digest(id.as_bytes()))
}

/// Holds a digest as it looks in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDigest {
    algo: String,
    value: String,
}

impl From<Digest> for RawDigest {
    fn from(digest: Digest) -> Self {
        Self { algo: digest.algorithm.as_str().to_owned(), value: digest.hex.as_ref().to_owned() }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let algorithm = generator.subschema_for::<DigestAlgorithm>();
        schemars::json_schema!({
            "type": "object",
            "description": "An algorithm and its value in hex.",
            "properties": {
                "algo": algorithm,
                "value": { "type": "string", "pattern": "^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$" }
            },
            "required": ["algo", "value"],
            "additionalProperties": false
        })
    }
}
