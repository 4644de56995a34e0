//! Defines the document of `doctor`, which is one screen for people.

mod keys;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use model_provisioner::{Account, HealthFinding, Overview, PolicyEngine, PolicyFile, readable_size};
use serde::Serialize;
use serde_json::Value;

use self::keys::KeyInForce;
use super::{
    leftover::{self, Leftover},
    provenance::head::Head,
};
use crate::{
    environment::Environment,
    output::{escape::line, failure::Failure, hint, text::counted},
};

/// Describes the state of the cache, and its problems.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Health {
    /// The cache folder.
    cache_dir: String,
    /// The problems.
    findings: Vec<Problem>,
    /// The user id of the owner; absent where the folder does not exist yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
    /// The mode of the folder, in octal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// Whether this user may write to the cache.
    writable: bool,
    /// The size of the store, in bytes.
    used_bytes: u64,
    /// The free space of its disk, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    free_bytes: Option<u64>,
    /// How many models the catalog has.
    models: Models,
    /// The unfinished transfers and quarantined files.
    leftovers: Vec<Leftover>,
    /// The leftovers for people.
    #[serde(skip)]
    left: Vec<String>,
    /// Whether locks hold here.
    locks: Locks,
    /// The last line of the provenance log, of which `doctor` reads the end alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<Head>,
    /// The other tools on this machine.
    tools: Tools,
    /// How the command would ask the hub.
    hub: HubSetting,
    /// The rules of the operator's policies, all of which hold.
    policy: Vec<RuleInForce>,
    /// The operator's policies that have no rule, such as one that names mirrors alone.
    #[serde(skip)]
    without_rules: Vec<PathBuf>,
    /// The keys that those rules name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeyInForce>,
}

/// Describes one rule of a policy.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuleInForce {
    /// The rule, as a policy file writes it.
    rule: String,
    /// The value of the rule, as in the file.
    value: Value,
    /// Where the rule stands: the file and the key.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

/// Describes one problem.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Problem {
    /// The problem, in words.
    #[serde(rename = "problem")]
    what: String,
    /// What `doctor --fix` did about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<String>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether the problem harms no model.
    harmless: bool,
}

/// Counts the models.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Models {
    /// How many may be used.
    active: usize,
    /// How many are retired.
    retired: usize,
    /// How many of them are files of the user, used in place.
    in_place: usize,
    /// How many records cannot be read.
    damaged: usize,
}

/// Says whether locks hold here.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Locks {
    /// Whether a lock of one process keeps others out.
    trusted: bool,
    /// The reason for which the command does not trust them.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Names the other tools on this machine.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tools {
    /// Where the `hf` program is, or `huggingface-cli`.
    hf: Option<PathBuf>,
    /// The release of that program.
    #[serde(skip_serializing_if = "Option::is_none")]
    hf_version: Option<String>,
    /// Whether the policy lets the command run it.
    hf_allowed: bool,
}

/// Says how the command would ask the hub.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HubSetting {
    /// The address of the hub.
    endpoint: String,
    /// Where the token comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Who the token belongs to, as the hub says.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<TokenOwner>,
    /// Whether the operator keeps the command from the network.
    offline: bool,
}

impl Tools {
    fn text(&self) -> String {
        let Self { hf, hf_version, hf_allowed } = self;
        let Some(hf) = hf else { return "hf: not found".to_owned() };
        let version = hf_version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
        let denied = if *hf_allowed { "" } else { "; the policy does not let it run" };
        format!("hf: {}{version}{denied}", hf.display())
    }
}

/// Names who a token belongs to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TokenOwner {
    /// The name of the account.
    name: String,
    /// The organizations of the account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organizations: Vec<String>,
}

impl From<HealthFinding> for Problem {
    fn from(finding: HealthFinding) -> Self {
        let HealthFinding { problem, mended, hint, is_harmless, .. } = finding;
        let hint = hint.map(|hint| hint::text_in_doctor(&hint));
        Self { what: problem, mended, hint, harmless: is_harmless }
    }
}

impl Problem {
    /// Returns the problem of a policy file that denies everything. `None` for a sound one.
    pub(crate) fn of_policy(file: &PolicyFile) -> Option<Self> {
        let fault = file.fault()?;
        let hint = fault.hint().map(|hint| hint::text_in_doctor(&hint));
        Some(Self { what: format!("{fault}: it denies everything"), mended: None, hint, harmless: false })
    }

