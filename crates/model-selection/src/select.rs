//! Chooses the files of a reference: a file, a folder, a quantization, patterns, or what an engine loads of the whole.

use provisioner_core::{
    Entry, FetchError, FetchErrorKind, LeftOutReason, Notice,
    reference::{RepoRef, RepoTarget, Selection},
};

use crate::{
    answer::{complete, inner, role_by_name},
    choice::Choice,
    layouts::{gguf, whole},
    listing::Listing,
    manifests::Manifests,
    named,
    patterns::Patterns,
    question::Question,
    refusal,
    scope::{Decided, File, Scope, Verdict},
    to_read::count_left_unread,
};

/// Chooses the files of a reference.
///
/// # Errors
/// [`NotFound`](provisioner_core::FetchErrorKind::NotFound) where the listing has nothing of what the reference names, or no model;
/// [`Ambiguous`](provisioner_core::FetchErrorKind::Ambiguous) with the choices where it has several models;
/// [`MissingShard`](provisioner_core::FetchErrorKind::MissingShard) for a set that is not whole;
/// [`UnsafePath`](provisioner_core::FetchErrorKind::UnsafePath) for a file of the model whose name no file of this machine can
/// have; [`InvalidPattern`](provisioner_core::FetchErrorKind::InvalidPattern).
pub fn select(repo: &RepoRef, listing: &Listing, manifests: &Manifests) -> Result<Choice, FetchError> {
    let mut choice = decide(repo, listing, manifests)?;
    let count = count_left_unread(listing, repo.target(), manifests);
    if count > 0 {
        choice.notices.push(Notice::ManifestsLeftUnread { count });
    }
    Ok(choice)
}

fn decide(repo: &RepoRef, listing: &Listing, manifests: &Manifests) -> Result<Choice, FetchError> {
    let scope = Scope::of(listing, "");
    let question = Question { repo, scope: &scope, manifests, depth: 0 };
    match repo.target() {
        RepoTarget::Path(path) => named::decide(&question, listing, path),
        RepoTarget::Quantization(quantization) => {
            let (decided, first) = gguf::quantized(&question, quantization)?;
            Ok(complete(listing, &scope, decided, Entry::File(first)))
        }
        RepoTarget::Repository(selection) if selection.is_empty() => {
            let decided = whole(&question)?;
            let entry = match &decided.inner {
                Some(folder) => inner(folder)?,
                None => Entry::Folder,
            };
            Ok(complete(listing, &scope, decided, entry))
        }
        RepoTarget::Repository(selection) if selection.include.is_empty() => {
            rest(&question, selection, listing).or_else(|error| match error.kind {
                FetchErrorKind::UnsafePath | FetchErrorKind::InvalidPattern => Err(error),
                _ => Ok(complete(listing, &scope, selected(selection, listing, &scope)?, Entry::Folder)),
            })
        }
        RepoTarget::Repository(selection) => {
            let decided = selected(selection, listing, &scope)?;
            Ok(complete(listing, &scope, decided, Entry::Folder))
        }
    }
}

/// Chooses what an engine loads of the files that are left when some are excluded.
fn rest(question: &Question<'_>, selection: &Selection, listing: &Listing) -> Result<Choice, FetchError> {
    let patterns = Patterns::of(selection)?;
    let left = listing.iter().filter(|(name, _)| patterns.take(name));
    let left: Listing = left.map(|(name, file)| (name, file.size)).collect();
    let scope = Scope::of(&left, "");
    let decided = whole(&Question { scope: &scope, ..*question })?;
    let entry = match &decided.inner {
        Some(folder) => inner(folder)?,
        None => Entry::Folder,
    };
    Ok(complete(listing, &scope, decided, entry))
}

/// Takes the files that patterns name.
fn selected(selection: &Selection, listing: &Listing, scope: &Scope<'_>) -> Result<Decided, FetchError> {
    let patterns = Patterns::of(selection)?;
    if let Some((name, _)) = listing.iter().find(|(name, file)| file.path.is_none() && patterns.names(name)) {
        return Err(refusal::unsafe_name(name));
    }
    let verdict = |file: &File<'_>| {
        if file.name().starts_with("._") {
            Verdict::Leave(LeftOutReason::Hidden)
        } else if patterns.take(file.rel) {
            Verdict::Take(role_by_name(file))
        } else {
            Verdict::Leave(LeftOutReason::NotAsked)
        }
    };
    let verdicts: Vec<_> = scope.files.iter().map(verdict).collect();
    if !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Take(_))) {
        let others: Vec<_> = scope.files.iter().map(|file| format!("`{}`", file.path)).collect();
        return Err(refusal::unknown("the patterns take no file of the repository".to_owned(), &others));
    }
    Ok(Decided::new(verdicts))
}

#[cfg(test)]
mod tests;
