//! Writes and reads the fields that chain a line to the one before it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// The version of the lines that this release writes, and the newest that it reads.
pub const VERSION: u64 = 1;

/// The longest line that a reader takes, in bytes.
pub(crate) const MAX_LINE_BYTES: u64 = 16 << 20;

/// The hash that the first line of all names.
pub(crate) const NO_LINE: [u8; 32] = [0; 32];

/// Names a run of bytes by its length and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The length, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the bytes.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub sha256: [u8; 32],
}

/// Names the file before a file, and that file's last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The name of the file, in the folder of the log.
    pub file: String,
    /// The SHA-256 of its last line.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub sha256: [u8; 32],
}

/// Holds the fields of a line that chain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) v: u64,
    pub(crate) seq: u64,
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub(crate) prev: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<After>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unchained: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) torn: Option<Span>,
}

/// Says what some bytes between two newlines are.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A line that this release reads.
    Link(Link),
    /// A line of a newer release, with its version.
    Newer(u64),
    /// Anything else: a fragment, or a line without a chain.
    Other,
}

impl Link {
    /// Returns the text of a line: these fields, and then those of the caller.
    pub(crate) fn text(&self, what: &impl Serialize) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Whole<'a, T> {
            #[serde(flatten)]
            link: &'a Link,
            #[serde(flatten)]
            what: &'a T,
        }
        let text = serde_json::to_vec(&Whole { link: self, what }).map_err(std::io::Error::from)?;
        if text.len() as u64 > MAX_LINE_BYTES {
            return Err(Error::TooLong { bytes: text.len() as u64 });
        }
        Ok(text)
    }
}

/// Reads what some bytes are.
pub(crate) fn parse(text: &[u8]) -> Parsed {
    #[derive(Deserialize)]
    struct AnyVersion {
        v: u64,
    }
    match serde_json::from_slice::<Link>(text) {
        Ok(link) if link.v == VERSION && link.seq > 0 => Parsed::Link(link),
        _ => match serde_json::from_slice::<AnyVersion>(text) {
            Ok(AnyVersion { v }) if v > VERSION => Parsed::Newer(v),
            _ => Parsed::Other,
        },
    }
}

fn write_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn read_hex<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(de::Error::custom)?;
    Ok(bytes)
}
