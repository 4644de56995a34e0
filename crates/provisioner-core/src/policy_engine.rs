//! Opens the one door for policy: a question at each step, and a decision.

use std::{fmt, sync::Arc};

use crate::{
    denial::{Denial, DenialKind},
    error::{Error, Result},
    format::Format,
    reference::ModelRef,
};

/// Decides which steps a provisioner may take.
///
/// # Contract
/// - `decide` answers at once: it opens no file and no socket, and does not block.
/// - `decide` gives the same answer to the same question for as long as the provisioner lives.
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
        /// The format, by the file's name or by its first bytes.
        format: Format,
    },
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
