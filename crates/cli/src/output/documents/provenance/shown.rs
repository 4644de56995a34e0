//! Defines the document of the lines about a model.

use model_provisioner::{ProvenanceLine, ProvenanceLines};
use serde::Serialize;
use serde_json::{Map, Value};

/// Shows the lines about a model, oldest first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Shown {
    /// The id.
    id: String,
    /// The lines: the last 10,000 of them.
    lines: Vec<ShownLine>,
    /// How many lines there are before those.
    pub(crate) left_out: u64,
}

/// Shows one line.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownLine {
    /// The number of the line, from 1 on; absent of a line of an earlier release, which has no chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// The SHA-256 of the line's bytes without the newline, as `sha256:` and 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    /// When the process wrote the line, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// What the process did, such as `ensure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// The other fields of the line, as the log has them.
    details: Map<String, Value>,
}

impl From<ProvenanceLines> for Shown {
    fn from(found: ProvenanceLines) -> Self {
        let ProvenanceLines { id, lines, left_out, .. } = found;
        Self { id, lines: lines.into_iter().map(ShownLine::from).collect(), left_out }
    }
}

impl From<ProvenanceLine> for ShownLine {
    fn from(line: ProvenanceLine) -> Self {
        let ProvenanceLine { position, mut fields, .. } = line;
        let mut take = |name: &str| fields.remove(name).and_then(|value| value.as_str().map(str::to_owned));
        let (at, action) = (take("at"), take("action"));
        for name in ["v", "seq", "prev", "id"] {
            fields.remove(name);
        }
        let hash = position.map(|position| format!("sha256:{}", position.hex()));
        Self { seq: position.map(|position| position.seq), line: hash, at, action, details: fields }
    }
}

impl Shown {
    /// Returns a row for each line, for people.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<_> = self.lines.iter().map(ShownLine::row).collect();
        rows.join("\n")
    }
}

impl ShownLine {
    fn row(&self) -> String {
        let seq = self.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let detail = |name: &str| self.details.get(name).and_then(Value::as_str);
        let verdict = match (detail("outcome"), detail("basis")) {
            (Some(outcome), Some(basis)) => format!("{outcome} ({basis})"),
            (Some(outcome), None) => outcome.to_owned(),
            _ => String::new(),
        };
        let place = ["handoff", "statement", "local_path"].into_iter().find_map(detail).unwrap_or_default();
        let (at, action) = (self.at.as_deref().unwrap_or("-"), self.action.as_deref().unwrap_or("-"));
        let row = format!("{seq:>6}  {at:<30}  {action:<9}  {verdict:<16}  {place}");
        row.trim_end().to_owned()
    }
}
