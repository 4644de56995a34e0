//! Models that are one file: `NeMo`, ggml of whisper.cpp, `LiteRT`. A repository with several of them has several models.

use provisioner_core::{FetchError, LeftOutReason, Role};

use crate::{
    names::{Format, Kind},
    question::{Question, is_training},
    refusal,
    scope::{Decided, Verdict, always_out, beside, plain_role},
};

/// Takes the only file of a format, with the small files around it.
pub(crate) fn decide(question: &Question<'_>, format: Format) -> Result<Decided, FetchError> {
    let scope = question.scope;
    let is_model = |at: &usize| {
        let file = &scope.files[*at];
        file.is_weights(format) && !is_training(file.folder()) && !file.name().contains("for-tests")
    };
    let models: Vec<usize> = (0..scope.files.len()).filter(is_model).collect();
    let [only] = models.as_slice() else {
        let choices: Vec<_> =
            models.iter().map(|at| (scope.files[*at].path.clone(), scope.files[*at].size)).collect();
        return Err(if choices.is_empty() {
            refusal::no_weights(question.repo, false)
        } else {
            refusal::several_models(question.repo, &choices)
        });
    };
    let verdict = |at: usize| {
        let file = &scope.files[at];
        match file.kind {
            _ if at == *only => Verdict::Take(Role::Weights),
            kind if always_out(kind).is_some() => {
                Verdict::Leave(always_out(kind).unwrap_or(LeftOutReason::NotAsked))
            }
            Kind::Script => Verdict::Leave(LeftOutReason::Script),
            Kind::Weights(other) => beside(file, other),
            Kind::Index(_) => Verdict::Leave(LeftOutReason::OtherFormat),
            kind => Verdict::Take(plain_role(kind)),
        }
    };
    Ok(Decided::new((0..scope.files.len()).map(verdict).collect()))
}
