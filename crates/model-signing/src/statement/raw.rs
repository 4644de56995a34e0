//! Holds a statement as it looks in JSON. A field that is not named here is passed over.

use serde::Deserialize;

use crate::hash::HashAlgorithm;

/// The largest piece of a file, in bytes: a number with a point has no larger integers.
const MAX_SHARD_BYTES: f64 = 9_007_199_254_740_992.0;

#[derive(Deserialize)]
pub(super) struct RawHeader {
    #[serde(rename = "_type")]
    pub(super) statement_type: String,
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
}

#[derive(Deserialize)]
pub(super) struct RawStatement {
    pub(super) subject: Vec<RawSubject>,
    pub(super) predicate: RawPredicate,
}

#[derive(Deserialize)]
pub(super) struct RawSubject {
    pub(super) digest: RawRoot,
}

#[derive(Deserialize)]
pub(super) struct RawRoot {
    pub(super) sha256: String,
}

#[derive(Deserialize)]
pub(super) struct RawPredicate {
    pub(super) resources: Vec<RawResource>,
    pub(super) serialization: RawSerialization,
}

#[derive(Deserialize)]
pub(super) struct RawResource {
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) digest: String,
}

#[derive(Deserialize)]
pub(super) struct RawSerialization {
    pub(super) method: String,
    #[serde(default)]
    pub(super) ignore_paths: Option<Vec<String>>,
    #[serde(default)]
    shard_size: Option<f64>,
}

impl RawResource {
    /// Returns the algorithm and the digest as bytes.
    pub(super) fn raw_digest(&self) -> Result<(HashAlgorithm, Vec<u8>), String> {
        let unknown = || format!("the algorithm `{}` of `{}` is not known", self.algorithm, self.name);
        let algorithm = HashAlgorithm::named(&self.algorithm).ok_or_else(unknown)?;
        let digest = hex::decode(&self.digest).ok().filter(|digest| digest.len() == algorithm.len());
        Ok((algorithm, digest.ok_or_else(|| format!("the digest of `{}` is malformed", self.name))?))
    }
}

impl RawSerialization {
    /// Returns the length of a piece, in bytes.
    pub(super) fn shard_size(&self) -> Result<u64, String> {
        match self.shard_size {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in the range")]
            Some(size) if (1.0..=MAX_SHARD_BYTES).contains(&size) && size.fract() == 0.0 => Ok(size as u64),
            Some(size) => Err(format!("`{size}` is not the length of a piece")),
            None => Err("it does not say how long a piece of a file is".to_owned()),
        }
    }
}
