//! Hashes files as the signers of models do.

use blake2::Blake2b512;
use sha2::{Digest as _, Sha256};

/// Names a hash function of the algorithm registry of OpenSSF Model Signing 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Sha256,
    Blake2b,
    Blake3,
}

impl HashAlgorithm {
    const ALL: [(&str, Self); 3] =
        [("sha256", Self::Sha256), ("blake2b", Self::Blake2b), ("blake3", Self::Blake3)];

    /// Reads the name of an algorithm. The reference implementation writes that of a piece of a file as `sha256-sharded-1000`,
    /// and the specification as `sha256`; both give the length of a piece, which is another field of the statement.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let bare = match name.split_once("-sharded-") {
            Some((bare, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            Some(_) => return None,
            None => name,
        };
        Self::ALL.into_iter().find(|(known, _)| *known == bare).map(|(_, algorithm)| algorithm)
    }

    /// Returns how many bytes a digest has.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Blake2b => 64,
        }
    }

    /// Returns whether this build has the function.
    pub(crate) const fn is_built(self) -> bool {
        !matches!(self, Self::Blake3) || cfg!(feature = "blake3")
    }

    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Self::Blake2b => Hasher::Blake2b(Box::default()),
            #[cfg(feature = "blake3")]
            Self::Blake3 => Hasher::Blake3(Box::default()),
            _ => Hasher::Sha256(Sha256::default()),
        }
    }
}

/// Hashes bytes as they come.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Blake2b(Box<Blake2b512>),
    #[cfg(feature = "blake3")]
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake2b(hasher) => hasher.update(bytes),
            #[cfg(feature = "blake3")]
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Blake2b(hasher) => hasher.finalize().to_vec(),
            #[cfg(feature = "blake3")]
            Self::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
        }
    }
}
