//! Holds digests: an algorithm and the bytes of a value.

use std::fmt;

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

/// Holds an algorithm and the bytes of a value, which always has the length of the algorithm.
///
/// As text it is `algorithm:hex`, with lowercase hex; in files it is `{"algo": …, "value": …}`. Their order is that of the
/// algorithms, then of the texts. A digest lies where it is held and has no memory elsewhere, for a listing, what is staged and a
/// record have one for each file.
///
/// ```
/// use provisioner_core::{Digest, DigestAlgorithm};
///
/// let empty: Digest = "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855".parse()?;
/// assert_eq!(empty.algorithm(), DigestAlgorithm::Sha256);
/// assert!(empty.hex().starts_with("e3b0c442"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawDigest", into = "RawDigest")]
pub struct Digest(Value);

/// Holds the bytes of a value, as many as its algorithm has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Sha256([u8; 32]),
    GitSha1([u8; 20]),
    Sha256Tree([u8; 32]),
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) | Self::Sha256Tree(bytes) => bytes,
            Self::GitSha1(bytes) => bytes,
        }
    }
}

impl Digest {
    /// Returns the digest of a SHA-256 that a hasher has computed.
    pub const fn sha256(bytes: [u8; 32]) -> Self {
        Self(Value::Sha256(bytes))
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
    pub const fn git_sha1(bytes: [u8; 20]) -> Self {
        Self(Value::GitSha1(bytes))
    }

    /// Returns the algorithm that computed the value.
    pub const fn algorithm(&self) -> DigestAlgorithm {
        match self.0 {
            Value::Sha256(_) => DigestAlgorithm::Sha256,
            Value::GitSha1(_) => DigestAlgorithm::GitSha1,
            Value::Sha256Tree(_) => DigestAlgorithm::Sha256Tree,
        }
    }

    /// Returns the bytes of a SHA-256 of one file; `None` for another algorithm.
    ///
    /// ```
    /// use provisioner_core::Digest;
    ///
    /// let digest = Digest::sha256([7; 32]);
    /// assert_eq!(digest.sha256_bytes(), Some([7; 32]));
    /// ```
    pub const fn sha256_bytes(&self) -> Option<[u8; 32]> {
        match self.0 {
            Value::Sha256(bytes) => Some(bytes),
            Value::GitSha1(_) | Value::Sha256Tree(_) => None,
        }
    }

    /// Returns the value in lowercase hex.
    pub fn hex(&self) -> String {
        hex::encode(self.0.bytes())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
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
    Digest(Value::Sha256Tree(hasher.finalize().into()))
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
        Self { algo: digest.algorithm().as_str().to_owned(), value: digest.hex() }
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
