//! Groups the weights of one folder into sets, and says which set an engine loads.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{Format, has_token, is_precision};

/// Reads the name of a file of weights.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SetName {
    /// The name without its precision, number and ending, in lower case.
    pub(crate) stem: String,
    /// The precision, where the name states one.
    pub(crate) variant: Option<String>,
    /// The number of the file in its set, and how many the set has.
    pub(crate) shard: Option<(u32, u32)>,
}

/// The stems behind which each further word states a variant.
const MAIN: [&str; 8] = [
    "model",
    "diffusion_pytorch_model",
    "pytorch_model",
    "adapter_model",
    "open_clip_model",
    "open_clip_pytorch_model",
    "pytorch_lora_weights",
    "weights",
];

impl SetName {
    /// Reads a name in lower case whose format is known.
    pub(crate) fn parse(name: &str, format: Format) -> Self {
        let mut rest = match format {
            Format::Safetensors => name.strip_suffix(".safetensors").unwrap_or(name),
            _ => name.rsplit_once('.').map_or(name, |(rest, _)| rest),
        };
        rest = rest.strip_suffix(".json").unwrap_or(rest);
        // `model.safetensors.index.json`, and `model.safetensors.index.fp16.json`.
        if let Some((stem, variant)) = rest.split_once(".safetensors.index").or(rest.split_once(".bin.index"))
        {
            let variant = variant.trim_start_matches('.');
            let mut set = Self::of_base(stem);
            if !variant.is_empty() {
                set.variant = Some(variant.to_owned());
            }
            return set;
        }
        let (mut shard, mut behind) = (None, None);
        if let Some((base, number, count, tail)) = numbered(rest) {
            shard = Some((number, count));
            rest = base;
            behind = tail.strip_prefix('.').map(str::to_owned);
        }
        let set = Self::of_base(rest);
        Self { shard, variant: behind.or(set.variant), ..set }
    }

    /// Returns whether the name is that of a main set, and not of a part.
    pub(crate) fn is_main(&self) -> bool {
        let stem = self.stem.as_str();
        MAIN.contains(&stem) || is_own(stem) || ["model", "weights"].iter().any(|main| stem.starts_with(main))
    }

    fn of_base(base: &str) -> Self {
        let set = |stem: &str, variant: Option<&str>| Self {
            stem: stem.to_owned(),
            variant: variant.map(str::to_owned),
            shard: None,
        };
        for main in MAIN {
            if let Some(variant) = base.strip_prefix(main).and_then(|rest| rest.strip_prefix('.')) {
                return set(main, Some(variant));
            }
        }
        match base.rsplit_once(['.', '-', '_']) {
            Some((stem, word)) if is_precision(word) => set(stem, Some(word)),
            _ => set(base, None),
        }
    }
}

/// Returns whether a stem is that of Mistral's own format.
fn is_own(stem: &str) -> bool {
    stem == "consolidated" || stem.starts_with("consolidated.")
}

/// Splits `x-00001-of-00002`, with any number of digits, and what stands behind it.
fn numbered(name: &str) -> Option<(&str, u32, u32, &str)> {
    let (before, after) = name.rsplit_once("-of-")?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (count, tail) = after.split_at(digits);
    if !tail.is_empty() && !tail.starts_with('.') {
        return None;
    }
    let (base, number) = before.rsplit_once(['-', '.'])?;
    let number = number.bytes().all(|b| b.is_ascii_digit()).then_some(number)?;
    Some((base, number.parse().ok()?, count.parse().ok()?, tail))
}

/// A file of weights, as the choice among sets sees it: its number in the caller's list, its set and its size.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) set: SetName,
    pub(crate) size: u64,
    pub(crate) is_index: bool,
}

/// Says what becomes of a file of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    OtherFormat,
    OtherPrecision,
    Superseded,
}

/// Holds the fates of a folder's weights, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Decided(Vec<(usize, Fate)>),
    /// No rule tells which of these sets it is: the first file of each.
    Several(Vec<Vec<usize>>),
    /// A set lacks the file of this number, of so many.
    Missing {
        of: usize,
        number: u32,
        count: u32,
    },
}

