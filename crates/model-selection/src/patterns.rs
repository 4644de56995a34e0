//! Reads the patterns of a selection.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use provisioner_core::{
    FetchError, FetchErrorKind,
    reference::{RepoRef, RepoTarget, Selection},
};

/// Refuses a reference that makes no sense in any repository.
///
/// # Errors
/// [`FetchErrorKind::InvalidPattern`] for a pattern that is not one.
pub fn check(repo: &RepoRef) -> Result<(), FetchError> {
    match repo.target() {
        RepoTarget::Repository(selection) => Patterns::of(selection).map(drop),
        _ => Ok(()),
    }
}

/// Says which names a selection takes.
pub(crate) struct Patterns {
    takes_all: bool,
    include: GlobSet,
    exclude: GlobSet,
}

impl Patterns {
    pub(crate) fn of(selection: &Selection) -> Result<Self, FetchError> {
        Ok(Self {
            takes_all: selection.include.is_empty(),
            include: set(selection.include.iter())?,
            exclude: set(selection.exclude.iter())?,
        })
    }

    pub(crate) fn take(&self, name: &str) -> bool {
        (self.takes_all || self.include.is_match(name)) && !self.exclude.is_match(name)
    }
}

/// Returns patterns as the field's tools read them: `*` crosses slashes.
fn set<'a>(texts: impl Iterator<Item = &'a String>) -> Result<GlobSet, FetchError> {
    let invalid = |error: globset::Error| {
        let (pattern, reason) = (error.glob().unwrap_or_default(), error.kind());
        FetchError::new(FetchErrorKind::InvalidPattern, format!("`{pattern}` is not a pattern: {reason}")).with_hint(
            "in a pattern, `*`, `?`, `[…]` and `{…}` stand for others; in brackets, as `[[]`, they stand for themselves",
        )
    };
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(GlobBuilder::new(text).literal_separator(false).build().map_err(invalid)?);
    }
    set.build().map_err(invalid)
}
