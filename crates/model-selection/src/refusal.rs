//! Words the errors of a choice: what a repository has instead, as references that are ready for a shell.

use provisioner_core::{
    FetchError, FetchErrorKind, Hint, ModelRef, RelativePath, readable_size, reference::RepoRef, shell_word,
    told,
};

use crate::scope::Scope;

/// Returns a part of a repository as the reference that means it alone, and its size.
pub(crate) fn described(repo: &RepoRef, path: &RelativePath, size: u64) -> String {
    let reference = repo.clone().file(path).unwrap_or_else(|_| repo.clone()).to_string();
    format!("`{}` ({})", shell_word(&reference), readable_size(size))
}

/// Returns the error of a name that a source does not have, with the names that it has instead.
pub(crate) fn unknown(what: String, choices: &[String]) -> FetchError {
    let hint = if choices.is_empty() {
        Hint::text("the repository is empty")
    } else {
        Hint::text(format!("there are: {}", told(choices.iter())))
    };
    FetchError::new(FetchErrorKind::NotFound, what).with_hint(hint)
}

/// Returns the hint for a path with a revision behind it, which stands behind the name of the repository.
pub(crate) fn misplaced_revision(repo: &RepoRef, path: &RelativePath) -> Option<Hint> {
    let (before, revision) = path.as_str().rsplit_once('@').filter(|_| repo.revision().is_none())?;
    let (scheme, whole) = (repo.scheme(), repo.repo());
    let instead: ModelRef = format!("{scheme}:{whole}@{revision}/{before}").parse().ok()?;
    let instead = instead.to_string();
    let instead = shell_word(&instead);
    Some(Hint::text(format!("if `{revision}` is a revision, write `{instead}`")))
}

/// Returns the error of a reference that several models fit.
pub(crate) fn several(what: &str, repo: &RepoRef, choices: &[(RelativePath, u64)]) -> FetchError {
    let listed = told(choices.iter().map(|(path, size)| described(repo, path, *size)));
    let error = FetchError::new(FetchErrorKind::Ambiguous, format!("{what}: {listed}"));
    let Some((first, _)) = choices.first() else { return error };
    let whole = repo.clone().whole();
    let is_quantized = first.as_str().to_ascii_lowercase().ends_with(".gguf");
    let example = format!("{whole}/{first}");
    if is_quantized {
        error.with_hint(Hint::NameOne { example, id: whole.to_string() })
    } else {
        let one = format!("name one of them, as in `{}`", shell_word(&example));
        error.with_hint(Hint::text(one).and(Hint::TakeAll { id: whole.to_string() }))
    }
}

/// Returns the error of a repository whose weights are in sets that no rule tells apart.
pub(crate) fn several_models(repo: &RepoRef, choices: &[(RelativePath, u64)]) -> FetchError {
    several(&format!("`{}` has several models", repo.repo()), repo, choices)
}

/// Returns the error of a repository in which no rule finds weights.
pub(crate) fn no_weights(repo: &RepoRef, has_parts: bool) -> FetchError {
    let mut message = format!("`{}` has no weights that are taken by themselves", repo.repo());
    if has_parts {
        message += ": its GGUF files are cut into pieces, which no engine reads as they are";
    }
    FetchError::new(FetchErrorKind::NotFound, message).with_hint(Hint::NameFiles)
}

/// Returns the error of a shard that a set lacks.
pub(crate) fn missing_shard(name: &str, count: impl std::fmt::Display) -> FetchError {
    FetchError::new(FetchErrorKind::MissingShard, format!("missing shard `{name}`, of {count}"))
        .with_hint("the repository does not have it at this revision; try another, or another model")
}

/// Returns the error of an index that names a file which the repository lacks.
pub(crate) fn missing_of_index(scope: &Scope<'_>, index: &str, name: &str) -> FetchError {
    let message = format!(
        "`{}` names `{}`, which the repository does not have",
        scope.full(index),
        provisioner_core::excerpt(name, 200).escape_debug()
    );
    FetchError::new(FetchErrorKind::MissingShard, message)
        .with_hint(Hint::text("try another revision or another model").and(Hint::NameFiles))
}

/// Returns the error of a name that would be chosen, and that no file of this machine can have.
pub(crate) fn unsafe_name(name: &str) -> FetchError {
    match RelativePath::new(name) {
        Err(error) => FetchError::new(FetchErrorKind::UnsafePath, error.to_string()),
        Ok(path) => FetchError::new(FetchErrorKind::UnsafePath, format!("`{path}` is not a safe path")),
    }
}
