//! Finds the quantization that a person names in the names of files.
//!
//! A quantization matches whole words, in any letter case: between `-`, `.`, `_`, `/`, spaces and the ends of a name. An underscore is an
//! edge only where the word of a quantization does not go on behind it: `Q4_K` is not in `m-Q4_K_M`.

use crate::names::split;

/// Says how well a name fits. The first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// The name of the file has it.
    Name,
    /// A folder above the file has it.
    Folder,
    /// The name has it as a part of another quantization that people call the same: `UD-Q4_K_M` for `Q4_K_M`.
    Dynamic,
    /// The name has a quantization that begins with it, as `Q8_0` does with `Q8`; or spells it otherwise, as `FP16` does `F16`.
    Alike,
}

/// Returns how well a path without its ending fits a quantization in upper case. `None` where it does not.
pub(crate) fn fit(path: &str, quantization: &str) -> Option<Fit> {
    let path = path.to_ascii_uppercase();
    let (folder, name) = split(&path);
    let other = match quantization {
        "F16" => "FP16",
        "FP16" => "F16",
        "F32" => "FP32",
        "FP32" => "F32",
        other => other,
    };
    match (best(name, quantization), best(folder, quantization)) {
        (Some(Found::Whole), _) => Some(Fit::Name),
        (_, Some(Found::Whole)) => Some(Fit::Folder),
        (Some(Found::Dynamic), _) | (_, Some(Found::Dynamic)) => Some(Fit::Dynamic),
        (Some(Found::Begun), _) => Some(Fit::Alike),
        _ if other != quantization && best(name, other) == Some(Found::Whole) => Some(Fit::Alike),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Whole,
    Dynamic,
    Begun,
}

fn best(text: &str, quantization: &str) -> Option<Found> {
    text.match_indices(quantization)
        .filter_map(|(at, found)| {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            if !begins(before) || !(after.is_empty() || after.starts_with(EDGES)) {
                return None;
            }
            Some(if goes_on(after) {
                Found::Begun
            } else if is_dynamic(before) {
                Found::Dynamic
            } else {
                Found::Whole
            })
        })
        .min()
}

const EDGES: [char; 5] = ['-', '.', '_', '/', ' '];

/// Returns whether a word may begin behind this text. Inside of a quantization, none does.
fn begins(before: &str) -> bool {
    match before.strip_suffix('_') {
        Some(before) => {
            let word = before.rsplit(EDGES).next().unwrap_or_default();
            !is_quantized(word) && !is_suffix(word)
        }
        None => before.is_empty() || before.ends_with(EDGES),
    }
}

/// Returns whether a word begins a quantization: `Q4`, `IQ4`, `TQ1`.
fn is_quantized(word: &str) -> bool {
    let digits = word.trim_start_matches(['I', 'T']).strip_prefix('Q').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Returns whether a word goes on with a quantization behind an underscore.
fn is_suffix(word: &str) -> bool {
    const WORDS: [&str; 18] = [
        "K", "S", "M", "L", "XS", "XXS", "XL", "XXL", "NL", "R4", "R8", "KS", "KL", "KT", "KV", "KSS",
        "SMALL", "MED",
    ];
    WORDS.contains(&word) || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()))
}

fn goes_on(after: &str) -> bool {
    after.strip_prefix('_').is_some_and(|rest| is_suffix(rest.split(EDGES).next().unwrap_or_default()))
}

/// Returns whether the word before says that the layers have quantizations of their own.
fn is_dynamic(before: &str) -> bool {
    before.strip_suffix(['-', '_']).is_some_and(|before| before.rsplit(EDGES).next() == Some("UD"))
}

/// Returns how many bits a name states for each weight: the number of its last word that is a quantization or a precision.
pub(crate) fn bits(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    let number = |word: &str| {
        let digits = word
            .trim_start_matches(['I', 'T'])
            .strip_prefix('Q')
            .or(word.strip_prefix("BF"))
            .or(word.strip_prefix("FP"));
        let digits = digits.or(word.strip_prefix('F')).or(word.strip_prefix("MXFP"))?;
        digits.parse().ok().filter(|bits| *bits <= 64)
    };
    name.split(EDGES).filter_map(number).next_back()
}

/// Returns the quantization that the end of a name states, such as `Q4_K_M`, in upper case.
pub(crate) fn stated(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let last = name.rsplit(['-', '.', ' ']).next()?;
    bits(last).map(|_| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_in_any_letter_case() {
        let check = |path: &str, quantization: &str, expected: Option<Fit>| {
            assert_eq!(fit(path, quantization), expected, "{quantization} in {path}");
        };
        check("m-Q4_K_M", "Q4_K_M", Some(Fit::Name));
        check("phi_mini_q4_k_m", "Q4_K_M", Some(Fit::Name));
        check("m.i1-Q4_K_M", "Q4_K_M", Some(Fit::Name));
        check("m-UD-Q4_K_M", "Q4_K_M", Some(Fit::Dynamic));
        check("m-UD-Q4_K_M", "UD-Q4_K_M", Some(Fit::Name));
        check("UD-Q4_K_XL/m-UD-Q4_K_XL", "UD-Q4_K_XL", Some(Fit::Name));
        check("Q8_0/m", "Q8_0", Some(Fit::Folder));
        check("A-IQ4_XS", "Q4_XS", None);
        check("A-IQ4_XS", "XS", None);
        check("m-Q4_K_M", "K_M", None);
        check("m-Q4_K_M", "Q4_K", Some(Fit::Alike));
        check("m-Q4_0_4_4", "Q4_0", Some(Fit::Alike));
        check("Lexi_V2_Q8", "Q8", Some(Fit::Name));
        check("Lexi_Q8_0", "Q8", Some(Fit::Alike));
        check("phi_fp16", "FP16", Some(Fit::Name));
        check("phi_fp16", "F16", Some(Fit::Alike));
        check("m-BF16", "F16", None);
        check("m-q4_0-it", "Q4_0", Some(Fit::Name));
        check("Q4_K_M", "Q4_K_M", Some(Fit::Name));
    }

    #[test]
    fn bits_of_names() {
        assert_eq!(bits("mmproj-BF16"), Some(16));
        assert_eq!(bits("m-Q4_K_M"), Some(4));
        assert_eq!(bits("m-IQ2_XXS"), Some(2));
        assert_eq!(bits("mmproj-model"), None);
        assert_eq!(stated("Qwen-7B-mmproj-Q8_0").as_deref(), Some("Q8_0"));
    }
}
