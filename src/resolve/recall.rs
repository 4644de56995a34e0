//! Resolves a reference whose source cannot be asked.
//!
//! The Hub's own tools keep its listings beside the files that they downloaded, and a fetcher may know how to read them.
//! Such a listing replaces the source's own, and nothing else: the provisioner cannot fetch a file then that is not on
//! this machine, and the call fails for the reason for which it did not ask the source.

use provisioner_core::{ErrorCode, FetchErrorKind, Manifest, RelativePath, ResolveRequest};

use super::manifest::resolve;
use crate::{
    context::Context,
    error::{Error, Result},
};

/// Holds a manifest, and whether its files can be fetched.
#[derive(Debug)]
pub(crate) struct Resolution {
    pub(crate) manifest: Manifest,
    pub(crate) source: SourceAccess,
}

/// Says whether the source of a manifest can be asked for bytes.
#[derive(Debug)]
pub(crate) enum SourceAccess {
    /// The source listed the files.
    Open,
    /// The provisioner did not ask the source, or the source did not answer.
    Barred(Error),
}

impl Resolution {
    /// Returns the manifest that the source itself listed.
    pub(crate) fn of_source(manifest: Manifest) -> Self {
        Self { manifest, source: SourceAccess::Open }
    }
}

impl SourceAccess {
    /// Fails where the model needs a file from a source that cannot be asked.
    pub(crate) fn check(&self, id: &str, to_fetch: Option<&RelativePath>) -> Result<()> {
        match (self, to_fetch) {
            (Self::Barred(error), Some(path)) => {
                tracing::warn!("`{id}`: its file `{path}` is not on this machine");
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }
}

/// Resolves a reference at its source; where the source cannot be asked, by the listing that another tool keeps.
pub(crate) async fn resolve_or_recall(ctx: &Context, request: &ResolveRequest) -> Result<Resolution> {
    match resolve(ctx, request).await {
        Err(error) if cannot_be_asked(&error) => recall(ctx, request, error).await,
        resolved => resolved.map(Resolution::of_source),
    }
}

/// Resolves a reference by the listing that another tool keeps. `barred` says why the source cannot be asked.
async fn recall(ctx: &Context, request: &ResolveRequest, barred: Error) -> Result<Resolution> {
    let reference = &request.reference;
    match ctx.registry.find(reference)?.resolve_offline(request).await {
        Ok(Some(manifest)) => {
            if barred.code() == ErrorCode::SourceUnavailable {
                let listing = manifest.listing().map(|file| format!(", from `{}`", file.display()));
                let listing = listing.unwrap_or_default();
                tracing::warn!("`{reference}` is resolved without its source{listing}: {barred}");
            }
            Ok(Resolution { manifest, source: SourceAccess::Barred(barred) })
        }
        Ok(None) => Err(barred),
        // The caller must choose, whichever of the two lists the files.
        Err(error) if error.kind == FetchErrorKind::Ambiguous => Err(error.into()),
        Err(error) => {
            let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            tracing::warn!("`{reference}` is not resolved from another tool's cache: {error}{hint}");
            Err(barred)
        }
    }
}

/// Returns whether an error says that the provisioner did not ask the source, or had no means to, or that the source did not answer.
fn cannot_be_asked(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Offline | ErrorCode::PolicyDenied | ErrorCode::SourceUnavailable | ErrorCode::ToolMissing
    )
}