/// What is known beside the names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints {
    /// A configuration lies beside the weights: files with names that no rule knows are parts of one model.
    pub(crate) has_config: bool,
    /// Where no file has the main precision, any that exists will do.
    pub(crate) any_variant: bool,
    /// The files are pickles: those that are large beside a main one are checkpoints of it.
    pub(crate) are_pickles: bool,
}

/// Chooses among the weights of one format in one folder. `named` are the files that the index of the main set names, where
/// it was read.
pub(crate) fn choose(pieces: &[Piece], named: Option<&BTreeSet<usize>>, hints: Hints) -> Outcome {
    let renamed = by_index(pieces, named);
    let pieces = renamed.as_deref().unwrap_or(pieces);
    let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
    let mut stems: BTreeMap<&str, BTreeMap<Option<&str>, Vec<&Piece>>> = BTreeMap::new();
    for piece in pieces {
        let variants = stems.entry(&piece.set.stem).or_default();
        variants.entry(piece.set.variant.as_deref()).or_default().push(piece);
    }
    leave_own(&mut stems, &mut fates);
    leave_lone_indexes(&mut stems, &mut fates, named);
    let mut taken: BTreeMap<&str, Vec<&Piece>> = BTreeMap::new();
    for (stem, mut variants) in stems {
        let weights = |pieces: &Vec<&Piece>| pieces.iter().any(|piece| !piece.is_index);
        let main = if variants.get(&None).is_some_and(weights) {
            None
        } else {
            let with_weights: Vec<_> =
                variants.iter().filter(|(_, pieces)| weights(pieces)).map(|(name, _)| *name).collect();
            match with_weights.as_slice() {
                [] => continue_with_index(&variants, &mut fates),
                [only] => *only,
                [first, ..] if hints.any_variant => *first,
                _ => {
                    let sets = variants.values().filter(|pieces| weights(pieces));
                    return Outcome::Several(
                        sets.map(|pieces| pieces.iter().map(|piece| piece.at).collect()).collect(),
                    );
                }
            }
        };
        if let Some(pieces) = variants.remove(&main) {
            taken.insert(stem, pieces);
        }
        fates.extend(variants.values().flatten().map(|piece| (piece.at, Fate::OtherPrecision)));
    }
    if let Err(outcome) = across_stems(&mut taken, &mut fates, named, hints) {
        return outcome;
    }
    for pieces in taken.into_values() {
        if let Err(outcome) = within_stem(&pieces, &mut fates, named) {
            return outcome;
        }
    }
    Outcome::Decided(fates.into_iter().collect())
}

/// Gives each file that an index names a stem of its own, where their names would be variants of one set. `None` where they are not.
fn by_index(pieces: &[Piece], named: Option<&BTreeSet<usize>>) -> Option<Vec<Piece>> {
    let named = named?;
    let is_named = |piece: &&Piece| named.contains(&piece.at);
    let variants: BTreeSet<_> =
        pieces.iter().filter(is_named).map(|piece| (&piece.set.stem, &piece.set.variant)).collect();
    let stems: BTreeSet<_> = variants.iter().map(|(stem, _)| stem).collect();
    if variants.len() == stems.len() {
        return None;
    }
    let renamed = |piece: &Piece| {
        let mut piece = piece.clone();
        if let Some(variant) = piece.set.variant.take_if(|_| named.contains(&piece.at)) {
            piece.set.stem = format!("{}.{variant}", piece.set.stem);
        }
        piece
    };
    Some(pieces.iter().map(renamed).collect())
}

type Variants<'a> = BTreeMap<Option<&'a str>, Vec<&'a Piece>>;

fn weigh(variants: &Variants<'_>) -> u64 {
    variants.values().fold(0, |sum, pieces| sum.saturating_add(size(pieces)))
}

/// Leaves Mistral's own format beside that of Transformers: a main set, or one of half its size at the least.
fn leave_own(stems: &mut BTreeMap<&str, Variants<'_>>, fates: &mut BTreeMap<usize, Fate>) {
    let of_own = stems.iter().filter(|(stem, _)| is_own(stem)).map(|(_, variants)| weigh(variants)).max();
    let Some(of_own) = of_own else { return };
    let replaces =
        |stem: &str, variants: &Variants<'_>| MAIN.contains(&stem) || weigh(variants) >= of_own / 2;
    if stems.iter().any(|(stem, variants)| !is_own(stem) && replaces(stem, variants)) {
        for (_, variants) in stems.iter().filter(|(stem, _)| is_own(stem)) {
            fates.extend(variants.values().flatten().map(|piece| (piece.at, Fate::OtherFormat)));
        }
        stems.retain(|stem, _| !is_own(stem));
    }
}

