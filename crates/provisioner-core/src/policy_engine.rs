//! Opens the one door for policy: a question at each step, and a decision.

use std::{fmt, path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    denial::{Denial, DenialKind},
    error::{Error, Result},
    format::Format,
    policy::{repos::pattern_of, signatures::SignatureRule},
    policy_document::PolicyDocument,
    reference::ModelRef,
    source_facts::ScanStatus,
};

/// Decides which steps a provisioner may take.
///
/// # Contract
/// - `decide` answers at once: it opens no file and no socket, and does not block.
/// - `decide` gives the same answer to the same question for as long as the provisioner lives.
/// - [`denials`](PolicyEngine::denials) is empty exactly where `decide` allows the step.
/// - An engine answers [`Decision::Allowed`] to a kind of question that it has no rule for. The enum of questions grows, and a
///   provisioner asks its own policy besides.
/// - An engine that refuses some hosts also refuses [`Question::AnyHost`], for a source that is not told of hosts asks about
///   none.
/// - An ensure, a plan and an import ask about a present model too, but for its network and its hosts. A call that only looks,
///   such as `locate`, asks nothing.
///
/// ```
/// use provisioner_core::{Decision, Denial, PolicyEngine, Question, ask};
///
/// #[derive(Debug)]
/// struct Small;
///
/// impl PolicyEngine for Small {
///     fn decide(&self, question: &Question<'_>) -> Decision {
///         match *question {
///             Question::Size { size_bytes, .. } if size_bytes > 1 << 30 => {
///                 Denial::new("small", size_bytes.to_string(), format!("a model of {size_bytes} bytes")).into()
///             }
///             _ => Decision::Allowed,
///         }
///     }
/// }
///
/// let error = ask(&Small, &Question::Size { id: "hf:org/repo", size_bytes: 2 << 30 }).unwrap_err();
/// assert_eq!(error.to_string(), "policy does not allow a model of 2147483648 bytes");
/// ```
pub trait PolicyEngine: fmt::Debug + Send + Sync {
    /// Returns whether a step is allowed, and otherwise why not.
    fn decide(&self, question: &Question<'_>) -> Decision;

    /// Returns every denial of a step, where more than one rule refuses it. By default the one of [`decide`](Self::decide).
    fn denials(&self, question: &Question<'_>) -> Vec<Denial> {
        match self.decide(question) {
            Decision::Allowed => Vec::new(),
            Decision::Denied(denial) => vec![*denial],
        }
    }

    /// Returns the rules that the engine has, by their names, with their values as a document shows them. By default none.
    fn rules(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Returns where a rule stands that the engine has, as a file and a key. By default `None`.
    fn place_of(&self, rule: &str) -> Option<String> {
        let _ = rule;
        None
    }

    /// Returns whether the engine names this very host, without a pattern: then a source may connect to it inside of a network too.
    /// `None`, as by default, where the engine has no rule for hosts.
    fn names_host(&self, host: &str) -> Option<bool> {
        let _ = host;
        None
    }

    /// Returns the rules of signatures that count for a reference, at most one of each policy. By default none.
    fn signature_rules(&self, reference: &ModelRef) -> Vec<SignatureRule> {
        let _ = reference;
        Vec::new()
    }

    /// Returns the files in which the rules stand, as a statement names them. By default none.
    fn documents(&self) -> Vec<PolicyDocument> {
        Vec::new()
    }
}

/// Asks whether the provisioner may take a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question<'a> {
    /// May a caller use this reference at all: its scheme, and its repository?
    Reference(&'a ModelRef),
    /// May a fetcher ask the source of this absent model, over a network?
    Network(&'a ModelRef),
    /// May a source connect to any host that it likes? Otherwise it must ask about each.
    AnyHost,
    /// May a source connect to this host?
    Host(&'a str),
    /// May a model be this large?
    Size {
        /// The id of the model: the canonical text of its reference.
        id: &'a str,
        /// The size of the model, in bytes.
        size_bytes: u64,
    },
    /// May a file have this format?
    Format {
        /// The path of the file, as a message shows it.
        path: &'a str,
        /// The format, by the file's name or by its contents.
        format: Format,
    },
    /// May a model have this many files?
    MaxFiles {
        /// The id of the model: the canonical text of its reference.
        id: &'a str,
        /// The number of files.
        files: u64,
    },
    /// May a model have this licence?
    License {
        /// The id of the model: the canonical text of its reference.
        id: &'a str,
        /// The licence, as the source names it, or a local model itself. `None` where it is not known.
        license: Option<&'a str>,
    },
    /// May a file come along of which the scanners of its source say this?
    Scan {
        /// The path of the file in its model.
        path: &'a str,
        /// The result of the scanners.
        status: ScanStatus,
    },
    /// May program code come along that the model's configuration names? [`Question::Format`] asks about its format besides.
    RemoteCode {
        /// The path of the file in its model.
        path: &'a str,
    },
    /// May the provisioner run this program, such as a source's own command?
    ShellOut {
        /// The name of the program.
        program: &'a str,
    },
    /// May a model be used that these keys signed?
    Signature {
        /// The reference of the model.
        reference: &'a ModelRef,
        /// The files of the keys whose signatures hold, as [`SignatureRule::keys`] names them.
        signers: &'a [PathBuf],
    },
}

impl Question<'_> {
    /// Returns the rules that the question concerns, by the names of a policy file, each with the value that it asks about.
    pub fn subjects(&self) -> Vec<(&'static str, String)> {
        let unknown = || "unknown".to_owned();
        match *self {
            Self::Reference(reference) if reference.is_local() => {
                vec![("schemes", reference.scheme().to_owned())]
            }
            Self::Reference(reference) => {
                vec![("schemes", reference.scheme().to_owned()), ("repos", pattern_of(reference))]
            }
            Self::Network(reference) => vec![("network", reference.id())],
            Self::AnyHost => vec![("hosts", "*".to_owned())],
            Self::Host(host) => vec![("hosts", host.to_owned())],
            Self::Size { size_bytes, .. } => vec![("max_bytes", size_bytes.to_string())],
            Self::MaxFiles { files, .. } => vec![("max_files", files.to_string())],
            Self::Format { format, .. } => vec![("formats", format.as_str().to_owned())],
            Self::License { license, .. } => vec![("licenses", license.map_or_else(unknown, str::to_owned))],
            Self::Scan { status, .. } => vec![("scan", status.as_str().to_owned())],
            Self::RemoteCode { path } => vec![("remote_code", path.to_owned())],
            Self::ShellOut { program } => vec![("shell_out", program.to_owned())],
            Self::Signature { reference, .. } => vec![("signatures", pattern_of(reference))],
        }
    }
}

/// Answers a [`Question`], with a denial where the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The provisioner may take the step.
    Allowed,
    /// A rule of the policy refuses the step.
    Denied(Box<Denial>),
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(denial))
    }
}

