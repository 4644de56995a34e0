//! The modules of a crate, and which file imports which.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::parse::{Block, Use, parse};

/// The text of each file of a repository, by its path.
pub(crate) type Tree = BTreeMap<PathBuf, String>;

/// One file imports another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) line: usize,
    /// What it imports, as it is written.
    pub(crate) path: String,
}

/// Finds the root file of every crate among some files: libraries, commands, tests, examples and benchmarks.
pub(crate) fn roots(tree: &Tree) -> Vec<PathBuf> {
    let is_root = |path: &&PathBuf| {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match parts.as_slice() {
            [.., "src", "lib.rs" | "main.rs"] | [.., "src", "bin", _] => true,
            _ if parts.contains(&"src") => false,
            [.., "tests" | "examples" | "benches" | "targets", _]
            | [.., "tests" | "examples" | "benches", _, "main.rs"] => true,
            _ => false,
        }
    };
    tree.keys().filter(is_root).cloned().collect()
}

/// A module, with what it declares.
#[derive(Debug)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// The modules whose files an attribute `#[path]` names: they lie outside of the crate's folder, and import nothing of it.
    elsewhere: BTreeSet<String>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    paths: Vec<Use>,
}

/// A crate: its modules, the root first.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    modules: Vec<Module>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Module(usize),
    /// An item that this module declares.
    ItemOf(usize),
    /// Something of another crate.
    Outside,
}

impl Crate {
    /// Reads a crate from its root file on.
    pub(crate) fn read(tree: &Tree, root: &Path) -> Self {
        let mut all = Self::default();
        let folder = root.parent().map(Path::to_owned).unwrap_or_default();
        all.file(tree, root, &folder, None);
        all
    }

    fn file(&mut self, tree: &Tree, file: &Path, folder: &Path, parent: Option<usize>) -> Option<usize> {
        let block = parse(tree.get(file)?);
        Some(self.block(tree, block, file, folder, parent))
    }

    fn block(
        &mut self,
        tree: &Tree,
        block: Block,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> usize {
        let Block { items, files, blocks, uses, paths } = block;
        let number = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            items,
            uses,
            paths,
        });
        for (name, inner) in blocks {
            let child = self.block(tree, inner, file, &folder.join(&name), Some(number));
            self.modules[number].children.insert(name, child);
        }
        for name in files {
            let beside = folder.join(format!("{name}.rs"));
            let inside = folder.join(&name).join("mod.rs");
            let child = if tree.contains_key(&beside) { beside } else { inside };
            match self.file(tree, &child, &folder.join(&name), Some(number)) {
                Some(child) => drop(self.modules[number].children.insert(name, child)),
                None => drop(self.modules[number].elsewhere.insert(name)),
            }
        }
        number
    }

    /// Lists which file imports which, over `use` lines and the paths in the code.
    ///
    /// An import leads to the file that declares the item, by whichever module it is re-exported: that is what the importing file
    /// needs. A `mod` line imports nothing.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (number, module) in self.modules.iter().enumerate() {
            for one in module.uses.iter().chain(&module.paths) {
                let to = match self.find(number, &one.path, &mut BTreeSet::new()) {
                    Target::Module(to) | Target::ItemOf(to) => &self.modules[to].file,
                    Target::Outside => continue,
                };
                if *to != module.file {
                    let (from, to, path) = (module.file.clone(), to.clone(), one.path.join("::"));
                    imports.insert(Import { from, to, line: one.line, path });
                }
            }
        }
        imports
    }

    /// Follows a path from a module on.
    fn find(&self, from: usize, path: &[String], seen: &mut BTreeSet<(usize, String)>) -> Target {
        let Some((first, mut rest)) = path.split_first() else { return Target::Module(from) };
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent.unwrap_or(0),
            // A name of this module, or that of another crate.
            name => match self.name(from, name, seen) {
                Some(Target::Module(at)) => at,
                Some(other) => return other,
                None => return Target::Outside,
            },
        };
        while let Some((name, after)) = rest.split_first() {
            at = match name.as_str() {
                "super" => self.modules[at].parent.unwrap_or(0),
                name => match self.name(at, name, seen) {
                    Some(Target::Module(next)) => next,
                    Some(other) => return other,
                    // What a macro makes stands in no line.
                    None if self.takes_all_of_another_crate(at) => return Target::Outside,
                    None => return Target::ItemOf(at),
                },
            };
            rest = after;
        }
        Target::Module(at)
    }

    /// Looks a name up in a module: its modules, its items, and what its `use` lines bring in.
    fn name(&self, at: usize, name: &str, seen: &mut BTreeSet<(usize, String)>) -> Option<Target> {
        let module = &self.modules[at];
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        if module.elsewhere.contains(name) {
            return Some(Target::Outside);
        }
        if module.items.contains(name) {
            return Some(Target::ItemOf(at));
        }
        if !seen.insert((at, name.to_owned())) {
            return None;
        }
        let named = module.uses.iter().find(|one| one.name.as_deref() == Some(name));
        if let Some(one) = named.filter(|one| one.path != [name]) {
            return Some(self.find(at, &one.path, seen));
        }
        for all in module.uses.iter().filter(|one| one.name.is_none()) {
            if let Target::Module(other) = self.find(at, &all.path, seen)
                && let Some(found) = self.name(other, name, seen)
            {
                return Some(found);
            }
        }
        None
    }

    fn takes_all_of_another_crate(&self, at: usize) -> bool {
        let all = self.modules[at].uses.iter().filter(|one| one.name.is_none());
        all.into_iter().any(|one| matches!(self.find(at, &one.path, &mut BTreeSet::new()), Target::Outside))
    }
}
