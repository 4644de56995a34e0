//! The rules, each as a function from the sources to what breaks it, in lines for a reader.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::modules::{Crate, Import, Tree, roots};

/// Finds the circles of every crate: sets of files of which each imports, over some others, each other one. For each it names
/// the files, and the first line by which one of them imports another one.
pub(crate) fn circles(tree: &Tree) -> Vec<String> {
    let all = roots(tree).into_iter().flat_map(|root| {
        let imports = Crate::read(tree, &root).imports();
        let knots = knots(&imports);
        knots.into_iter().map(move |knot| tell(&root, &knot, &imports)).collect::<Vec<_>>()
    });
    all.collect()
}

/// The sets of files that import each other in a circle.
fn knots(imports: &BTreeSet<Import>) -> Vec<BTreeSet<PathBuf>> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reach: BTreeMap<&Path, BTreeSet<&Path>> =
        next.keys().map(|from| (*from, reached(from, &next))).collect();
    let mut knots = BTreeSet::new();
    for (from, reached) in &reach {
        let is_mutual = |to: &&&Path| reach.get(**to).is_some_and(|back| back.contains(from));
        let knot: BTreeSet<PathBuf> = reached.iter().filter(is_mutual).map(|to| to.to_path_buf()).collect();
        if !knot.is_empty() {
            knots.insert(knot);
        }
    }
    knots.into_iter().collect()
}

fn reached<'a>(from: &Path, next: &BTreeMap<&'a Path, BTreeSet<&'a Path>>) -> BTreeSet<&'a Path> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for to in next.get(at).into_iter().flatten() {
            if found.insert(*to) {
                open.push(to);
            }
        }
    }
    found
}

fn tell(root: &Path, knot: &BTreeSet<PathBuf>, imports: &BTreeSet<Import>) -> String {
    let names: Vec<_> = knot.iter().map(|file| file.display().to_string()).collect();
    let mut lines =
        vec![format!("{}: {} files in a circle: {}", root.display(), knot.len(), names.join(", "))];
    let within = imports.iter().filter(|import| knot.contains(&import.from) && knot.contains(&import.to));
    let mut told = BTreeSet::new();
    let first = within.filter(|import| told.insert((&import.from, &import.to)));
    lines.extend(first.map(|Import { from, to, line, path }| {
        format!("    {}:{line} imports {} (`{path}`)", from.display(), to.display())
    }));
    lines.join("\n")
}

/// Finds imports from an earlier step into a later one, in a crate whose folder is given. Steps that do not exist are passed over.
pub(crate) fn backward(tree: &Tree, folder: &Path, steps: &[&str]) -> Vec<String> {
    let step = |file: &Path| {
        let first = file.strip_prefix(folder).ok()?.iter().next()?.to_string_lossy().into_owned();
        steps.iter().position(|step| *step == first.trim_end_matches(".rs"))
    };
    let imports = Crate::read(tree, &folder.join("lib.rs")).imports();
    let backward = imports
        .iter()
        .filter(|import| step(&import.from).zip(step(&import.to)).is_some_and(|(from, to)| from < to));
    let told = backward.map(|Import { from, to, line, path }| {
        format!("{}:{line} imports {} of a later step (`{path}`)", from.display(), to.display())
    });
    told.collect()
}

/// Finds files of more lines than that.
pub(crate) fn too_long(tree: &Tree, most: usize) -> Vec<String> {
    let counts =
        tree.iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, count)| *count > most);
    counts.map(|(path, count)| format!("{} has {count} lines", path.display())).collect()
}

/// Finds `impl` blocks of a type in files that do not declare it.
pub(crate) fn strewn(tree: &Tree, folder: &Path, name: &str) -> Vec<String> {
    let has = |text: &str, starts: &[String]| {
        let code = testkit::sources::Source::of(text).code;
        let is_it = |line: &str| {
            let rest = starts.iter().find_map(|start| line.strip_prefix(start.as_str()));
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
        };
        code.lines().map(str::trim_start).any(is_it)
    };
    let impls = [format!("impl {name}")];
    let declarations = [format!("pub struct {name}"), format!("struct {name}")];
    let strewn = tree
        .iter()
        .filter(|(path, text)| path.starts_with(folder) && has(text, &impls) && !has(text, &declarations));
    strewn.map(|(path, _)| format!("{} has an `impl {name}`", path.display())).collect()
}
