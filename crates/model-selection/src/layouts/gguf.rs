//! GGUF: one model, or a quantization of several; its shards, and the projector that goes along.

use std::collections::BTreeMap;

use provisioner_core::{
    FetchError, FetchErrorKind, LeftOutReason, RelativePath, Role,
    reference::{Companion, ShardName},
};

use crate::{
    names::{Format, Kind, split},
    quantization::{Fit, bits, fit, stated},
    question::{Question, is_training},
    refusal,
    scope::{Decided, Scope, Verdict, always_out, beside, plain_role},
};

/// A model: the path of its first file without ending and number, and the numbers of its files in the scope, in order.
#[derive(Debug)]
pub(crate) struct Model {
    stem: String,
    files: Vec<usize>,
}

/// Returns the models of a scope. Drafts and adapters by name are models where there is no other.
pub(crate) fn models(scope: &Scope<'_>) -> Vec<Model> {
    let companion = |at: usize| Companion::of(scope.files[at].rel);
    let ggufs: Vec<usize> = (0..scope.files.len())
        .filter(|at| scope.files[*at].is_weights(Format::Gguf) && !is_training(scope.files[*at].folder()))
        .collect();
    let plain: Vec<usize> = ggufs.iter().copied().filter(|at| companion(*at).is_none()).collect();
    let is_loose = |at: &usize| {
        matches!(companion(*at), Some(Companion::Draft | Companion::Adapter))
            && !Companion::begins(split(scope.files[*at].rel).1)
    };
    let taken = if plain.is_empty() { ggufs.into_iter().filter(is_loose).collect() } else { plain };
    grouped(scope, &taken)
}

fn grouped(scope: &Scope<'_>, files: &[usize]) -> Vec<Model> {
    let mut models: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for at in files {
        models.entry(stem_of(scope.files[*at].rel)).or_default().push(*at);
    }
    models.into_iter().map(|(stem, files)| Model { stem, files }).collect()
}

/// Returns a path without its ending, and without the number of a shard.
fn stem_of(path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    match ShardName::parse(split(path).1) {
        Some(_) => stem.get(..stem.len() - "-00000-of-00000".len()).unwrap_or(stem).to_owned(),
        None => stem.to_owned(),
    }
}

/// Takes the only model of a folder, its projector, and the small files around it.
pub(crate) fn whole(question: &Question<'_>) -> Result<Decided, FetchError> {
    let scope = question.scope;
    let models = models(scope);
    let [only] = models.as_slice() else {
        return Err(refusal::several_models(question.repo, &choices(scope, models.iter())));
    };
    let mut decided = take(scope, only)?;
    for (at, file) in scope.files.iter().enumerate() {
        if matches!(decided.verdicts[at], Verdict::Leave(_)) && always_out(file.kind).is_none() {
            decided.verdicts[at] = match file.kind {
                Kind::Script => Verdict::Leave(LeftOutReason::Script),
                Kind::Weights(Format::Gguf) => decided.verdicts[at],
                Kind::Weights(other) => beside(file, other),
                Kind::Index(_) => Verdict::Leave(LeftOutReason::OtherFormat),
                kind => Verdict::Take(plain_role(kind)),
            };
        }
    }
    Ok(decided)
}

/// Takes the model of a quantization.
pub(crate) fn quantized(
    question: &Question<'_>,
    quantization: &str,
) -> Result<(Decided, RelativePath), FetchError> {
    let Question { scope, repo, .. } = question;
    let mut models = models(scope);
    if models.is_empty() {
        let singles = [Format::Ggml, Format::LiteRt, Format::Llamafile].map(|format| {
            (0..scope.files.len()).filter(move |at| scope.files[*at].is_weights(format)).collect::<Vec<_>>()
        });
        models = grouped(scope, &singles.concat());
    }
    let mut fits: Vec<(Fit, &Model)> =
        models.iter().filter_map(|model| Some((fit(&model.stem, quantization)?, model))).collect();
    let best = fits.iter().map(|(fit, _)| *fit).min();
    fits.retain(|(fit, _)| Some(*fit) == best);
    let name = repo.repo();
    match fits.as_slice() {
        [(_, model)] => {
            let first = model.files.first().map(|at| scope.files[*at].path.clone());
            let first = first.ok_or_else(|| refusal::unknown(format!("`{name}` is empty"), &[]))?;
            Ok((take(scope, model)?, first))
        }
        [] if models.is_empty() => Err(no_gguf(question, quantization)),
        [] => {
            let all = choices(scope, models.iter());
            let choices: Vec<_> =
                all.iter().map(|(path, size)| refusal::described(repo, path, *size)).collect();
            Err(refusal::unknown(format!("`{name}` has no quantization `{quantization}`"), &choices))
        }
        several => {
            let what = format!("`{quantization}` fits several models of `{name}`");
            let mut error =
                refusal::several(&what, repo, &choices(scope, several.iter().map(|(_, model)| *model)));
            error.hint = None;
            Err(error)
        }
    }
}

