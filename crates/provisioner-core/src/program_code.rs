//! Finds the program code of a model: the programs that its configurations name, and those that these import.

mod imports;
mod named;

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    fmt,
};

use self::{
    imports::{Import, imports},
    named::{Document, read},
};
use crate::reference::ModelRef;

/// The names of the configurations that say what a model is, and may name classes of the model's own, the most telling first.
pub const NAMING_CODE: [&str; 7] = [
    "adapter_config.json",
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "image_processor_config.json",
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

/// Shows the files of a model to the rule that finds its program code.
pub trait ProgramFolder: fmt::Debug {
    /// Returns whether there is a file of this path.
    fn has(&self, path: &str) -> bool;

    /// Returns the names of the files that lie in no folder below.
    fn names_at_top(&self) -> Vec<&str>;

    /// Returns the text of a file. `None` where it is not UTF-8, and where the caller did not or could not read it.
    fn text(&self, path: &str) -> Option<Cow<'_, str>>;
}

/// Holds the program code of a model.
///
/// ```
/// use std::{borrow::Cow, collections::BTreeMap};
///
/// use provisioner_core::{ProgramCode, ProgramFolder};
///
/// #[derive(Debug)]
/// struct Files(BTreeMap<&'static str, &'static str>);
///
/// impl ProgramFolder for Files {
///     fn has(&self, path: &str) -> bool {
///         self.0.contains_key(path)
///     }
///
///     fn names_at_top(&self) -> Vec<&str> {
///         self.0.keys().copied().filter(|path| !path.contains('/')).collect()
///     }
///
///     fn text(&self, path: &str) -> Option<Cow<'_, str>> {
///         self.0.get(path).map(|text| Cow::Borrowed(*text))
///     }
/// }
///
/// let config = r#"{ "auto_map": { "AutoModel": "modeling_x.X" } }"#;
/// let files = [("config.json", config), ("modeling_x.py", "from .core import Y"), ("core.py", ""), ("convert.py", "")];
/// let code = ProgramCode::of(&Files(files.into()), ["config.json"]);
/// assert_eq!(Vec::from_iter(code.files), ["core.py", "modeling_x.py"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramCode {
    /// The paths of the programs.
    pub files: BTreeSet<String>,
    /// The repositories that have more of them.
    pub elsewhere: BTreeSet<String>,
    /// The paths of the configurations that are there and tell nothing: their text is not known, or not JSON.
    pub unread: BTreeSet<String>,
}

impl ProgramCode {
    /// Returns the programs that some configurations of a folder name, and what these programs import. A configuration that is not
    /// there names nothing. Besides, an engine loads the classes of `modules.json` and of `model_index.json`, and
    /// `custom_generate/generate.py`.
    pub fn of<'a>(folder: &dyn ProgramFolder, configs: impl IntoIterator<Item = &'a str>) -> Self {
        let mut search = Search { folder, code: Self::default(), wanted: VecDeque::new() };
        search.follow_configs(configs);
        search.want(["custom_generate/generate.py".to_owned()]);
        search.follow_imports();
        search.code
    }
}

/// Follows names from file to file.
struct Search<'a> {
    folder: &'a dyn ProgramFolder,
    code: ProgramCode,
    wanted: VecDeque<String>,
}

impl Search<'_> {
    /// Notes the files among some paths that are there.
    fn want(&mut self, paths: impl IntoIterator<Item = String>) {
        self.wanted.extend(paths.into_iter().filter(|path| self.folder.has(path)));
    }

    /// Notes the programs that configurations name, and those with usual names where no configuration was read.
    fn follow_configs<'a>(&mut self, configs: impl IntoIterator<Item = &'a str>) {
        let mut was_read = false;
        for config in configs {
            let name = config.rsplit('/').next().unwrap_or(config);
            was_read |= self.follow(config, Document::Configuration) && NAMING_CODE.contains(&name);
        }
        self.follow("modules.json", Document::Modules);
        self.follow("model_index.json", Document::PipelineIndex);
        if !was_read {
            let usual = self.folder.names_at_top().into_iter().filter(|name| has_usual_name(name));
            self.wanted.extend(usual.map(str::to_owned).collect::<Vec<_>>());
        }
    }

    /// Notes the programs that a document names. Returns whether it was read.
    fn follow(&mut self, path: &str, document: Document) -> bool {
        if !self.folder.has(path) {
            return false;
        }
        let Some(named) = self.folder.text(path).and_then(|text| read(&text, document)) else {
            self.code.unread.insert(path.to_owned());
            return false;
        };
        let below = path.rfind('/').map_or("", |slash| &path[..=slash]);
        for class in named.classes {
            match class.split_once("--") {
                Some((repo, _)) => self.code.elsewhere.extend(repository(repo)),
                None => self.want(module_file(below, &class)),
            }
        }
        self.want(named.components.iter().map(|(name, module)| match name.as_str() {
            "_class_name" => format!("{module}.py"),
            name => format!("{name}/{module}.py"),
        }));
        true
    }

    /// Takes the wanted programs, and what they import.
    fn follow_imports(&mut self) {
        while let Some(path) = self.wanted.pop_front() {
            if !self.code.files.contains(&path) {
                let text = self.folder.text(&path).unwrap_or_default();
                let imported: Vec<_> = imports(&text).flat_map(|import| imported(&path, &import)).collect();
                drop(text);
                self.want(imported);
                self.code.files.insert(path);
            }
        }
    }
}

fn has_usual_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".py").is_some_and(|stem| USUAL.iter().any(|start| stem.starts_with(start)))
}

/// Returns the name of a repository, `org/name`. `None` for any other text: no engine takes code from there.
fn repository(name: &str) -> Option<String> {
    if name.len() > MAX_REPOSITORY_BYTES || !name.contains('/') {
        return None;
    }
    let ModelRef::Repo(repo) = format!("hf:{name}").parse().ok()? else { return None };
    (repo.repo() == name).then(|| name.to_owned())
}

/// Returns the path of a class such as `modeling_x.XModel`, below a folder with its slash.
fn module_file(folder: &str, class: &str) -> Option<String> {
    let (module, _) = class.rsplit_once('.')?;
    Some(format!("{folder}{}.py", module.replace('.', "/")))
}

/// Returns the paths that an imported module of a program may have.
fn imported(program: &str, import: &Import) -> Vec<String> {
    let above = |path: &str| path.rfind('/').map_or(0, |slash| slash);
    let mut base = &program[..above(program)];
    for _ in 0..import.above {
        base = &base[..above(base)];
    }
    let base = if base.is_empty() { String::new() } else { format!("{base}/") };
    let module = import.module.replace('.', "/");
    if module.is_empty() {
        return import.names.iter().map(|name| format!("{base}{name}.py")).collect();
    }
    let mut paths = vec![format!("{base}{module}.py"), format!("{base}{module}/__init__.py")];
    paths.extend(import.names.iter().map(|name| format!("{base}{module}/{name}.py")));
    // Python runs the programs of all folders on the way.
    let folders = module.match_indices('/').map(|(slash, _)| &module[..slash]);
    paths.extend(folders.map(|folder| format!("{base}{folder}/__init__.py")));
    paths
}
