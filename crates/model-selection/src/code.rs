//! Takes the programs that a repository's configurations name, and those that they import.

use std::{borrow::Cow, collections::BTreeSet};

use provisioner_core::{NAMING_CODE, Notice, ProgramCode, ProgramFolder};

use crate::{
    manifests::Manifests,
    names::{self, Kind},
    scope::Scope,
};

/// The endings of what a program may compile when it runs.
const SOURCES: [&str; 6] = ["c", "cc", "cpp", "cu", "cuh", "h"];

/// Holds the programs of a model.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// The numbers of the files in the scope.
    pub(crate) files: BTreeSet<usize>,
    /// The repositories that have more of it.
    elsewhere: BTreeSet<String>,
}

impl Code {
    /// Returns what a person should know of these programs. `None` where there are none.
    pub(crate) fn notice(&self, scope: &Scope<'_>) -> Option<Notice> {
        if self.files.is_empty() && self.elsewhere.is_empty() {
            return None;
        }
        let files = self.files.iter().map(|at| scope.files[*at].path.to_string()).collect();
        Some(Notice::RemoteCode { files, elsewhere: self.elsewhere.iter().cloned().collect() })
    }
}

/// Returns the programs of a scope: those that the configurations at its top and in some folders name, each with its slash.
pub(crate) fn of(scope: &Scope<'_>, manifests: &Manifests, folders: &BTreeSet<String>) -> Code {
    let top = String::new();
    let folders = [&top].into_iter().chain(folders);
    let configs: Vec<_> =
        folders.flat_map(|folder| NAMING_CODE.map(|name| format!("{folder}{name}"))).collect();
    let found = ProgramCode::of(&Files { scope, manifests }, configs.iter().map(String::as_str));
    let mut files: BTreeSet<usize> = found.files.iter().filter_map(|path| scope.find(path)).collect();
    if !files.is_empty() {
        let is_source = |at: &usize| {
            let file = &scope.files[*at];
            file.kind == Kind::Script && SOURCES.contains(&names::ending(file.name()))
        };
        files.extend((0..scope.files.len()).filter(is_source));
    }
    Code { files, elsewhere: found.elsewhere }
}

/// Shows the files of a scope, as far as the fetcher read them.
#[derive(Debug)]
struct Files<'a> {
    scope: &'a Scope<'a>,
    manifests: &'a Manifests,
}

impl ProgramFolder for Files<'_> {
    fn has(&self, path: &str) -> bool {
        self.scope.find(path).is_some()
    }

    fn names_at_top(&self) -> Vec<&str> {
        self.scope.files.iter().filter(|file| file.folder().is_empty()).map(|file| file.rel).collect()
    }

    fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.manifests.text(&self.scope.full(path)).map(Cow::Borrowed)
    }
}
