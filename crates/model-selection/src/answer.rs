//! Turns the verdicts of a layout into the answer: each listed file is chosen or left out.

use provisioner_core::{Entry, FetchError, LeftOut, LeftOutReason, RelativePath, Role, reference::Companion};

use crate::{
    choice::{Choice, Chosen},
    listing::Listing,
    names::{Format, Kind, has_token},
    refusal,
    scope::{Decided, File, Scope, Verdict, plain_role},
};

/// Returns the entry of a folder below the repository, whose path may end in a slash.
pub(crate) fn inner(folder: &str) -> Result<Entry, FetchError> {
    let path = RelativePath::new(folder.trim_end_matches('/')).map_err(|_| refusal::unsafe_name(folder))?;
    Ok(Entry::Subfolder(path))
}

/// Returns the role of a file that a person named.
pub(crate) fn role_by_name(file: &File<'_>) -> Role {
    match file.kind {
        Kind::Weights(Format::Gguf) => match Companion::of(file.rel) {
            Some(Companion::Projector) => Role::Projector,
            Some(Companion::Draft) => Role::Draft,
            Some(Companion::Adapter) => Role::Adapter,
            _ => Role::Weights,
        },
        Kind::Weights(Format::ImportanceMatrix) => Role::Other,
        Kind::Weights(_) if file.name().starts_with("adapter_") || has_token(file.name(), "lora") => {
            Role::Adapter
        }
        Kind::Script => Role::Code,
        kind => plain_role(kind),
    }
}

/// Gives each listed file its role, or the reason why it stays out.
pub(crate) fn complete(listing: &Listing, scope: &Scope<'_>, decided: Decided, entry: Entry) -> Choice {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    let mut judged = scope.files.iter().zip(decided.verdicts).peekable();
    for (name, listed) in listing.iter() {
        let verdict = match judged.next_if(|(file, _)| file.path.as_str() == name) {
            Some((_, verdict)) => verdict,
            None if listed.path.is_none() => Verdict::Leave(LeftOutReason::UnsafeName),
            None => Verdict::Leave(LeftOutReason::NotAsked),
        };
        match (verdict, &listed.path) {
            (Verdict::Take(role), Some(path)) => {
                files.push(Chosen { path: path.clone(), size: listed.size, role });
            }
            (Verdict::Leave(reason), _) => {
                left_out.push(LeftOut { path: name.to_owned(), size: listed.size, reason });
            }
            (Verdict::Take(_), None) => {}
        }
    }
    Choice { files, entry, projector: decided.projector, left_out, notices: decided.notices }
}
