//! Finds the programs that a repository's configuration names, and those that they import.

use std::collections::{BTreeSet, VecDeque};

use provisioner_core::{ModelRef, Notice};
use serde_json::Value;

use crate::{
    manifests::{Manifests, NAMING_CODE},
    names::{self, Kind, split},
    scope::Scope,
};

/// The beginnings of the names that Transformers gives to programs of a model, where no configuration was read.
const USUAL: [&str; 6] = [
    "modeling_",
    "configuration_",
    "tokenization_",
    "processing_",
    "image_processing_",
    "feature_extraction_",
];

/// How many bytes of a line an import has at the most.
const MAX_IMPORT_BYTES: usize = 1024;

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
    let mut code = Code::default();
    let mut wanted: VecDeque<usize> = VecDeque::new();
    let mut was_read = named_in(scope, manifests, "", &mut code, &mut wanted);
    for folder in folders {
        was_read |= named_in(scope, manifests, folder, &mut code, &mut wanted);
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

/// Adds the programs that the configurations of a folder name. Returns whether one of these was read.
fn named_in(
    scope: &Scope<'_>,
    manifests: &Manifests,
    folder: &str,
    code: &mut Code,
    wanted: &mut VecDeque<usize>,
) -> bool {
    let mut was_read = false;
    for config in NAMING_CODE {
        let Some(config) = manifests.json(&scope.full(&format!("{folder}{config}"))) else { continue };
        was_read = true;
        for class in classes(&config) {
            match class.split_once("--") {
                Some((repo, _)) => code.elsewhere.extend(repository(repo)),
                None => wanted.extend(module_file(scope, folder, &class)),
            }
        }
    }
    was_read
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
    let mut lines = text.lines();
    let mut rest = "";
    std::iter::from_fn(move || {
        loop {
            let Some(at) = word(rest, "from") else {
                rest = lines.next()?;
                continue;
            };
            // Behind `try:` or a semicolon, one line may have several.
            rest = &rest[at..];
            if let Some(import) = parse_import(rest.trim_start(), &mut lines) {
                return Some(import);
            }
        }
    })
}

/// Returns where a text goes on behind a word that has no letter or digit at its sides.
fn word(text: &str, word: &str) -> Option<usize> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = text.match_indices(word).map(|(at, _)| (&text[..at], at + word.len()));
    found
        .find(|(before, end)| !before.ends_with(is_inside) && !text[*end..].starts_with(is_inside))
        .map(|(_, end)| end)
}

fn parse_import<'a>(rest: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<Import> {
    // A line may be as long as the file, and hold the word at every place.
    let start = |text: &str| {
        let end = (0..=text.len().min(MAX_IMPORT_BYTES)).rev().find(|end| text.is_char_boundary(*end));
        text[..end.unwrap_or_default()].to_owned()
    };
    if !rest.starts_with(['.', '\\']) {
        return None;
    }
    // A backslash at the end joins a line to the next.
    let mut joined = start(rest);
    while let Some(before) = joined.trim_end().strip_suffix('\\').filter(|text| text.len() < MAX_IMPORT_BYTES)
    {
        let Some(line) = lines.next() else { break };
        joined = format!("{before} {}", start(line));
    }
    let rest = joined.trim_start();
    let path = rest.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    // The first dot is the folder of the program itself.
    let above = rest[..rest.len() - path.len()].matches('.').count().checked_sub(1)?;
    // Without a space where a dot or a bracket parts the words: `from .import x`, `from .x import(y)`.
    let end = word(path, "import")?;
    let (module, names) = (&path[..end - "import".len()], &path[end..]);
    let is_module = |c: char| c.is_alphanumeric() || "._".contains(c);
    if !module.trim().chars().all(is_module) {
        return None;
    }
    let names = names.split([';', '#']).next().unwrap_or_default();
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
        // Python runs the programs of all folders on the way.
        let folders = module.match_indices('/').map(|(slash, _)| &module[..slash]);
        found.extend(folders.filter_map(|folder| scope.find(&format!("{base}{folder}/__init__.py"))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one line with the word at every place takes no time that grows with its square.
    #[test]
    fn a_hostile_line() {
        let text = "from . from ".repeat(80_000);
        assert_eq!(imports(&text).count(), 0);
        let text = "from .a import b; ".repeat(50_000);
        assert_eq!(imports(&text).count(), 50_000);
        let text = "from .a import \\\n".repeat(50_000);
        assert!(imports(&text).count() <= 50_000);
    }

    #[test]
    fn relative_imports_in_any_spelling() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = imports(text)
                .map(|import| {
                    format!("{}{}:{}", ".".repeat(import.above + 1), import.module, import.names.join(","))
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("from .a import b", &[".a:b"]);
        check("    from  .a  import  b, c", &[".a:b,c"]);
        check("from\t.a\timport\tb", &[".a:b"]);
        check("from .a import(b,\n  c)", &[".a:b,c"]);
        check("from .a import\\\n  b", &[".a:b"]);
        check("from .a \\\n  import b\nfrom .c import d", &[".a:b", ".c:d"]);
        check("from . import b", &[".:b"]);
        check("from .import b", &[".:b"]);
        check("from ..a.b import c", &["..a.b:c"]);
        check("try: from .a import b", &[".a:b"]);
        check("x = 1; from.a import b", &[".a:b"]);
        check("from .a import b; from .c import d", &[".a:b", ".c:d"]);
        check("from .a import (\n  b, # x\n  c)", &[".a:b,x,c"]);
        check("from .a import ( # x\n  b)", &[".a:b"]);
        check("from a import b\nimport c\n# from the .a file we import b", &[]);
    }
}
