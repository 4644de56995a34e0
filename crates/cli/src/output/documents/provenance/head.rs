//! Defines the document of the last line.

use model_provisioner::LinePosition;
use serde::Serialize;

/// Names a line of the log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Head {
    /// The number of the line, from 1 on.
    seq: u64,
    /// The SHA-256 of the line's bytes without the newline, as `sha256:` and 64 hex digits.
    line: String,
    /// Both, as `provenance verify --checkpoint` takes them.
    pub(crate) checkpoint: String,
}

impl From<LinePosition> for Head {
    fn from(position: LinePosition) -> Self {
        let line = format!("sha256:{}", position.hex());
        Self { seq: position.seq, line, checkpoint: position.to_string() }
    }
}