    /// Returns the problem of a key that the policy names and the command cannot use. `None` for a sound one.
    fn of_key(key: &KeyInForce) -> Option<Self> {
        let (fault, file) = (key.fault.as_ref()?, key.file.display());
        let place = key.location.as_ref().map(|place| format!(" of `{place}`")).unwrap_or_default();
        let what =
            format!("the key `{file}`{place} cannot be used, and no model for which it counts: {fault}");
        let hint = Some("name the file of a public key in PEM, as its owner gave it to you".to_owned());
        Some(Self { what, mended: None, hint, harmless: !key.counts() })
    }

    /// Returns the problem of a hub that does not say who the token belongs to. It harms no present model.
    pub(crate) fn of_token(failure: Failure) -> Self {
        let what = format!("the hub does not say who the token belongs to: {}", failure.message);
        Self { what, mended: None, hint: failure.hint, harmless: true }
    }
}

impl RuleInForce {
    /// Returns the rule for people.
    fn text(&self) -> String {
        let place = self.location.as_ref().map(|place| format!("  ({place})")).unwrap_or_default();
        let value = self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
        format!("{}: {value}{place}", self.rule)
    }
}

impl Health {
    /// Describes a cache and the machine around it.
    pub(crate) fn new(
        cache_dir: &Path,
        overview: &Overview,
        environment: Environment,
        findings: Vec<Problem>,
        hf_allowed: bool,
    ) -> Self {
        let Environment { hf, hf_version, endpoint, token, offline } = environment;
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
            left: leftover::summary(&overview.leftovers),
            locks: Locks { trusted: overview.lock_doubt.is_none(), reason: overview.lock_doubt.clone() },
            provenance: overview.provenance.map(Head::from),
            tools: Tools { hf, hf_version, hf_allowed },
            hub: HubSetting { endpoint, token, account: None, offline },
            policy: Vec::new(),
            without_rules: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Returns the same state, with the rules of some policies, and their keys.
    pub(crate) fn with_policies(self, policies: &[Arc<dyn PolicyEngine>]) -> Self {
        let rules = |policy: &Arc<dyn PolicyEngine>| {
            let rule = |(rule, value): (String, Value)| RuleInForce {
                location: policy.place_of(&rule),
                rule,
                value,
            };
            policy.rules().into_iter().map(rule).collect::<Vec<_>>()
        };
        let keys: Vec<_> = policies.iter().flat_map(|policy| KeyInForce::of(policy.as_ref())).collect();
        let mut findings = self.findings;
        findings.extend(keys.iter().filter_map(Problem::of_key));
        let without_rules = policies.iter().filter(|policy| policy.rules().is_empty());
        let without_rules =
            without_rules.flat_map(|policy| policy.documents()).map(|file| file.path).collect();
        Self { policy: policies.iter().flat_map(rules).collect(), without_rules, keys, findings, ..self }
    }

    /// Returns the same state, with who the token belongs to.
    pub(crate) fn with_account(mut self, account: Option<Account>) -> Self {
        self.hub.account = account.map(|account| {
            let Account { name, organizations, .. } = account;
            TokenOwner { name, organizations }
        });
        self
    }

    /// Returns whether no problem is left that matters.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.mended.is_some() || finding.harmless)
    }

    /// Returns the screen for people.
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

    /// Returns who the token belongs to, behind the token.
    fn owner_text(&self) -> String {
        let Some(TokenOwner { name, organizations }) = &self.hub.account else { return String::new() };
        let organizations: Vec<_> = organizations.iter().map(|organization| line(organization)).collect();
        match organizations.as_slice() {
            [] => format!(", as {}", line(name)),
            _ => format!(", as {} (of {})", line(name), organizations.join(", ")),
        }
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
        let free =
            self.free_bytes.map(|bytes| format!(", {} free", readable_size(bytes))).unwrap_or_default();
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
        let mut rows = vec![
            ("cache", cache),
            ("space", format!("{} in the store{free}", readable_size(self.used_bytes))),
            ("models", models),
        ];
        rows.extend(self.left.iter().map(|line| ("left", line.clone())));
        let log = self.provenance.as_ref().map_or("no line yet", |head| &head.checkpoint);
        rows.extend([
            ("locks", locks),
            ("log", format!("{log}; `provenance verify` checks it")),
            ("hub", format!("{}{offline}, with {token}{}", self.hub.endpoint, self.owner_text())),
            ("tools", self.tools.text()),
        ]);
        rows.extend(self.policy.iter().map(|rule| ("policy", rule.text())));
        rows.extend(self.keys.iter().map(|key| ("key", key.text())));
        let without_rules = self.without_rules.iter();
        rows.extend(without_rules.map(|file| ("policy", format!("`{}` has no rule", file.display()))));
        if self.policy.is_empty() && self.without_rules.is_empty() {
            let none = "none of the operator's: what a person names may be fetched, and a config says what `provision` may do";
            rows.push(("policy", none.to_owned()));
        }
        rows
    }
}
