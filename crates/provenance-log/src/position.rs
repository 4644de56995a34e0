//! Names one line of a log by its number and its hash.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// Names a line: its number, and the SHA-256 of its bytes without the newline.
///
/// As text it is `SEQ:HEX`, which an operator keeps outside of the log.
///
/// ```
/// use provenance_log::Position;
///
/// let text = format!("17:{}", "ab".repeat(32));
/// let position: Position = text.parse()?;
/// assert_eq!((position.seq, position.to_string()), (17, text));
/// # Ok::<(), provenance_log::NoPosition>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The number of the line, from 1 on.
    pub seq: u64,
    /// The SHA-256 of the line's bytes.
    pub sha256: [u8; 32],
}

/// Says that a text names no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is named by its number, a colon and 64 hex digits, as in `17:9f86d081…`")]
pub struct NoPosition;

impl Position {
    /// Returns the position of a line with these bytes.
    pub(crate) fn of(seq: u64, line: &[u8]) -> Self {
        Self { seq, sha256: Sha256::digest(line).into() }
    }

    /// Returns the SHA-256 in lowercase hex.
    pub fn hex(&self) -> String {
        hex::encode(self.sha256)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hex())
    }
}

impl FromStr for Position {
    type Err = NoPosition;

    /// Reads `SEQ:HEX`, also with the name of the algorithm before the hex digits: `SEQ:sha256:HEX`.
    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (seq, sha256) = text.split_once(':').ok_or(NoPosition)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or(NoPosition)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(sha256.strip_prefix("sha256:").unwrap_or(sha256), &mut bytes)
            .map_err(|_| NoPosition)?;
        Ok(Self { seq, sha256: bytes })
    }
}