fn no_gguf(question: &Question<'_>, quantization: &str) -> FetchError {
    let (name, whole) = (question.repo.repo(), question.repo.clone().whole());
    let parts = question.scope.files.iter().find(|file| file.kind == Kind::Weights(Format::RawPart));
    if let Some(part) = parts {
        let message = format!(
            "`{name}` has no quantization `{quantization}` that an engine reads as it is: its files are cut into pieces, such as `{}`",
            part.path
        );
        return FetchError::new(FetchErrorKind::NotFound, message)
            .with_hint("name the pieces with patterns, and join them; or take another repository");
    }
    let message = format!("`{name}` has no quantization `{quantization}`, for it has no GGUF files at all");
    FetchError::new(FetchErrorKind::NotFound, message)
        .with_hint(format!("`{whole}` is what an engine loads of it"))
}

fn choices<'a>(scope: &Scope<'_>, models: impl Iterator<Item = &'a Model>) -> Vec<(RelativePath, u64)> {
    let choice = |model: &Model| {
        let first = scope.files[*model.files.first()?].path.clone();
        Some((first, scope.size(model.files.iter().copied())))
    };
    models.filter_map(choice).collect()
}

/// Takes a model with all of its shards and its projector, and nothing else.
fn take(scope: &Scope<'_>, model: &Model) -> Result<Decided, FetchError> {
    let Some(first) = model.files.first() else { return Ok(rest(scope)) };
    if let Some(set) = ShardName::parse(split(scope.files[*first].rel).1) {
        let folder = scope.files[*first].folder();
        for number in 1..=set.count() {
            let name = format!("{folder}{}", set.sibling(number));
            if scope.find(&name).is_none() {
                return Err(refusal::missing_shard(&scope.full(&name), set.count()));
            }
        }
    }
    let mut decided = rest(scope);
    for at in &model.files {
        decided.verdicts[*at] = Verdict::Take(Role::Weights);
    }
    if let Some(at) = projector(scope, scope.files[*first].rel) {
        decided.verdicts[at] = Verdict::Take(Role::Projector);
        decided.projector = Some(scope.files[at].path.clone());
    }
    Ok(decided)
}

/// Returns the verdicts on all files of a scope of which a model is yet to be taken.
pub(crate) fn rest(scope: &Scope<'_>) -> Decided {
    let verdict = |file: &crate::scope::File<'_>| match file.kind {
        kind if always_out(kind).is_some() => {
            Verdict::Leave(always_out(kind).unwrap_or(LeftOutReason::NotAsked))
        }
        Kind::Weights(Format::Gguf) if Companion::of(file.rel).is_some() => {
            Verdict::Leave(LeftOutReason::Companion)
        }
        Kind::Weights(Format::Gguf) => Verdict::Leave(LeftOutReason::OtherVariant),
        _ => Verdict::Leave(LeftOutReason::NotAsked),
    };
    Decided::new(scope.files.iter().map(verdict).collect())
}

/// Returns the projector that goes along with a model, as llama.cpp takes it: from the model's folder or the nearest above; then the
/// one of the same quantization; then the one whose number of bits is nearest; then the first by name.
pub(crate) fn projector(scope: &Scope<'_>, model: &str) -> Option<usize> {
    let (home, name) = split(model);
    let stem = stem_of(name);
    let (own, own_bits) = (stated(&stem), bits(&stem));
    let rank = |at: usize| {
        let file = &scope.files[at];
        let stem = stem_of(split(file.rel).1);
        let distance = match (bits(&stem), own_bits) {
            (Some(bits), Some(own)) => bits.abs_diff(own),
            _ => u32::MAX,
        };
        let depth = file.folder().matches('/').count();
        (std::cmp::Reverse(depth), stated(&stem) != own || own.is_none(), distance, at)
    };
    let is_above = |at: &usize| {
        let file = &scope.files[*at];
        file.is_weights(Format::Gguf)
            && Companion::of(file.rel) == Some(Companion::Projector)
            && home.starts_with(file.folder())
    };
    (0..scope.files.len()).filter(is_above).min_by_key(|at| rank(*at))
}