/// Asks a policy, and turns a denial into the error.
///
/// # Errors
/// [`Error::PolicyDenied`] with the denial; [`Error::Offline`] and [`Error::RefusedFormat`] for the kinds of denial that have
/// codes of their own.
pub fn ask(policy: &dyn PolicyEngine, question: &Question<'_>) -> Result<()> {
    let Decision::Denied(denial) = policy.decide(question) else { return Ok(()) };
    Err(match (denial.kind, question) {
        (DenialKind::Offline, Question::Network(reference)) => Error::Offline { id: reference.id(), denial },
        (DenialKind::RunsCode, Question::Format { path, format }) => {
            Error::RefusedFormat { path: (*path).to_owned(), format: *format, denial }
        }
        _ => Error::PolicyDenied { denial },
    })
}

/// Requires that several policies all allow a step. The first denial counts.
#[derive(Clone, Debug, Default)]
pub struct AllOf(pub Vec<Arc<dyn PolicyEngine>>);

impl PolicyEngine for AllOf {
    fn decide(&self, question: &Question<'_>) -> Decision {
        let mut decisions = self.0.iter().map(|policy| policy.decide(question));
        decisions.find(|decision| *decision != Decision::Allowed).unwrap_or(Decision::Allowed)
    }

    fn denials(&self, question: &Question<'_>) -> Vec<Denial> {
        self.0.iter().flat_map(|policy| policy.denials(question)).collect()
    }

    fn place_of(&self, rule: &str) -> Option<String> {
        self.0.iter().find_map(|policy| policy.place_of(rule))
    }

    fn names_host(&self, host: &str) -> Option<bool> {
        self.0.iter().filter_map(|policy| policy.names_host(host)).reduce(|all, one| all && one)
    }

    fn signature_rules(&self, reference: &ModelRef) -> Vec<SignatureRule> {
        self.0.iter().flat_map(|policy| policy.signature_rules(reference)).collect()
    }

    fn documents(&self) -> Vec<PolicyDocument> {
        self.0.iter().flat_map(|policy| policy.documents()).collect()
    }
}
