//! Native weights with their configuration and tokenizer: Transformers and what is laid out as it is, such as PEFT, `open_clip`, timm,
//! MLX, `CTranslate2`, GPTQ, AWQ and EXL2; and, folder by folder, the components of a pipeline.

use std::collections::{BTreeMap, BTreeSet};

use provisioner_core::{FetchError, LeftOutReason, Role};

use super::parts;
use crate::{
    code::{self, Code},
    names::{Format, Kind, folder_kind, has_token},
    notices,
    question::Question,
    refusal,
    scope::{Decided, File, SMALL_BYTES, Scope, Verdict, always_out, beside, in_folder, plain_role},
    weights::{self, Fate, Hints, Outcome, Piece, SetName},
};

/// How many folders deep a folder lies at the most that a manifest names.
const MAX_NAMED_DEPTH: usize = 8;

/// Says where the weights lie.
pub(crate) struct Terms {
    /// The format of the weights at the top; `None` where the folders have all that an engine loads.
    top: Option<Format>,
    /// The folders that a manifest names, each with its slash.
    named: BTreeSet<String>,
    /// Whether only these folders belong to the model.
    only_named: bool,
}

impl Terms {
    pub(crate) fn of(top: Format, named: BTreeSet<String>) -> Self {
        Self { top: Some(top), named, only_named: false }
    }

    pub(crate) fn pipeline(named: BTreeSet<String>) -> Self {
        Self { top: None, named, only_named: true }
    }

    /// Returns whether a manifest names a folder, or one above it.
    fn names(&self, folder: &str) -> bool {
        let above = folder.match_indices('/').take(MAX_NAMED_DEPTH).map(|(slash, _)| &folder[..=slash]);
        !self.named.is_empty() && above.into_iter().any(|above| self.named.contains(above))
    }
}

/// Chooses native weights, and what goes along with them.
pub(crate) fn decide(question: &Question<'_>, terms: &Terms) -> Result<Decided, FetchError> {
    let Question { scope, manifests, .. } = question;
    let code = code::of(scope, manifests, &terms.named);
    let twins = twins(question, terms);
    let mut verdicts = Vec::with_capacity(scope.files.len());
    let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, file) in scope.files.iter().enumerate() {
        let verdict = first_verdict(at, file, terms, &code, &twins);
        if verdict.is_none() {
            folders.entry(file.folder()).or_default().push(at);
        }
        verdicts.push(verdict.unwrap_or(Verdict::Leave(LeftOutReason::OtherFormat)));
    }
    let main = terms.top.map_or(0, |format| largest_set(scope, format, &folders));
    let mut elsewhere = Vec::new();
    for (folder, files) in &folders {
        let weights = Weights { folder, files, main };
        decide_folder(question, terms, &weights, &mut verdicts, &mut elsewhere)?;
    }
    // An index may name files of other folders.
    for at in elsewhere {
        verdicts[at] = Verdict::Take(Role::Weights);
    }
    let notices = notices::of(question, terms.only_named, &code, &verdicts);
    Ok(Decided { notices, ..Decided::new(verdicts) })
}

/// Decides about a file by itself; `None` for weights, whose folder decides.
fn first_verdict(
    at: usize,
    file: &File<'_>,
    terms: &Terms,
    code: &Code,
    twins: &BTreeSet<String>,
) -> Option<Verdict> {
    if code.files.contains(&at) {
        return Some(Verdict::Take(Role::Code));
    }
    if let Some(reason) = always_out(file.kind) {
        return Some(Verdict::Leave(reason));
    }
    if file.kind == Kind::Script {
        return Some(Verdict::Leave(LeftOutReason::Script));
    }
    let folder = file.folder();
    if !folder.is_empty() && !terms.names(folder) {
        if terms.only_named {
            return Some(Verdict::Leave(LeftOutReason::UnusedComponent));
        }
        if let Some(kind) = folder_kind(&folder.to_ascii_lowercase()) {
            return Some(Verdict::Leave(in_folder(kind)));
        }
        if first_folder(folder).is_some_and(|first| twins.contains(first)) {
            return Some(Verdict::Leave(LeftOutReason::OtherVariant));
        }
    }
    match file.kind {
        Kind::Weights(_) | Kind::Index(_) => None,
        kind => Some(Verdict::Take(plain_role(kind))),
    }
}

