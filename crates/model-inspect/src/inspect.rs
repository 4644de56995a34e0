//! A whole model: which of its files are weights, whether they fit together, and what they tell.

use std::{ops::RangeInclusive, path::Path};

use provisioner_core::{
    Format, RelativePath,
    reference::{ShardName, is_companion},
};

use crate::{
    ByteSource, Error, KvLayer, ListedFile, LocalFiles, MemoryEstimate, ModelInfo, ModelSource, Result, gguf,
    safetensors,
};

/// What was found of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// What it says of itself.
    pub info: ModelInfo,
    /// What it needs.
    pub memory: MemoryEstimate,
    /// What could not be checked, as sentences' fragments.
    pub notes: Vec<String>,
}

/// Inspects a file (with the other shards of its set) or a folder.
///
/// ```
/// use testkit::FakeModel;
///
/// let dir = std::env::temp_dir().join("model-inspect-doc");
/// let file = FakeModel::gguf().write_to(&dir, "tiny")?.remove(0);
/// let inspection = model_inspect::inspect(&file)?;
/// assert_eq!(inspection.info.facts.ctx_max, Some(256));
/// assert_eq!(inspection.info.facts.quantization.as_deref(), Some("F16"));
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Io`], [`Error::Incomplete`] and [`Error::Unsound`] as [`inspect_model`] and [`LocalFiles::at`] say.
pub fn inspect(path: &Path) -> Result<Inspection> {
    inspect_model(&LocalFiles::at(path)?)
}

/// Inspects the files of a model: reads the header of each file of weights, and what describes them; checks each, and
/// whether they fit together. Files that are no weights are not judged.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read; [`Error::Unsupported`] and [`Error::Unsound`] where one is not what its name
/// or its beginning says, or contradicts another; [`Error::Incomplete`] where one is missing.
pub fn inspect_model(model: &dyn ModelSource) -> Result<Inspection> {
    let size_bytes = model.files().iter().fold(0, |sum, file| file.size_bytes.saturating_add(sum));
    let mut ggufs = Vec::new();
    for set in gguf_sets(model)? {
        ggufs.push(GgufModel::read(model, &set)?);
    }
    let repository = safetensors::inspect_repository(model)?;
    let mut found = if ggufs.is_empty() {
        repository.unwrap_or_else(|| nothing("it has no file of weights that is known here"))
    } else {
        let notes = ggufs.iter().flat_map(|model| model.notes.clone()).collect();
        // Of several projectors an engine takes one.
        let projectors = ggufs.iter().filter(|model| model.is_projector());
        let projector_bytes = projectors.filter_map(|model| model.info.weights_bytes()).max().unwrap_or(0);
        let main = main_model(model, ggufs);
        let mut found = main.map_or_else(several, |main| main.into_inspection(projector_bytes));
        found.notes = notes;
        found
    };
    found.info.size_bytes = size_bytes;
    Ok(found)
}

fn nothing(why: &str) -> Inspection {
    let memory = MemoryEstimate::new(None, Err(why.to_owned()), None);
    Inspection { info: ModelInfo::default(), memory, notes: Vec::new() }
}

/// Several models in one folder: which of them an engine will take is its own choice.
fn several() -> Inspection {
    let mut found = nothing("it has several models");
    found.info.format = Format::Gguf;
    found
}

/// Opens a file, with its name in errors.
pub(crate) fn open<'a>(model: &'a dyn ModelSource, path: &RelativePath) -> Result<Box<dyn ByteSource + 'a>> {
    model.open(path).map_err(|error| Error::from(error).in_file(path.as_str()))
}

/// Whether a file is in a format by its name.
pub(crate) fn is_named(file: &ListedFile, format: Format) -> bool {
    let ending = Path::new(file.path.file_name()).extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case(format.as_str()))
}

/// A model in GGUF: one file, or a set of shards.
struct GgufModel {
    path: RelativePath,
    kind: Option<String>,
    info: ModelInfo,
    layers: Result<Vec<KvLayer>, String>,
    has_untold_windows: bool,
    notes: Vec<String>,
}

/// The files of GGUF, those of one set together. A set must have all its shards.
fn gguf_sets(model: &dyn ModelSource) -> Result<Vec<Vec<RelativePath>>> {
    let mut sets = Vec::new();
    for file in model.files() {
        if !is_named(file, Format::Gguf) && !begins_as_gguf(model, file)? {
            continue;
        }
        let Some(shard) = ShardName::parse(file.path.file_name()) else {
            sets.push(vec![file.path.clone()]);
            continue;
        };
        let siblings = complete_set(model, &file.path, &shard)?;
        if shard.number() == 1 {
            sets.push(siblings);
        }
    }
    Ok(sets)
}

/// The files of a shard's set, after a look whether they are there: for the first shard all, for another only the first, so
/// that each is looked for once.
pub(crate) fn complete_set(
    model: &dyn ModelSource,
    path: &RelativePath,
    shard: &ShardName,
) -> Result<Vec<RelativePath>> {
    let present = |path: RelativePath| {
        if find(model, path.as_str()).is_some() {
            return Ok(path);
        }
        let reason = format!("missing shard, of {}", shard.count());
        Err(Error::Incomplete { file: Some(path.to_string()), reason })
    };
    siblings(path, shard, shard.needs()).map(|path| present(path?)).collect()
}

/// A file by its path.
pub(crate) fn find<'a>(model: &'a dyn ModelSource, path: &str) -> Option<&'a ListedFile> {
    let files = model.files();
    let found = files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
    files.get(found)
}

/// The files of a shard's set that have these numbers, in order.
pub(crate) fn siblings(
    path: &RelativePath,
    shard: &ShardName,
    numbers: RangeInclusive<u32>,
) -> impl Iterator<Item = Result<RelativePath>> {
    let folder = path.folder();
    numbers.map(move |number| {
        RelativePath::new(format!("{folder}{}", shard.sibling(number)))
            .map_err(|error| Error::unsound(error.to_string()))
    })
}

/// Looks at the beginning of a file whose name does not say GGUF: for the magic and a version, since a text may begin with
/// that word. Where nobody has looked at the first bytes yet, only the file that an engine is given is worth a read.
fn begins_as_gguf(model: &dyn ModelSource, file: &ListedFile) -> Result<bool> {
    let is_worth_it = match file.format {
        Some(format) => format == Format::Gguf,
        None => model.entry() == Some(&file.path) && !is_named(file, Format::Safetensors),
    };
    if !is_worth_it {
        return Ok(false);
    }
    let mut first = [0; 8];
    let read = open(model, &file.path)?.read_at(0, &mut first);
    let read = read.map_err(|error| Error::from(error).in_file(file.path.as_str()))?;
    Ok(read == first.len() && gguf::is_beginning(first))
}

impl GgufModel {
    /// Reads the headers of a set, in its order, and checks that they belong together.
    fn read(model: &dyn ModelSource, set: &[RelativePath]) -> Result<Self> {
        let mut found: Option<Self> = None;
        let mut shards = gguf::Shards::new(set.len());
        for path in set {
            let in_file = |error: Error| error.in_file(path.as_str());
            let header = gguf::Header::read(&mut open(model, path)?).map_err(in_file)?;
            shards.add(&header).map_err(in_file)?;
            let found = found.get_or_insert_with(|| Self {
                path: path.clone(),
                kind: header.text("general.type").map(str::to_owned),
                info: gguf::describe(&header),
                layers: gguf::memory(&header),
                has_untold_windows: gguf::has_untold_windows(&header),
                notes: Vec::new(),
            });
            gguf::add_types(&header, &mut found.info.tensor_types);
            found.notes.extend(gguf::notes(&header).map(|note| format!("`{path}` {note}")));
        }
        shards.finish().map_err(|error| error.in_file(set.first().map_or("", RelativePath::as_str)))?;
        let mut found = found.ok_or_else(|| Error::unsound("a set of shards without a shard"))?;
        found.info.facts.shards = Some(set.len() as u64);
        found.info.facts.parameter_count = found.info.elements();
        found.info.facts.quantization =
            found.info.facts.quantization.take().or_else(|| found.info.main_type());
        Ok(found)
    }

    /// Whether it is what goes along with a model: a projector, an importance matrix, an adapter.
    fn is_companion(&self) -> bool {
        self.is_projector()
            || matches!(self.kind.as_deref(), Some("imatrix" | "adapter"))
            || is_companion(self.path.file_name())
    }

    fn is_projector(&self) -> bool {
        self.kind.as_deref() == Some("mmproj") || self.info.facts.architecture.as_deref() == Some("clip")
    }

    /// What it tells, and needs together with a projector of so many bytes.
    fn into_inspection(self, projector_bytes: u64) -> Inspection {
        let projector_bytes = if self.is_projector() { 0 } else { projector_bytes };
        let Self { mut info, layers, has_untold_windows, notes, .. } = self;
        let weights_bytes = info.weights_bytes().and_then(|bytes| bytes.checked_add(projector_bytes));
        let memory =
            MemoryEstimate::new(weights_bytes, layers, info.facts.ctx_max).at_most(has_untold_windows);
        info.facts.memory = memory.summary();
        Inspection { info, memory, notes }
    }
}

/// The model that the entry names, or the only one that is no companion of another.
fn main_model(model: &dyn ModelSource, mut ggufs: Vec<GgufModel>) -> Option<GgufModel> {
    if let Some(named) = ggufs.iter().position(|gguf| Some(&gguf.path) == model.entry()) {
        return Some(ggufs.swap_remove(named));
    }
    if ggufs.len() > 1 {
        ggufs.retain(|gguf| !gguf.is_companion());
    }
    if ggufs.len() == 1 { ggufs.pop() } else { None }
}
