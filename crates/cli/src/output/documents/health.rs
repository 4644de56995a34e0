//! What `doctor` prints: one screen.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use indicatif::HumanBytes;
use model_provisioner::{Finding, Overview};
use serde::Serialize;

use crate::{
    document::counted,
    leftovers::{self, Leftover},
};

/// How the cache is, and what is wrong with it.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    cache_dir: String,
    findings: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    writable: bool,
    used_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_bytes: Option<u64>,
    models: Models,
    leftovers: Vec<Leftover>,
    #[serde(skip)]
    left: Vec<String>,
    locks: Locks,
    tools: Tools,
    hub: HubSetting,
}

/// What the command knows of the machine around the cache.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) hf: Option<PathBuf>,
    pub(crate) endpoint: String,
    /// Where the token comes from that the hub would be sent.
    pub(crate) token: Option<String>,
    pub(crate) offline: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "problem")]
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    harmless: bool,
}

#[derive(Debug, Serialize)]
struct Models {
    active: usize,
    retired: usize,
    in_place: usize,
    damaged: usize,
}

#[derive(Debug, Serialize)]
struct Locks {
    trusted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tools {
    hf: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct HubSetting {
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    offline: bool,
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        let Finding { problem, mended, hint, is_harmless, .. } = finding;
        Self { what: problem, mended, hint, harmless: is_harmless }
    }
}

impl Health {
    pub(crate) fn new(
        cache_dir: &Path,
        overview: &Overview,
        surroundings: Environment,
        findings: Vec<Problem>,
    ) -> Self {
        let Environment { hf, endpoint, token, offline } = surroundings;
        let Overview { active, retired, in_place, damaged, .. } = *overview;
        Self {
            cache_dir: cache_dir.display().to_string(),
            findings,
            owner: overview.owner_and_mode.map(|(owner, _)| owner),
            mode: overview.owner_and_mode.map(|(_, mode)| format!("{mode:04o}")),
            writable: overview.is_writable,
            used_bytes: overview.used_bytes,
            free_bytes: overview.free_bytes,
            models: Models { active, retired, in_place, damaged },
            leftovers: overview.leftovers.iter().map(Leftover::from).collect(),
            left: leftovers::summary(&overview.leftovers),
            locks: Locks { trusted: overview.lock_doubt.is_none(), reason: overview.lock_doubt.clone() },
            tools: Tools { hf },
            hub: HubSetting { endpoint, token, offline },
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.mended.is_some() || finding.harmless)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.rows().into_iter().fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name:7}  {value}");
            text
        });
        for finding in &self.findings {
            let harmless = if finding.harmless { " (harmless)" } else { "" };
            let _ = writeln!(text, "- {}{harmless}", finding.what);
            let next = finding.mended.as_ref().or(finding.hint.as_ref());
            let _ = next.map(|next| writeln!(text, "  {next}"));
        }
        if self.findings.is_empty() {
            text.push_str("nothing is wrong");
        }
        text.trim_end().to_owned()
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let cache = match (self.owner, &self.mode) {
            (Some(owner), Some(mode)) => format!("{} (of user {owner}, mode {mode})", self.cache_dir),
            _ => format!("{} (not there yet)", self.cache_dir),
        };
        let cache = if self.writable {
            cache
        } else {
            format!(
                "{cache}; not writable here: present models are served, and nothing is fetched or recorded"
            )
        };
        let free = self.free_bytes.map(|bytes| format!(", {} free", HumanBytes(bytes))).unwrap_or_default();
        let Models { active, retired, in_place, damaged } = self.models;
        let mut models = format!("{active} active, {retired} retired; {in_place} of them used in place");
        if damaged > 0 {
            let _ = write!(models, "; {} cannot be read", counted(damaged as u64, "record"));
        }
        let locks = match &self.locks.reason {
            Some(reason) => format!("not to be trusted: {reason}; nothing is evicted here"),
            None => "trusted".to_owned(),
        };
        let offline = if self.hub.offline { " (offline)" } else { "" };
        let token = self.hub.token.as_deref().unwrap_or("no token");
        let hf = self.tools.hf.as_ref().map_or_else(|| "not found".to_owned(), |hf| hf.display().to_string());
        let mut rows = vec![
            ("cache", cache),
            ("space", format!("{} in the store{free}", HumanBytes(self.used_bytes))),
            ("models", models),
        ];
        rows.extend(self.left.iter().map(|line| ("left", line.clone())));
        rows.extend([
            ("locks", locks),
            ("hub", format!("{}{offline}, with {token}", self.hub.endpoint)),
            ("tools", format!("hf: {hf}")),
        ]);
        rows
    }
}