fn first_folder(folder: &str) -> Option<&str> {
    folder.split_once('/').map(|(first, _)| first)
}

/// Returns the folders that are other models of the same architecture: no manifest names them, and their configuration states
/// what that at the top states.
fn twins(question: &Question<'_>, terms: &Terms) -> BTreeSet<String> {
    let Question { scope, manifests, .. } = question;
    let stated = |folder: &str| {
        let config = manifests.json(&scope.full(&format!("{folder}config.json")))?;
        let architectures = config.get("architectures").filter(|value| !value.is_null()).cloned();
        Some((config.get("model_type")?.clone(), architectures?))
    };
    let Some(own) = stated("") else { return BTreeSet::new() };
    let firsts: BTreeSet<&str> = scope.files.iter().filter_map(|file| first_folder(file.folder())).collect();
    let is_twin = |folder: &&str| {
        !terms.names(&format!("{folder}/")) && stated(&format!("{folder}/")).is_some_and(|other| other == own)
    };
    firsts.into_iter().filter(is_twin).map(str::to_owned).collect()
}

/// Returns the size of the largest set of a format in some folders, in bytes.
fn largest_set(scope: &Scope<'_>, format: Format, folders: &BTreeMap<&str, Vec<usize>>) -> u64 {
    let mut sets: BTreeMap<(&str, SetName), u64> = BTreeMap::new();
    for (folder, at) in folders.iter().flat_map(|(folder, files)| files.iter().map(move |at| (folder, *at))) {
        let file = &scope.files[at];
        if file.is_weights(format) {
            let set = SetName { shard: None, ..SetName::parse(file.name(), format) };
            let size = sets.entry((folder, set)).or_default();
            *size = size.saturating_add(file.size);
        }
    }
    sets.into_values().max().unwrap_or_default()
}

/// The weights of one folder.
struct Weights<'a> {
    folder: &'a str,
    files: &'a [usize],
    /// How many bytes the largest set of the model's own format has.
    main: u64,
}

