//! Chooses what a path names: a file with its set, its projector or its outside data; or a folder of the repository.

use provisioner_core::{
    Entry, FetchError, RelativePath, Role,
    reference::{Companion, ShardName},
};

use crate::{
    answer::{complete, inner, role_by_name},
    choice::{Choice, Chosen},
    layouts::{gguf, onnx, transformers::plain_folder, whole},
    listing::Listing,
    names::{Format, Kind, ending, split},
    question::Question,
    refusal,
    scope::{Decided, Scope, Verdict},
};

/// Chooses what a path of the repository names.
pub(crate) fn decide(
    question: &Question<'_>,
    listing: &Listing,
    path: &RelativePath,
) -> Result<Choice, FetchError> {
    let scope = question.scope;
    if let Some(files) = shards(scope, path)? {
        return Ok(complete(listing, scope, with_companions(scope, &files), Entry::File(path.clone())));
    }
    if let Some(at) = scope.find(path.as_str()) {
        return Ok(complete(listing, scope, with_companions(scope, &[at]), Entry::File(path.clone())));
    }
    let folder = format!("{path}/");
    if listing.below(&folder).next().is_some() {
        return decide_folder(question, listing, &folder);
    }
    Err(no_file(question, path))
}

/// Returns all shards of the set that a path names, in order. `None` for a path that is not one of a shard, or of a set of
/// which nothing is listed.
fn shards(scope: &Scope<'_>, path: &RelativePath) -> Result<Option<Vec<usize>>, FetchError> {
    let Some(set) = ShardName::parse(path.file_name()) else { return Ok(None) };
    let mut files = Vec::new();
    for number in 1..=set.count() {
        let name = format!("{}{}", path.folder(), set.sibling(number));
        match scope.find(&name) {
            Some(at) => files.push(at),
            None if !files.is_empty() || scope.find(path.as_str()).is_some() => {
                return Err(refusal::missing_shard(&name, set.count()));
            }
            None => return Ok(None),
        }
    }
    Ok(Some(files))
}

/// Takes files, and what goes along with the first.
fn with_companions(scope: &Scope<'_>, files: &[usize]) -> Decided {
    let mut decided = gguf::rest(scope);
    for at in files {
        decided.verdicts[*at] = Verdict::Take(role_by_name(&scope.files[*at]));
    }
    let Some(first) = files.first() else { return decided };
    let file = &scope.files[*first];
    match file.kind {
        Kind::Weights(Format::Gguf) if Companion::of(file.rel) != Some(Companion::Projector) => {
            if let Some(at) = gguf::projector(scope, file.rel) {
                decided.verdicts[at] = Verdict::Take(Role::Projector);
                decided.projector = Some(scope.files[at].path.clone());
            }
        }
        Kind::Weights(Format::Onnx) => {
            for (at, role) in onnx::mates(scope, *first) {
                decided.verdicts[at] = Verdict::Take(role);
            }
        }
        Kind::Weights(Format::OpenVino) => {
            let stem = file.rel.rsplit_once('.').map_or(file.rel, |(stem, _)| stem);
            for at in ["xml", "bin"].iter().filter_map(|ending| scope.find(&format!("{stem}.{ending}"))) {
                decided.verdicts[at] = Verdict::Take(Role::Weights);
            }
        }
        _ => {}
    }
    decided
}

/// Chooses what an engine loads of a folder; all of it where no rule finds weights there.
fn decide_folder(question: &Question<'_>, listing: &Listing, folder: &str) -> Result<Choice, FetchError> {
    let scope = Scope::of(listing, folder);
    let has_weights = scope.files.iter().any(|file| {
        matches!(file.kind, Kind::Weights(format) if ![Format::RawPart, Format::ImportanceMatrix, Format::OnnxData].contains(&format))
    });
    let decided = if has_weights {
        whole(&Question { repo: question.repo, scope: &scope, manifests: question.manifests, depth: 0 })?
    } else {
        plain_folder(&scope)
    };
    if scope.files.is_empty() {
        let name = listing.below(folder).next().map_or(folder, |(name, _)| name);
        return Err(refusal::unsafe_name(name));
    }
    let below = decided.inner.clone().unwrap_or_default();
    let entry = inner(&format!("{folder}{below}"))?;
    let model =
        scope.files.iter().zip(&decided.verdicts).find(|(file, verdict)| {
            file.is_weights(Format::Gguf) && **verdict == Verdict::Take(Role::Weights)
        });
    let model = model.map(|(file, _)| file.path.clone()).filter(|_| decided.projector.is_none());
    let mut choice = complete(listing, &scope, decided, entry);
    // A projector may lie above the folder.
    let outer = question.scope;
    if let Some(at) = model.and_then(|model| gguf::projector(outer, model.as_str())) {
        let file = &outer.files[at];
        choice.left_out.retain(|left| left.path != file.path.as_str());
        choice.files.retain(|chosen| chosen.path != *file.path);
        choice.files.push(Chosen { path: file.path.clone(), size: file.size, role: Role::Projector });
        choice.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        choice.projector = Some(file.path.clone());
    }
    Ok(choice)
}

/// Returns the error of a file that the repository lacks, with the files that it has instead.
fn no_file(question: &Question<'_>, path: &RelativePath) -> FetchError {
    let (scope, repo) = (question.scope, question.repo);
    let wanted = ending(split(path.as_str()).1).to_ascii_lowercase();
    let is_alike = |name: &str| !wanted.is_empty() && ending(name) == wanted;
    let mut shown: Vec<_> = scope.files.iter().filter(|file| is_alike(file.name())).collect();
    if shown.is_empty() {
        shown = scope.files.iter().collect();
    }
    let shown: Vec<_> = shown.iter().map(|file| format!("`{}`", file.path)).collect();
    let mut error = refusal::unknown(format!("the repository has no file `{path}`"), &shown);
    if let Some(hint) = refusal::misplaced_revision(repo, path) {
        error.hint = Some(error.hint.take().map_or(hint.clone(), |listed| hint.and(listed)));
    }
    error
}
