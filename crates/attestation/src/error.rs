//! Says why nothing can be stated of a model.

use provisioner_core::RelativePath;

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why nothing can be stated of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The record names no file: no verifier has looked at the model.
    #[error("no verifier has looked at its files")]
    NoFiles,
    /// No process has read the bytes of a file.
    #[error("the digest of `{path}` is not known")]
    NoDigest {
        /// The path of the file in the model.
        path: RelativePath,
    },
    /// The last verification failed.
    #[error("its verification failed: {reason}")]
    Failed {
        /// The reason of the verdict.
        reason: String,
    },
}
