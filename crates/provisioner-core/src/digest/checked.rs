//! Checks a text before it becomes a digest.

use std::str::FromStr;

use super::{Digest, DigestAlgorithm, RawDigest};
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
        Ok(Self { algorithm, hex: hex.to_ascii_lowercase().into() })
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
        fn text_and_json_come_back(bytes: [u8; 32]) {
            let digest = Digest::sha256(bytes);
            prop_assert_eq!(digest.to_string().to_uppercase().parse::<Digest>().unwrap(), digest.clone());
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }
    }
}
