//! Core ML alone: a package is a folder that is one model, and several packages beside each other may be its parts.

use std::collections::{BTreeMap, BTreeSet};

use provisioner_core::{FetchError, LeftOutReason, RelativePath, Role};

use super::nested;
use crate::{
    names::{Format, Kind, ml_package, split},
    question::{Question, is_training},
    refusal,
    scope::{Decided, Scope, Verdict, always_out, plain_role},
};

/// What the names of parts have in them. Packages of other names are other models.
const PARTS: [&str; 16] = [
    "encoder",
    "decoder",
    "spectrogram",
    "unet",
    "vae",
    "safety",
    "vision",
    "image",
    "text",
    "embed",
    "joiner",
    "joint",
    "prefill",
    "head",
    "chunk",
    "preprocess",
];

/// A package, or a model in one file: where it is in the scope, and the numbers of its files.
struct Package<'a> {
    /// The folder of the package with its slash, or the path of the file.
    root: &'a str,
    files: Vec<usize>,
}

impl Package<'_> {
    /// Returns the folder in which the package lies, with its slash.
    fn home(&self) -> &str {
        split(self.root.trim_end_matches('/')).0
    }

    /// Returns the name in lower case, without what says that it is a package.
    fn name(&self) -> String {
        let name = split(self.root.trim_end_matches('/')).1.to_ascii_lowercase();
        name.split_once(".ml").map_or(name.as_str(), |(name, _)| name).to_owned()
    }

    fn is_compiled(&self) -> bool {
        self.root.to_ascii_lowercase().contains(".mlmodelc")
    }
}

/// Takes the only package, or those that are parts of one model, with the small files beside them.
pub(crate) fn decide(question: &Question<'_>) -> Result<Decided, FetchError> {
    let scope = question.scope;
    if ml_package(&scope.folder.to_ascii_lowercase()).is_some() {
        let verdict = |kind| match always_out(kind) {
            Some(reason) => Verdict::Leave(reason),
            None => Verdict::Take(Role::Weights),
        };
        return Ok(Decided::new(scope.files.iter().map(|file| verdict(file.kind)).collect()));
    }
    let all = packages(scope);
    let homes: BTreeSet<&str> = all.iter().map(Package::home).collect();
    let home = match homes.first() {
        None => return Err(refusal::no_weights(question.repo, false)),
        Some(first) if homes.len() == 1 || first.is_empty() => *first,
        Some(_) => return Err(several_homes(question, &all)),
    };
    let (own, others): (Vec<_>, Vec<_>) = all.iter().partition(|package| package.home() == home);
    let taken = parts(question, home, &own)?;
    let reason = |package: &Package<'_>| {
        let is_again = taken.iter().any(|taken| taken.name() == package.name());
        if is_again { LeftOutReason::OtherFormat } else { LeftOutReason::OtherPrecision }
    };
    let mut of_package: BTreeMap<usize, Verdict> = BTreeMap::new();
    for package in &own {
        let is_taken = taken.iter().any(|taken| taken.root == package.root);
        let verdict = if is_taken { Verdict::Take(Role::Weights) } else { Verdict::Leave(reason(package)) };
        of_package.extend(package.files.iter().map(|at| (*at, verdict)));
    }
    let other = Verdict::Leave(LeftOutReason::OtherVariant);
    of_package.extend(others.iter().flat_map(|package| &package.files).map(|at| (*at, other)));
    let verdict = |at: usize| {
        let file = &scope.files[at];
        let is_near = file.folder().is_empty() || file.folder().starts_with(home);
        match (of_package.get(&at), file.kind) {
            (Some(verdict), _) => *verdict,
            (None, kind) if always_out(kind).is_some() => {
                Verdict::Leave(always_out(kind).unwrap_or(LeftOutReason::NotAsked))
            }
            (None, Kind::Script) => Verdict::Leave(LeftOutReason::Script),
            (None, Kind::Weights(_) | Kind::Index(_)) => Verdict::Leave(LeftOutReason::OtherFormat),
            (None, _) if !is_near => Verdict::Leave(LeftOutReason::NotAsked),
            (None, kind) => Verdict::Take(plain_role(kind)),
        }
    };
    let verdicts = (0..scope.files.len()).map(verdict).collect();
    let inner = match taken.as_slice() {
        [only] if only.root.ends_with('/') && !has_config(scope, home) => only.root,
        _ => home,
    };
    let inner = Some(inner.to_owned()).filter(|folder| !folder.is_empty());
    Ok(Decided { inner, ..Decided::new(verdicts) })
}

