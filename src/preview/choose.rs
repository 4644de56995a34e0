//! Chooses, of the models that a reference may mean, the best one that fits into memory.
//!
//! # Rule
//! The best is the one with the most bits for each weight; of several with as many, the one with the most weights. It must fit for
//! certain: a model of which that is not known is never chosen. Every call looks at the repository as it is, since that may have
//! changed. Where the network is off limits, the call chooses among the models of that repository that are recorded.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use model_inspect::MemoryRequest;
use provisioner_core::{
    CatalogRecord, Entry, ErrorCode, Lifecycle, ModelRef, RecordedFile, RelativePath, ResolveRequest,
    readable_size,
    reference::{RepoRef, RepoTarget, is_companion},
};

use super::{
    inspect::inspect,
    variants::{Variant, variants},
};
use crate::{
    catalog::records,
    context::Context,
    error::{Error, Result},
    resolve::{manifest::resolve, reference::canonical},
};

/// Names the model that was chosen, and what it was chosen from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FittingModel {
    /// The reference that means the chosen model alone.
    pub reference: ModelRef,
    /// The model that was chosen.
    pub chosen: Variant,
    /// How many models the reference may mean.
    pub candidates: usize,
    /// How many of them fit for certain.
    pub fitting: usize,
    /// Says whether they were the recorded ones alone, as the network is off limits.
    pub is_of_records: bool,
}

/// Chooses the best model that fits a demand of memory.
pub(crate) async fn choose(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    demand: &MemoryRequest,
) -> Result<FittingModel> {
    let reference = canonical(ctx, reference).await?;
    let (found, is_of_records) = match variants(ctx, &reference, demand).await {
        Err(error) if error.code() == ErrorCode::Offline => match reference.repository() {
            Some(repo) => (recorded(ctx, repo, demand).await?.ok_or(error)?, true),
            None => return Err(error),
        },
        found => (found?, false),
    };
    let fits = |variant: &&Variant| variant.problem.is_none() && variant.fit.fits == Some(true);
    let (candidates, fitting) = (found.len(), found.iter().filter(fits).count());
    // Of equals the first one, in the order of the list.
    let best = found.iter().filter(fits).rev().max_by(|one, other| compare(one, other)).cloned();
    let Some(chosen) = best else { return Err(nothing_fits(&reference, &found, demand)) };
    let is_open = |repo: &&RepoRef| matches!(repo.target(), RepoTarget::Repository(_));
    let reference = match reference.repository().filter(is_open) {
        Some(repo) if !is_of_records => named_by_quantization(ctx, repo, &chosen).await?,
        _ => chosen.id.parse()?,
    };
    Ok(FittingModel { reference, chosen, candidates, fitting, is_of_records })
}

/// Compares two models: the bits of a weight first, then all of them.
fn compare(one: &Variant, other: &Variant) -> Ordering {
    let bytes = |variant: &Variant| variant.fit.weights_bytes.unwrap_or(variant.size_bytes);
    let parameters = |variant: &Variant| variant.parameter_count.unwrap_or(0);
    // The quotients of bytes and weights, without dividing.
    let bits = |of: &Variant, by: &Variant| u128::from(bytes(of)) * u128::from(parameters(by));
    let both_told = parameters(one).min(parameters(other)) > 0;
    let density = if both_told { bits(one, other).cmp(&bits(other, one)) } else { Ordering::Equal };
    density.then(bytes(one).cmp(&bytes(other)))
}