/// Takes the stems away that have only an index, where others have weights: it goes with the files that it names, and is none of them.
fn leave_lone_indexes(
    stems: &mut BTreeMap<&str, Variants<'_>>,
    fates: &mut BTreeMap<usize, Fate>,
    named: Option<&BTreeSet<usize>>,
) {
    let is_index = |piece: &&Piece| piece.is_index;
    let is_lone = |variants: &Variants<'_>| variants.values().flatten().all(is_index);
    if stems.values().all(is_lone) {
        return;
    }
    let has_other = stems.values().any(|set| !is_lone(set) && set.values().flatten().any(is_index));
    let fate = if named.is_some() && !has_other { Fate::Taken } else { Fate::Superseded };
    for variants in stems.values().filter(|variants| is_lone(variants)) {
        fates.extend(variants.values().flatten().map(|piece| (piece.at, fate)));
    }
    stems.retain(|_, variants| !is_lone(variants));
}

/// An index without any weights of its stem goes with nothing.
fn continue_with_index<'a>(
    variants: &BTreeMap<Option<&'a str>, Vec<&Piece>>,
    fates: &mut BTreeMap<usize, Fate>,
) -> Option<&'a str> {
    fates.extend(variants.values().flatten().map(|piece| (piece.at, Fate::Superseded)));
    None
}

fn size(pieces: &[&Piece]) -> u64 {
    pieces.iter().filter(|piece| !piece.is_index).fold(0, |sum, piece| sum.saturating_add(piece.size))
}

/// Decides between sets of different stems.
fn across_stems(
    taken: &mut BTreeMap<&str, Vec<&Piece>>,
    fates: &mut BTreeMap<usize, Fate>,
    named: Option<&BTreeSet<usize>>,
    hints: Hints,
) -> Result<(), Outcome> {
    if taken.len() < 2 {
        return Ok(());
    }
    let is_named = |pieces: &Vec<&Piece>| {
        pieces.iter().any(|piece| named.is_some_and(|named| named.contains(&piece.at)))
    };
    let is_main = |stem: &str, pieces: &Vec<&Piece>| MAIN.contains(&stem) || is_own(stem) || is_named(pieces);
    let main: Vec<_> =
        taken.iter().filter(|(stem, pieces)| is_main(stem, pieces)).map(|(stem, _)| *stem).collect();
    if main.is_empty() {
        let plain = |stem: &&str| stem.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let without_digits: BTreeSet<_> = taken.keys().map(plain).collect();
        if hints.has_config || without_digits.len() == 1 {
            return Ok(());
        }
        return Err(Outcome::Several(
            taken.values().map(|pieces| pieces.iter().map(|piece| piece.at).collect()).collect(),
        ));
    }
    let of_named = taken
        .values()
        .filter(|pieces| is_named(pieces))
        .fold(0_u64, |sum, pieces| sum.saturating_add(size(pieces)));
    let largest = main.iter().map(|stem| size(&taken[stem])).max().unwrap_or_default().max(of_named);
    // What the index does not name and is as large, but for a tenth, has the same weights again; all else is a part.
    let is_as_large = |size: u64| {
        if hints.are_pickles {
            return size > largest / 2;
        }
        size > largest - largest / 10 && size < largest.saturating_add(largest / 10)
    };
    let is_again = |stem: &str, pieces: &Vec<&Piece>| {
        !is_main(stem, pieces) && is_as_large(size(pieces)) && !has_token(stem, "lora")
    };
    let again: Vec<_> =
        taken.iter().filter(|(stem, pieces)| is_again(stem, pieces)).map(|(stem, _)| *stem).collect();
    for stem in again {
        let pieces = taken.remove(stem).unwrap_or_default();
        fates.extend(pieces.iter().map(|piece| (piece.at, Fate::Superseded)));
    }
    Ok(())
}

