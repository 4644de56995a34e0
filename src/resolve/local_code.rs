//! Finds the program code of a local folder, by the rule that chooses it in a repository, for a policy that denies it. The folder is
//! the caller's, so nothing is left out of it: the policy denies the model.
//!
//! Every file of JSON in the folder may be a configuration. One with the name of a configuration that cannot be read may name any
//! program beside it or below it.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use provisioner_core::{
    CatalogRecord, Entry, Manifest, ModelRef, NAMING_CODE, ProgramCode, ProgramFolder, Question, RelativePath,
};

use crate::{context::Context, error::Result};

/// The largest number of bytes of a file that this reads.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The largest number of bytes of all files of a folder that this reads.
const MAX_FOLDER_BYTES: u64 = 64 << 20;

/// Fails where the policy denies program code of a listed local folder. It may block.
pub(crate) fn check_listed(ctx: &Context, reference: &ModelRef, manifest: &Manifest) -> Result<()> {
    match reference {
        ModelRef::Local(local) if *manifest.entry() == Entry::Folder => {
            check(ctx, local.path(), manifest.files().iter().map(|file| &file.path))
        }
        _ => Ok(()),
    }
}

/// Fails where the policy denies program code of a recorded local folder. It may block.
pub(crate) fn check_recorded(ctx: &Context, record: &CatalogRecord) -> Result<()> {
    if record.entry.is_some() || ctx.store.holds(record.root()) {
        return Ok(());
    }
    check(ctx, record.root(), record.files.iter().map(|file| &file.path))
}

/// Fails where the policy denies program code of a folder. `names` are the files of the folder. It may block.
fn check<'a>(ctx: &Context, root: &Path, names: impl Iterator<Item = &'a RelativePath>) -> Result<()> {
    let folder = LocalFolder::new(root, names);
    // Most policies have no such rule, and no file needs to be read then.
    let Some(path) = folder.programs().next() else { return Ok(()) };
    if ctx.ask(&Question::RemoteCode { path }).is_ok() {
        return Ok(());
    }
    programs(&folder).iter().try_for_each(|path| ctx.ask(&Question::RemoteCode { path }))
}

/// Returns the programs that an engine may load, in the order of their paths.
fn programs(folder: &LocalFolder<'_>) -> BTreeSet<String> {
    let mut code = ProgramCode::of(folder, folder.configs());
    for config in code.unread.iter().filter(|path| is_config(path)) {
        let below = config.rfind('/').map_or("", |slash| &config[..=slash]);
        code.files.extend(folder.programs().filter(|path| path.starts_with(below)).map(str::to_owned));
    }
    code.files
}

/// Returns whether a file has the name of a configuration that engines read.
fn is_config(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    NAMING_CODE.contains(&name) || ["modules.json", "model_index.json"].contains(&name)
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

/// Reads files of a folder, within the limits.
#[derive(Debug)]
struct LocalFolder<'a> {
    root: PathBuf,
    names: BTreeSet<&'a str>,
    /// How many bytes may still be read.
    left: Cell<u64>,
}

impl<'a> LocalFolder<'a> {
    fn new(root: &Path, names: impl Iterator<Item = &'a RelativePath>) -> Self {
        let names = names.map(RelativePath::as_str).collect();
        Self { root: root.to_owned(), names, left: Cell::new(MAX_FOLDER_BYTES) }
    }

    fn programs(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied().filter(|name| has_ending(name, "py"))
    }

    /// Returns the files that may be configurations, those first whose names say so.
    fn configs(&self) -> Vec<&'a str> {
        let of_json = self.names.iter().copied().filter(|name| has_ending(name, "json"));
        let (known, others): (Vec<_>, Vec<_>) = of_json.partition(|name| is_config(name));
        [known, others].concat()
    }
}

impl ProgramFolder for LocalFolder<'_> {
    fn has(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    fn names_at_top(&self) -> Vec<&str> {
        self.names.iter().copied().filter(|name| !name.contains('/')).collect()
    }

    fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        let limit = self.left.get().min(MAX_FILE_BYTES);
        let bytes = durable_fs::read_regular(&self.root.join(path), limit).ok()?;
        self.left.set(self.left.get().saturating_sub(bytes.len() as u64));
        String::from_utf8(bytes).ok().map(Cow::Owned)
    }
}
