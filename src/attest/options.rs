//! Says which statement a caller wants, and holds the statement.

use std::path::{Path, PathBuf};

use attestation::StatementFormat;
use provenance_log::Position;

#[cfg(not(feature = "signing"))]
use crate::error::Error;
use crate::error::Result;

/// Says where a statement goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementDest {
    /// The statement becomes this file.
    File(PathBuf),
    /// The statement becomes a file of this folder, named after the model.
    Folder(PathBuf),
}

/// Says which statement a caller wants. A verification summary names the files of the provisioner's policies by itself.
#[derive(Clone, Debug, Default)]
pub struct AttestOptions {
    /// The kind of the statement.
    pub format: StatementFormat,
    /// Names the file or the folder that gets the statement; `None` where the caller alone gets it.
    pub dest: Option<StatementDest>,
    /// The URI of who verified the model, such as the operator's organisation; this program where it is absent.
    pub verifier_id: Option<String>,
    /// The key that signs the statement. Unsigned, a statement proves nothing.
    #[cfg(feature = "signing")]
    pub key: Option<model_signing::PrivateKey>,
    /// The path of the key's file, which no statement overwrites.
    pub key_file: Option<PathBuf>,
}

impl AttestOptions {
    /// Returns the options of a statement that the private key in a file signs. It reads the key, and may block. A key that every
    /// user of this machine can read earns a warning.
    ///
    /// # Errors
    /// The file cannot be read; [`Error::Key`](crate::Error::Key).
    #[cfg(feature = "signing")]
    pub fn signed_by(key_file: &Path) -> Result<Self> {
        let key = crate::signing::private_key(key_file)?;
        Ok(Self { key: Some(key), key_file: Some(key_file.to_owned()), ..Self::default() })
    }

    /// Fails, for this build signs nothing.
    ///
    /// # Errors
    /// Always [`Error::SignatureDemand`].
    #[cfg(not(feature = "signing"))]
    pub fn signed_by(_: &Path) -> Result<Self> {
        Err(Error::SignatureDemand {
            reason: "this build signs nothing: it was made without the feature `signing`",
        })
    }
}

/// Holds a statement about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attestation {
    /// The id of the model.
    pub id: String,
    /// The statement; where it is signed, the DSSE envelope around it.
    pub json: String,
    /// The absolute path of the file with the statement, where the caller named one.
    pub path: Option<PathBuf>,
    /// The line of the provenance log that tells of the statement; `None` where this process could not write one.
    pub provenance: Option<Position>,
}
