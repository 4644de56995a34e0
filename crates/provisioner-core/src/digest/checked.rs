//! Checks a text before it becomes a digest.

use std::str::FromStr;

use hex::FromHexError;

use super::{Digest, DigestAlgorithm, RawDigest, Value};
use crate::{
    error::{Error, Result},
    message::excerpt,
};

impl FromStr for DigestAlgorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Sha256, Self::GitSha1, Self::Sha256Tree]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::UnsupportedDigest { name: name.to_owned() })
    }
}

/// Returns the bytes of a value.
fn decoded<const N: usize>(hex: &str) -> Result<[u8; N], FromHexError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(hex, &mut bytes).map(|()| bytes)
}

impl Digest {
    /// Makes a digest from its hex digits, in either letter case.
    ///
    /// # Errors
    /// [`Error::InvalidDigest`] when the length is wrong or a character is not a hex digit.
    pub fn new(algorithm: DigestAlgorithm, hex: &str) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidDigest { text: excerpt(hex, 80), reason };
        if let Some(bad) = hex.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(invalid(format!("{bad:?} is not a hex digit")));
        }
        if hex.len() != algorithm.hex_len() {
            let (expected, actual) = (algorithm.hex_len(), hex.len());
            return Err(invalid(format!("{algorithm} has {expected} hex digits, not {actual}")));
        }
        let failed = |error: FromHexError| invalid(error.to_string());
        Ok(Self(match algorithm {
            DigestAlgorithm::Sha256 => Value::Sha256(decoded(hex).map_err(failed)?),
            DigestAlgorithm::GitSha1 => Value::GitSha1(decoded(hex).map_err(failed)?),
            DigestAlgorithm::Sha256Tree => Value::Sha256Tree(decoded(hex).map_err(failed)?),
        }))
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((name, hex)) = text.split_once(':') else {
            return Err(Error::InvalidDigest {
                text: excerpt(text, 80),
                reason: "a digest is written ALGORITHM:HEX".to_owned(),
            });
        };
        Self::new(name.parse()?, hex)
    }
}

impl TryFrom<RawDigest> for Digest {
    type Error = Error;

    fn try_from(raw: RawDigest) -> Result<Self> {
        Self::new(raw.algo.parse()?, &raw.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_digest() -> impl Strategy<Value = Digest> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(Digest::sha256),
            any::<[u8; 20]>().prop_map(Digest::git_sha1),
            any::<[u8; 32]>().prop_map(|bytes| Digest(Value::Sha256Tree(bytes))),
        ]
    }

    #[test]
    fn a_digest_has_no_memory_beside_its_place() {
        assert_eq!((size_of::<Digest>(), size_of::<Option<Digest>>()), (33, 33));
        assert!(!std::mem::needs_drop::<Digest>());
    }

    fn refused(text: &str) -> String {
        text.parse::<Digest>().unwrap_err().to_string()
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(refused("abc"), "invalid digest `abc`: a digest is written ALGORITHM:HEX");
        assert_eq!(refused("sha256:abc"), "invalid digest `abc`: sha256 has 64 hex digits, not 3");
        assert_eq!(
            refused(&format!("sha256:{}", "g".repeat(64))),
            format!("invalid digest `{}`: 'g' is not a hex digit", "g".repeat(64))
        );
        assert_eq!(refused("md5:abc"), "digest algorithm `md5` is not supported");
    }

    #[test]
    fn files_refuse_what_they_do_not_know() {
        let bad = r#"{"algo": "sha256", "value": "00", "extra": 1}"#;
        assert!(serde_json::from_str::<Digest>(bad).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<Digest>();
        }

        #[test]
        fn text_and_json_come_back(digest in any_digest()) {
            let text = format!("{}:{}", digest.algorithm(), digest.hex());
            prop_assert_eq!(digest.to_string(), text.to_lowercase());
            prop_assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
            prop_assert_eq!(text.to_uppercase().parse::<Digest>().unwrap(), digest.clone());
            let json = serde_json::to_string(&digest).unwrap();
            let (algo, value) = text.split_once(':').unwrap();
            prop_assert_eq!(&json, &format!(r#"{{"algo":"{algo}","value":"{value}"}}"#));
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }

        #[test]
        fn digests_have_the_order_of_algorithm_and_text(one in any_digest(), other in any_digest()) {
            let text = |digest: &Digest| (digest.algorithm(), digest.hex());
            prop_assert_eq!(one.cmp(&other), text(&one).cmp(&text(&other)));
        }
    }
}