/// Returns the reference of a chosen model by its quantization, where that means the same files, and otherwise by its file.
async fn named_by_quantization(ctx: &Arc<Context>, repo: &RepoRef, chosen: &Variant) -> Result<ModelRef> {
    let by_file: ModelRef = chosen.id.parse()?;
    let (Some(quantization), Some(RepoTarget::Path(path))) =
        (&chosen.quantization, by_file.repository().map(RepoRef::target))
    else {
        return Ok(by_file);
    };
    let Ok(by_quantization) = format!("{}:{quantization}", repo.clone().whole()).parse::<ModelRef>() else {
        return Ok(by_file);
    };
    // A source that finds several, or none, says so; and the file is one name that is sure.
    let means = resolve(ctx, &ResolveRequest::new(by_quantization.clone())).await;
    let is_same = means.is_ok_and(|manifest| matches!(manifest.entry(), Entry::File(entry) if entry == path));
    Ok(if is_same { by_quantization } else { by_file })
}

/// Returns the recorded models of the same repository and revision. `None` where there are none.
async fn recorded(
    ctx: &Arc<Context>,
    repo: &RepoRef,
    demand: &MemoryRequest,
) -> Result<Option<Vec<Variant>>> {
    // Several references may mean the same model.
    let mut found: BTreeMap<_, Variant> = BTreeMap::new();
    let kept = (repo.clone().whole(), Vec::new());
    let ((_, of_repo), _) = records::visit(ctx, kept, |_, (whole, of_repo), record| {
        let Ok(reference) = record.id.parse::<ModelRef>() else { return };
        let is_of_it = reference.repository().is_some_and(|own| own.clone().whole() == *whole);
        if is_of_it && record.lifecycle == Lifecycle::Active && !is_companion_alone(&record) {
            of_repo.push((reference, record));
        }
    })
    .await?;
    for (reference, record) in of_repo {
        let (model, is_shorter) = (model_of(&record), |known: &Variant| record.id.len() < known.id.len());
        if !found.get(&model).is_none_or(is_shorter) {
            continue;
        }
        // One whose files are gone would have to be fetched.
        if let Ok(inspection) = inspect(ctx, &reference).await {
            found.insert(model, Variant::new(record.id, inspection, demand));
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// Returns what two records have in common where they are of the same model: the entry with its digest, or else that of all files.
fn model_of(record: &CatalogRecord) -> (Option<RelativePath>, String) {
    let is_entry = |file: &&RecordedFile| Some(&file.path) == record.entry.as_ref();
    let of_entry = record.files.iter().find(is_entry).and_then(|file| file.sha256.as_ref());
    let digest = of_entry.or(record.digest.as_ref());
    (record.entry.clone(), digest.map_or_else(|| record.id.clone(), ToString::to_string))
}

/// Returns whether a record is of a file that belongs to a model, and is not one.
fn is_companion_alone(record: &CatalogRecord) -> bool {
    record.entry.as_ref().is_some_and(|entry| is_companion(entry.file_name()))
}

/// Makes the error that names the model which needs the least.
fn nothing_fits(reference: &ModelRef, found: &[Variant], demand: &MemoryRequest) -> Error {
    let sound = || found.iter().filter(|variant| variant.problem.is_none());
    let least = sound()
        .filter_map(|variant| Some((variant.fit.total_bytes?, variant)))
        .min_by_key(|(bytes, _)| *bytes);
    let unknown = sound().find_map(|variant| Some((variant, variant.fit.reason.clone()?)));
    let is_known = least.is_some();
    let needs = match (least, unknown) {
        (Some((bytes, variant)), _) => {
            let at_most = if variant.fit.at_most { "at most " } else { "" };
            let ctx = variant.fit.ctx.map(|ctx| format!(" for a context of {ctx}")).unwrap_or_default();
            format!("`{}` needs the least, {at_most}{}{ctx}", variant.id, readable_size(bytes))
        }
        (None, Some((variant, reason))) => format!("what `{}` needs is not known: {reason}", variant.id),
        (None, None) => "none of them can be loaded".to_owned(),
    };
    let vram = demand.vram_bytes.map(|bytes| format!(" into {}", readable_size(bytes))).unwrap_or_default();
    Error::NothingFits { id: reference.id(), candidates: found.len(), vram, needs, is_known }
}