/// Returns the packages of a scope, in the order of their names.
fn packages<'a>(scope: &Scope<'a>) -> Vec<Package<'a>> {
    let mut found: Vec<Package<'a>> = Vec::new();
    for (at, file) in scope.files.iter().enumerate() {
        if !file.is_weights(Format::CoreMl) || is_training(file.folder()) {
            continue;
        }
        let root = ml_package(&file.lower).map_or(file.rel, |root| &file.rel[..root.len()]);
        // The files are in the order of their paths.
        match found.last_mut().filter(|last| last.root == root) {
            Some(last) => last.files.push(at),
            None => found.push(Package { root, files: vec![at] }),
        }
    }
    found
}

fn has_config(scope: &Scope<'_>, home: &str) -> bool {
    scope.find(&format!("{home}config.json")).is_some()
}

/// Returns the packages of one folder that are the model: the only one, or its parts, each in the main precision.
fn parts<'b, 'a>(
    question: &Question<'_>,
    home: &str,
    own: &[&'b Package<'a>],
) -> Result<Vec<&'b Package<'a>>, FetchError> {
    // A compiled package is loaded as it is.
    let mut by_name: BTreeMap<String, &Package<'_>> = BTreeMap::new();
    for package in own {
        let first = by_name.entry(package.name()).or_insert(package);
        if package.is_compiled() && !first.is_compiled() {
            *first = package;
        }
    }
    let mut by_stem: BTreeMap<&str, Vec<(&str, &Package<'_>)>> = BTreeMap::new();
    for (name, package) in &by_name {
        by_stem.entry(without_precision(name)).or_default().push((name, package));
    }
    let mut taken = Vec::new();
    for (stem, variants) in &by_stem {
        match variants
            .iter()
            .find(|(name, _)| name == stem)
            .or(variants.first().filter(|_| variants.len() == 1))
        {
            Some((_, package)) => taken.push(*package),
            None => return Err(several(question, own)),
        }
    }
    let is_part = |package: &&Package<'_>| PARTS.iter().any(|part| package.name().contains(part));
    if taken.len() < 2 || has_config(question.scope, home) || taken.iter().all(is_part) {
        Ok(taken)
    } else {
        Err(several(question, own))
    }
}

/// Returns a name in lower case without the words for a precision at its end, such as `F16P6` or `_8bit`.
fn without_precision(name: &str) -> &str {
    const WORDS: [&str; 6] = ["float", "fp", "bf", "int", "f", "p"];
    let is_digit = |c: char| c.is_ascii_digit();
    let strip = |letters: &'_ str, word: &str| {
        let before = letters.strip_suffix(word)?;
        (word != "p" || before.ends_with(is_digit)).then_some(before.len())
    };
    let mut rest = name;
    loop {
        let numbered = rest.strip_suffix("bit").unwrap_or(rest);
        let letters = numbered.trim_end_matches(is_digit);
        let end = if numbered.len() < rest.len() {
            Some(letters.len())
        } else {
            WORDS.iter().find_map(|word| strip(letters, word))
        };
        match end.filter(|end| *end > 0 && letters.len() < numbered.len()) {
            Some(end) => rest = rest[..end].trim_end_matches(['_', '-', '.']),
            None => return rest,
        }
    }
}

/// Returns the error of packages that no rule tells apart.
fn several(question: &Question<'_>, packages: &[&Package<'_>]) -> FetchError {
    let scope = question.scope;
    let choice = |package: &&Package<'_>| {
        let path = RelativePath::new(scope.full(package.root.trim_end_matches('/'))).ok()?;
        Some((path, scope.size(package.files.iter().copied())))
    };
    let choices: Vec<_> = packages.iter().filter_map(choice).collect();
    refusal::several_models(question.repo, &choices)
}

/// Returns the error of folders with packages.
fn several_homes(question: &Question<'_>, packages: &[Package<'_>]) -> FetchError {
    let mut homes: BTreeMap<String, u64> = BTreeMap::new();
    for package in packages {
        let size = homes.entry(package.home().to_owned()).or_default();
        *size = size.saturating_add(question.scope.size(package.files.iter().copied()));
    }
    nested::several(question, &homes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_at_the_end_of_a_name() {
        let check = |name: &str, expected: &str| assert_eq!(without_precision(name), expected, "{name}");
        check("depthanythingv2smallf16", "depthanythingv2small");
        check("depthanythingv2smallf16p6", "depthanythingv2small");
        check("model_int8", "model");
        check("model-4bit", "model");
        check("unetchunk1", "unetchunk1");
        check("textdecoder", "textdecoder");
        check("f16", "f16");
        check("clip1", "clip1");
    }
}