/// Decides about the weights of one folder.
fn decide_folder(
    question: &Question<'_>,
    terms: &Terms,
    weights: &Weights<'_>,
    verdicts: &mut [Verdict],
    elsewhere: &mut Vec<usize>,
) -> Result<(), FetchError> {
    let scope = question.scope;
    let &Weights { folder, files, main: weighed } = weights;
    let is_named = terms.names(folder);
    let may_be = |format: &Format| *format != Format::Pickle || is_named || terms.top == Some(Format::Pickle);
    let present: BTreeSet<Format> =
        files.iter().filter_map(|at| weights_of(scope.files[*at].kind)).filter(may_be).collect();
    let format = if folder.is_empty() { terms.top } else { best_of(&present) };
    let (main, others): (Vec<usize>, Vec<usize>) = files.iter().partition(|at| {
        let (Kind::Weights(own) | Kind::Index(own)) = scope.files[**at].kind else { return false };
        // An ONNX file may keep its tensors in any other.
        let is_data = matches!(own, Format::OnnxData | Format::Bin) && format == Some(Format::Onnx);
        Some(own) == format || is_data
    });
    let largest = scope.size(main.iter().copied());
    let stems: BTreeSet<&str> = main.iter().map(|at| stem(scope.files[*at].name())).collect();
    for at in others {
        let file = &scope.files[at];
        verdicts[at] = match file.kind {
            Kind::Weights(_) if folder.is_empty() && terms.top.is_none() => {
                Verdict::Leave(LeftOutReason::Superseded)
            }
            Kind::Weights(Format::Onnx) if is_part(file, &stems, largest) => Verdict::Take(Role::Other),
            Kind::Weights(Format::Bin) if file.size <= SMALL_BYTES => Verdict::Take(Role::Other),
            Kind::Weights(Format::Pickle) if may_be_needed(question, file, &stems, weighed) => {
                Verdict::Take(Role::Other)
            }
            Kind::Weights(Format::Safetensors)
                if format == Some(Format::Pickle) && may_be_needed(question, file, &stems, weighed) =>
            {
                Verdict::Take(if is_adapter(file) { Role::Adapter } else { Role::Other })
            }
            Kind::Weights(other) => beside(file, other),
            Kind::Index(_) => Verdict::Leave(LeftOutReason::OtherFormat),
            _ => continue,
        };
    }
    match format {
        Some(format @ (Format::Safetensors | Format::Pickle)) => {
            decide_sets(question, terms, folder, format, &main, verdicts, elsewhere)
        }
        Some(_) => {
            for at in main {
                verdicts[at] = Verdict::Take(Role::Weights);
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// Returns whether an ONNX file at the top is a part beside native weights, and not an export of them: its name is that of
/// neither, and it is smaller than an export in few bits.
fn is_part(file: &File<'_>, stems: &BTreeSet<&str>, largest: u64) -> bool {
    const EXPORTS: [&str; 4] = ["model", "decoder", "encoder", "pytorch_model"];
    let own = stem(file.name());
    file.folder().is_empty()
        && !EXPORTS.iter().any(|start| own.starts_with(start))
        && !stems.contains(own)
        && file.size < largest / 5
}

/// Returns whether a file of another format may be a part that an engine needs beside the weights, such as a table of speakers or a text
/// encoder: its name is not one of a main set or of one that is taken, and it does not have the weights again.
fn may_be_needed(question: &Question<'_>, file: &File<'_>, stems: &BTreeSet<&str>, weighed: u64) -> bool {
    const USUAL: [&str; 5] =
        ["pytorch_model", "adapter_model", "consolidated", "lora_weights", "diffusion_pytorch_model"];
    let own = stem(file.name());
    let is_usual = USUAL.iter().any(|usual| file.name().contains(usual));
    let is_main = own == "model" && file.folder().is_empty();
    let is_large = file.size > SMALL_BYTES && file.size > weighed / 2;
    let is_again = is_large && (!file.is_weights(Format::Pickle) || is_copy(question, file, weighed));
    !(is_usual || is_main || is_again || stems.contains(own))
}

/// Returns whether a large pickle has the weights again: it has about their size, or a name that says no more than that it is a model,
/// or the name of the repository. A large pickle of any other name may be a part, such as the text encoder of a small model.
fn is_copy(question: &Question<'_>, file: &File<'_>, weighed: u64) -> bool {
    const PLAIN: [&str; 9] =
        ["model", "ckpt", "checkpoint", "weights", "pytorch", "best", "final", "last", "ema"];
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let repo = letters(question.repo.repo().rsplit('/').next().unwrap_or_default());
    let own = letters(stem(file.name()));
    file.size.abs_diff(weighed) <= weighed / 8
        || PLAIN.iter().any(|word| has_token(file.name(), word))
        || own.contains(&repo)
        || repo.contains(&own)
}

fn is_adapter(file: &File<'_>) -> bool {
    file.name().starts_with("adapter_")
        || file.name().starts_with("adapter.")
        || has_token(file.name(), "lora")
        || file.name().contains("lora_weights")
}

/// Returns a name before its first dot.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn weights_of(kind: Kind) -> Option<Format> {
    if let Kind::Weights(format) = kind { Some(format) } else { None }
}

/// Returns the format of which an engine loads the weights of a folder.
fn best_of(present: &BTreeSet<Format>) -> Option<Format> {
    const BEST: [Format; 7] = [
        Format::Safetensors,
        Format::CTranslate2,
        Format::Pickle,
        Format::Onnx,
        Format::OpenVino,
        Format::OtherFramework,
        Format::Bin,
    ];
    BEST.into_iter().find(|format| present.contains(format))
}

/// Decides among the sets of one format in one folder.
fn decide_sets(
    question: &Question<'_>,
    terms: &Terms,
    folder: &str,
    format: Format,
    files: &[usize],
    verdicts: &mut [Verdict],
    elsewhere: &mut Vec<usize>,
) -> Result<(), FetchError> {
    let scope = question.scope;
    let stated = stated_set(question, folder, files);
    for at in files.iter().filter(|at| stated.as_ref().is_some_and(|stated| !stated.contains(at))) {
        verdicts[*at] = Verdict::Leave(LeftOutReason::Superseded);
    }
    let is_stated = |at: &&usize| stated.as_ref().is_none_or(|stated| stated.contains(at));
    let pieces: Vec<Piece> = files
        .iter()
        .filter(is_stated)
        .map(|at| {
            let file = &scope.files[*at];
            let is_index = matches!(file.kind, Kind::Index(_));
            Piece { at: *at, set: SetName::parse(file.name(), format), size: file.size, is_index }
        })
        .collect();
    let indexes: Vec<(usize, BTreeSet<String>)> = pieces
        .iter()
        .filter(|piece| piece.is_index && piece.set.variant.is_none())
        .filter_map(|piece| Some((piece.at, named_files(question, scope.files[piece.at].rel)?)))
        .collect();
    let own = |name: &String| scope.find(&format!("{folder}{name}"));
    let named: BTreeSet<usize> = indexes
        .iter()
        .filter(|(at, _)| indexes.len() == 1 || !scope.files[*at].name().starts_with("consolidated"))
        .flat_map(|(_, names)| names.iter().filter_map(own))
        .collect();
    let hints = Hints {
        has_config: scope.find(&format!("{folder}config.json")).is_some() || parts::are_described(scope),
        any_variant: terms.only_named,
        are_pickles: format == Format::Pickle,
    };
    let fates = match weights::choose(&pieces, Some(&named).filter(|named| !named.is_empty()), hints) {
        Outcome::Decided(fates) => fates,
        Outcome::Several(sets) => {
            let first = |set: &Vec<usize>| {
                let first = set.iter().find(|at| matches!(scope.files[**at].kind, Kind::Weights(_)))?;
                Some((scope.files[*first].path.clone(), scope.size(set.iter().copied())))
            };
            let choices: Vec<_> = sets.iter().filter_map(first).collect();
            return Err(refusal::several_models(question.repo, &choices));
        }
        Outcome::Missing { of, number, count } => {
            return Err(refusal::missing_shard(&shard_beside(&scope.files[of], number), count));
        }
    };
    let main_stems =
        ["pytorch_model", "model", "diffusion_pytorch_model", "open_clip_pytorch_model", "adapter_model"];
    let is_usual = format == Format::Pickle && has_stem(&pieces, &main_stems);
    for (at, fate) in fates {
        let file = &scope.files[at];
        verdicts[at] = match fate {
            Fate::Taken if is_adapter(file) => Verdict::Take(Role::Adapter),
            Fate::Taken if is_usual && !named.contains(&at) => {
                let stem = SetName::parse(file.name(), format).stem;
                Verdict::Take(if main_stems.contains(&stem.as_str()) { Role::Weights } else { Role::Other })
            }
            Fate::Taken => Verdict::Take(Role::Weights),
            Fate::OtherFormat => Verdict::Leave(LeftOutReason::OtherFormat),
            Fate::OtherPrecision => Verdict::Leave(LeftOutReason::OtherPrecision),
            Fate::Superseded => Verdict::Leave(LeftOutReason::Superseded),
        };
    }
    let taken = indexes.iter().filter(|(at, _)| matches!(verdicts[*at], Verdict::Take(_)));
    let mut passed_over = Vec::new();
    for (index, names) in taken {
        elsewhere.extend(names.iter().filter_map(own));
        let Some(name) = names.iter().find(|name| own(name).is_none()) else { continue };
        let set = SetName::parse(scope.files[*index].name(), format);
        let is_single =
            |piece: &&Piece| !piece.is_index && piece.set.shard.is_none() && piece.set.stem == set.stem;
        let single = pieces.iter().find(is_single);
        if !single.is_some_and(|piece| matches!(verdicts[piece.at], Verdict::Take(_))) {
            return Err(lacking(question, scope.files[*index].rel, folder, name));
        }
        // Engines take the one file, and do not look at an index of others.
        passed_over.push(*index);
    }
    for index in passed_over {
        verdicts[index] = Verdict::Leave(LeftOutReason::Superseded);
    }
    Ok(())
}

/// Returns the weights that the configuration of a folder states: `transformers_weights` names a file, or an index with its files.
/// `None` where it names none of the folder.
fn stated_set(question: &Question<'_>, folder: &str, files: &[usize]) -> Option<BTreeSet<usize>> {
    let scope = question.scope;
    let config = question.manifests.json(&scope.full(&format!("{folder}config.json")))?;
    let find = |name: &str| scope.find(&format!("{folder}{name}")).filter(|at| files.contains(at));
    let first = find(config.get("transformers_weights")?.as_str()?)?;
    let of_index = match scope.files[first].kind {
        Kind::Index(_) => named_files(question, scope.files[first].rel)?,
        _ => BTreeSet::new(),
    };
    Some(of_index.iter().filter_map(|name| find(name)).chain([first]).collect())
}

fn has_stem(pieces: &[Piece], stems: &[&str]) -> bool {
    pieces.iter().any(|piece| !piece.is_index && stems.contains(&piece.set.stem.as_str()))
}

/// Returns the files that an index names. `None` where it was not read, or is malformed.
fn named_files(question: &Question<'_>, index: &str) -> Option<BTreeSet<String>> {
    question.manifests.weight_files(&question.scope.full(index))
}

/// Returns the error of a file that an index names: the repository lacks it, or lists it under a name that is unsafe.
fn lacking(question: &Question<'_>, index: &str, folder: &str, name: &str) -> FetchError {
    let full = question.scope.full(&format!("{folder}{name}"));
    match provisioner_core::RelativePath::new(full.as_str()) {
        Err(_) => refusal::unsafe_name(&full),
        Ok(_) => refusal::missing_of_index(question.scope, index, name),
    }
}

/// Returns the path of another shard of the set of a file.
fn shard_beside(file: &File<'_>, number: u32) -> String {
    let (folder, name) = crate::names::split(file.path.as_str());
    let Some((before, after)) = name.rsplit_once("-of-") else { return file.path.to_string() };
    let Some((stem, digits)) = before.rsplit_once(['-', '.']) else { return file.path.to_string() };
    format!("{folder}{stem}-{number:0width$}-of-{after}", width = digits.len())
}

/// Returns the verdicts of a folder that a person named and that has no weights: all that is not superfluous, or else all.
pub(crate) fn plain_folder(scope: &Scope<'_>) -> Decided {
    let role = |file: &File<'_>| if file.kind == Kind::Script { Role::Code } else { plain_role(file.kind) };
    let verdict = |file: &File<'_>| match always_out(file.kind) {
        Some(reason) if reason != LeftOutReason::Document => Verdict::Leave(reason),
        _ => Verdict::Take(role(file)),
    };
    let mut verdicts: Vec<_> = scope.files.iter().map(verdict).collect();
    if !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Take(_))) {
        verdicts = scope.files.iter().map(|file| Verdict::Take(role(file))).collect();
    }
    Decided::new(verdicts)
}
