//! The one door for policy: a question at each step, and a decision.

use std::{fmt, sync::Arc};

use crate::{
    denial::{Denial, DenialKind},
    error::{Error, Result},
    format::Format,
    reference::ModelRef,
};

/// Decides what may be done.
///
/// # Contract
/// - `decide` answers at once: it opens no file and no socket, and does not block.
/// - It gives the same answer to the same question for as long as the provisioner lives.
/// - It answers [`Decision::Allowed`] to a kind of question that it has no rule for. The enum of questions grows.
/// - An engine that refuses some hosts also refuses [`Question::AnyHost`], for a source that is not told of hosts asks about none.
/// - A caller asks about a model that is present too, but for its network and its hosts.
pub trait PolicyEngine: fmt::Debug + Send + Sync {
    /// Answers a question.
    fn decide(&self, question: &Question<'_>) -> Decision;
}

/// Asks whether a step may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question<'a> {
    /// May this reference be used at all: its scheme, and its repository?
    Reference(&'a ModelRef),
    /// May the source of this absent model be asked, over a network?
    Network(&'a ModelRef),
    /// May a source speak to any host that it likes? Otherwise it must ask about each.
    AnyHost,
    /// May a source speak to this host?
    Host(&'a str),
    /// May a model be this large?
    Size {
        /// The model's id.
        id: &'a str,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// May a file have this format?
    Format {
        /// The file, as a message shows it.
        path: &'a str,
        /// Its format, by its name or by its first bytes.
        format: Format,
    },
}

/// Answers a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The step may be taken.
    Allowed,
    /// A rule refuses it.
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
/// [`Error::PolicyDenied`] with the denial; [`Error::Offline`] and [`Error::RefusedFormat`] for the kinds of denial that have codes
/// of their own.
pub fn ask(policy: &dyn PolicyEngine, question: &Question<'_>) -> Result<()> {
    let Decision::Denied(denial) = policy.decide(question) else { return Ok(()) };
    Err(match (denial.kind, question) {
        (DenialKind::Offline, Question::Network(reference)) => Error::Offline { id: reference.id() },
        (DenialKind::RunsCode, Question::Format { path, .. }) => {
            Error::RefusedFormat { path: (*path).to_owned() }
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
}
