//! Finds the program code that the configuration of a local folder names, for a policy that denies it. The folder is the caller's, so
//! nothing is left out of it: the policy denies the model.

use std::{io::Read, path::Path};

use provisioner_core::{CatalogRecord, Entry, Manifest, ModelRef, Question, RelativePath};
use serde_json::Value;

use crate::{context::Context, error::Result};

/// The largest number of bytes of a configuration that this looks into.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Fails where the policy denies program code of a listed local folder. It may block.
pub(crate) fn check_listed(ctx: &Context, reference: &ModelRef, manifest: &Manifest) -> Result<()> {
    match reference {
        ModelRef::Local(local) if *manifest.entry() == Entry::Folder => {
            let names: Vec<_> = manifest.files().iter().map(|file| &file.path).collect();
            check(ctx, local.path(), &names)
        }
        _ => Ok(()),
    }
}

/// Fails where the policy denies program code of a recorded local folder. It may block.
pub(crate) fn check_recorded(ctx: &Context, record: &CatalogRecord) -> Result<()> {
    if record.entry.is_some() || ctx.store.holds(record.root()) {
        return Ok(());
    }
    let names: Vec<_> = record.files.iter().map(|file| &file.path).collect();
    check(ctx, record.root(), &names)
}

/// Fails where the policy denies program code that a configuration in a folder names. `names` are the files of the folder. It may
/// block.
fn check(ctx: &Context, folder: &Path, names: &[&RelativePath]) -> Result<()> {
    let programs = || names.iter().map(|name| name.as_str()).filter(|name| has_ending(name, "py"));
    // Most policies have no such rule, and no file needs to be read then.
    let Some(path) = programs().next() else { return Ok(()) };
    if ctx.ask(&Question::RemoteCode { path }).is_ok() {
        return Ok(());
    }
    let is_config = |name: &&&RelativePath| has_ending(name.as_str(), "json");
    for config in names.iter().filter(is_config) {
        for module in modules(&folder.join(config)) {
            let below = config.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = if below.is_empty() { module } else { format!("{below}/{module}") };
            if programs().any(|program| program == path) {
                ctx.ask(&Question::RemoteCode { path: &path })?;
            }
        }
    }
    Ok(())
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

/// Returns the files of the classes that the `auto_map` of a configuration names. A file that is not such a configuration names none.
fn modules(path: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let read = fs_err::File::open(path).and_then(|file| file.take(MAX_CONFIG_BYTES).read_to_end(&mut bytes));
    let config = read.ok().and_then(|_| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(Value::Object(map)) = config.as_ref().and_then(|config| config.get("auto_map")) else {
        return Vec::new();
    };
    let classes = map.values().flat_map(|value| match value {
        Value::Array(several) => several.iter().collect::<Vec<_>>(),
        one => vec![one],
    });
    let module = |class: &Value| {
        let (module, _) = class.as_str()?.rsplit_once('.')?;
        Some(format!("{}.py", module.replace('.', "/")))
    };
    classes.filter_map(module).collect()
}
