//! Finds the programs that a repository's configuration names, and those that they import.

use std::collections::{BTreeSet, VecDeque};

use provisioner_core::ModelRef;
use serde_json::Value;

use crate::{
    manifests::Manifests,
    names::{self, Kind, split},
    scope::Scope,
};

/// The configurations that may name classes of the repository's own.
const CONFIGS: [&str; 7] = [
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "image_processor_config.json",
    "adapter_config.json",
];

/// The beginnings of the names that Transformers gives to programs of a model, where no configuration was read.
const USUAL: [&str; 6] = [
    "modeling_",
    "configuration_",
    "tokenization_",
    "processing_",
    "image_processing_",
    "feature_extraction_",
];

/// The largest number of bytes of a repository's name.
const MAX_REPOSITORY_BYTES: usize = 200;

/// Holds the programs of a model.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// The numbers of the files in the scope.
    pub(crate) files: BTreeSet<usize>,
    /// The repositories that have more of it.
    pub(crate) elsewhere: BTreeSet<String>,
}

impl Code {
    pub(crate) fn is_none(&self) -> bool {
        self.files.is_empty() && self.elsewhere.is_empty()
    }
}

/// Returns the programs of a scope.
pub(crate) fn of(scope: &Scope<'_>, manifests: &Manifests) -> Code {
    let mut code = Code::default();
    let mut wanted: VecDeque<usize> = VecDeque::new();
    let mut was_read = false;
    for config in CONFIGS {
        let Some(config) = manifests.json(&scope.full(config)) else { continue };
        was_read = true;
        for class in classes(&config) {
            match class.split_once("--") {
                Some((repo, _)) => code.elsewhere.extend(repository(repo)),
                None => wanted.extend(module_file(scope, "", &class)),
            }
        }
    }
    if let Some(Value::Array(modules)) = manifests.json(&scope.full("modules.json")) {
        let types = modules.iter().filter_map(|module| module.get("type")?.as_str());
        wanted.extend(types.filter_map(|class| module_file(scope, "", class)));
    }
    wanted.extend(pipeline_files(scope, manifests));
    wanted.extend(scope.find("custom_generate/generate.py"));
    if !was_read {
        let usual = |file: &crate::scope::File<'_>| {
            file.folder().is_empty()
                && names::ending(file.name()) == "py"
                && USUAL.iter().any(|start| file.name().starts_with(start))
        };
        wanted.extend((0..scope.files.len()).filter(|at| usual(&scope.files[*at])));
    }
    while let Some(at) = wanted.pop_front() {
        if code.files.insert(at) {
            let file = &scope.files[at];
            let text = manifests.text(file.path.as_str()).unwrap_or_default();
            wanted.extend(imports(text).flat_map(|module| imported(scope, file.folder(), &module)));
        }
    }
    if !code.files.is_empty() {
        // A program may compile these when it runs.
        let is_source = |at: &usize| {
            let file = &scope.files[*at];
            let ending = names::ending(file.name());
            file.kind == Kind::Script && ["c", "cc", "cpp", "cu", "cuh", "h"].contains(&ending)
        };
        code.files.extend((0..scope.files.len()).filter(is_source));
    }
    code
}

/// Returns the name of a repository, `org/name`. `None` for any other text: no engine takes code from there.
fn repository(name: &str) -> Option<String> {
    if name.len() > MAX_REPOSITORY_BYTES || !name.contains('/') {
        return None;
    }
    let ModelRef::Repo(repo) = format!("hf:{name}").parse().ok()? else { return None };
    (repo.repo() == name).then(|| name.to_owned())
}

/// Returns the classes that a configuration names: the values of `auto_map`, and the code of its pipelines.
fn classes(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(Value::Object(map)) = config.get("auto_map") {
        for value in map.values() {
            match value {
                Value::String(class) => found.push(class.clone()),
                Value::Array(several) => {
                    found.extend(several.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    if let Some(Value::Object(pipelines)) = config.get("custom_pipelines") {
        let classes = pipelines.values().filter_map(|pipeline| pipeline.get("impl")?.as_str());
        found.extend(classes.map(str::to_owned));
    }
    found
}

/// Returns the programs that a pipeline of diffusers names: its own, and those of its components.
fn pipeline_files(scope: &Scope<'_>, manifests: &Manifests) -> Vec<usize> {
    let Some(Value::Object(index)) = manifests.json(&scope.full("model_index.json")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in &index {
        let Some(module) = value.get(0).and_then(Value::as_str) else { continue };
        let folder = if name == "_class_name" { String::new() } else { format!("{name}/") };
        found.extend(scope.find(&format!("{folder}{module}.py")));
    }
    found
}

/// Returns the file of a class such as `modeling_x.XModel`, in a folder of the scope.
fn module_file(scope: &Scope<'_>, folder: &str, class: &str) -> Option<usize> {
    let (module, _) = class.rsplit_once('.')?;
    scope.find(&format!("{folder}{}.py", module.replace('.', "/")))
}

/// A module that a program imports from its own package.
struct Import {
    /// How many folders above its own the package is.
    above: usize,
    /// The module with dots; empty for the package itself.
    module: String,
    /// The names that are imported, which may be modules themselves.
    names: Vec<String>,
}

/// Returns the relative imports of a program. It reads line by line, and takes an import in a text for one: that costs a file
/// at the most.
fn imports(text: &str) -> impl Iterator<Item = Import> + '_ {
    let mut lines = text.lines().map(str::trim_start);
    std::iter::from_fn(move || {
        loop {
            let Some(rest) = lines.next()?.strip_prefix("from .") else { continue };
            if let Some(import) = parse_import(rest, &mut lines) {
                return Some(import);
            }
        }
    })
}

fn parse_import<'a>(rest: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<Import> {
    let above = rest.bytes().take_while(|b| *b == b'.').count();
    let (module, names) = rest[above..].split_once(" import ")?;
    let mut names = names.to_owned();
    if names.contains('(') && !names.contains(')') {
        for line in lines.by_ref().take(100) {
            names.push_str(line);
            if line.contains(')') {
                break;
            }
        }
    }
    let words = names.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    Some(Import { above, module: module.trim().to_owned(), names: words.map(str::to_owned).collect() })
}

/// Returns the files of an imported module.
fn imported(scope: &Scope<'_>, folder: &str, import: &Import) -> Vec<usize> {
    let mut base = folder.trim_end_matches('/');
    for _ in 0..import.above {
        base = split(base).0.trim_end_matches('/');
    }
    let base = if base.is_empty() { String::new() } else { format!("{base}/") };
    let module = import.module.replace('.', "/");
    let mut found = Vec::new();
    if module.is_empty() {
        found.extend(import.names.iter().filter_map(|name| scope.find(&format!("{base}{name}.py"))));
    } else {
        found.extend(scope.find(&format!("{base}{module}.py")));
        found.extend(scope.find(&format!("{base}{module}/__init__.py")));
        let inside = import.names.iter().filter_map(|name| scope.find(&format!("{base}{module}/{name}.py")));
        found.extend(inside);
        let first = module.split('/').next().unwrap_or_default();
        found.extend(scope.find(&format!("{base}{first}/__init__.py")));
    }
    found
}