/// Decides between one file and sets of several files of one stem.
fn within_stem(
    pieces: &[&Piece],
    fates: &mut BTreeMap<usize, Fate>,
    named: Option<&BTreeSet<usize>>,
) -> Result<(), Outcome> {
    let has_single = pieces.iter().any(|piece| !piece.is_index && piece.set.shard.is_none());
    if has_single {
        // An engine takes the one file where it finds one, and looks at no shards then. An index goes with shards, where there are any.
        let is_sharded = pieces.iter().any(|piece| piece.set.shard.is_some());
        let goes = |piece: &Piece| piece.set.shard.is_some() || (piece.is_index && is_sharded);
        let fate = |piece: &Piece| if goes(piece) { Fate::Superseded } else { Fate::Taken };
        fates.extend(pieces.iter().map(|piece| (piece.at, fate(piece))));
        return Ok(());
    }
    let mut counts: BTreeMap<u32, Vec<&Piece>> = BTreeMap::new();
    for piece in pieces.iter().filter(|piece| !piece.is_index) {
        counts.entry(piece.set.shard.map_or(0, |(_, count)| count)).or_default().push(piece);
    }
    let is_named = |pieces: &Vec<&Piece>| {
        named.is_some_and(|named| pieces.iter().any(|piece| named.contains(&piece.at)))
    };
    let is_whole = |(count, pieces): &(&u32, &Vec<&Piece>)| missing(pieces, **count).is_none();
    let wanted: Vec<u32> = if counts.values().any(is_named) {
        counts.iter().filter(|(_, pieces)| is_named(pieces)).map(|(count, _)| *count).collect()
    } else if counts.iter().any(|set| is_whole(&set)) {
        counts.iter().filter(is_whole).map(|(count, _)| *count).collect()
    } else {
        counts.keys().copied().collect()
    };
    if wanted.len() > 1 && !counts.values().any(is_named) {
        return Err(Outcome::Several(
            counts.values().map(|pieces| pieces.iter().map(|piece| piece.at).collect()).collect(),
        ));
    }
    for (count, pieces) in &counts {
        let is_wanted = wanted.contains(count);
        if let Some(number) = missing(pieces, *count).filter(|_| is_wanted && !is_named(pieces)) {
            let of = pieces.first().map(|piece| piece.at).unwrap_or_default();
            return Err(Outcome::Missing { of, number, count: *count });
        }
        let fate = if is_wanted { Fate::Taken } else { Fate::Superseded };
        fates.extend(pieces.iter().map(|piece| (piece.at, fate)));
    }
    fates.extend(pieces.iter().filter(|piece| piece.is_index).map(|piece| (piece.at, Fate::Taken)));
    Ok(())
}

/// Returns the first number that a set lacks. Some sets count from 0, and some name one file less than they have.
fn missing(pieces: &[&Piece], count: u32) -> Option<u32> {
    let numbers: BTreeSet<u32> = pieces.iter().filter_map(|piece| Some(piece.set.shard?.0)).collect();
    if numbers.len() as u64 >= u64::from(count) {
        return None;
    }
    let first = u32::from(!numbers.contains(&0));
    (first..=count).find(|number| !numbers.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sets() {
        let check = |name: &str, stem: &str, variant: Option<&str>, shard: Option<(u32, u32)>| {
            let set = SetName::parse(name, Format::Safetensors);
            assert_eq!(
                (set.stem.as_str(), set.variant.as_deref(), set.shard),
                (stem, variant, shard),
                "{name}"
            );
        };
        check("model.safetensors", "model", None, None);
        check("model-1-of-61.safetensors", "model", None, Some((1, 61)));
        check("model-00001-of-000163.safetensors", "model", None, Some((1, 163)));
        check("model.fp32-00001-of-00002.safetensors", "model", Some("fp32"), Some((1, 2)));
        check("model-00001-of-00002.fp16.safetensors", "model", Some("fp16"), Some((1, 2)));
        check(
            "diffusion_pytorch_model.non_ema.safetensors",
            "diffusion_pytorch_model",
            Some("non_ema"),
            None,
        );
        check("gptq_model-4bit-128g.safetensors", "gptq_model-4bit-128g", None, None);
        check("t5xxl_fp8_e4m3fn.safetensors", "t5xxl_fp8_e4m3fn", None, None);
        check("sd3_fp16.safetensors", "sd3", Some("fp16"), None);
        check("model.safetensors.index.json", "model", None, None);
        check("model.safetensors.index.fp32.json", "model", Some("fp32"), None);
    }
}
