//! A model in GGUF: its files, and what they tell together.

use provisioner_core::{
    Format, RelativePath, Role,
    reference::{ShardName, is_companion},
};

use super::{
    facts::{add_types, describe, has_untold_windows, memory, notes},
    header::{Header, is_beginning},
    shards::Shards,
    widths::WidthSums,
};
use crate::{
    details::DetailedFacts,
    engine::{Engine, Widths},
    error::{Error, Result},
    files::{ListedFile, ModelSource},
    inspection::Inspection,
    memory::{KvLayer, MemoryEstimate},
    named_files::{complete_set, is_named, open},
};

/// Inspects the models in GGUF among some files. `None` where there are none.
pub(crate) fn inspect_models(model: &dyn ModelSource) -> Result<Option<Inspection>> {
    let mut ggufs = Vec::new();
    for set in gguf_sets(model)? {
        ggufs.push(GgufModel::read(model, &set)?);
    }
    if ggufs.is_empty() {
        return Ok(None);
    }
    let notes = ggufs.iter().flat_map(|model| model.notes.clone()).collect();
    // Of several projectors an engine takes one.
    // Files that are all companions are no model, and the first one is as good as any to say so.
    let first = ggufs.first().filter(|_| ggufs.iter().all(|model| model.role != Role::Weights));
    let only_companions = first.map(|first| (first.path.clone(), first.role));
    let projectors = ggufs.iter().filter(|model| model.is_projector());
    let projector_bytes = projectors.filter_map(|model| model.details.weights_bytes()).max().unwrap_or(0);
    let mut found = match main_model(model, ggufs) {
        Some(main) => main.into_inspection(projector_bytes),
        // Which of several models an engine takes is its own choice.
        None => Inspection::unknown(Format::Gguf, "it has several models"),
    };
    found.notes = notes;
    found.companion = found.companion.or(only_companions);
    Ok(Some(found))
}

/// A model in GGUF: one file, or a set of shards.
struct GgufModel {
    path: RelativePath,
    role: Role,
    details: DetailedFacts,
    layers: Result<Vec<KvLayer>, String>,
    has_untold_windows: bool,
    widths: Option<Widths>,
    notes: Vec<String>,
}

/// Lists the files of GGUF, those of one set together. A set must have all its shards.
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

/// Looks at the beginning of a file whose name does not say GGUF: for the magic and a version, since a text may begin with
/// that word. Where no caller has looked at the first bytes yet, only the file that an engine is given is worth a read.
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
    Ok(read == first.len() && is_beginning(first))
}

impl GgufModel {
    /// Reads the headers of a set, in its order, and checks that they belong together.
    fn read(model: &dyn ModelSource, set: &[RelativePath]) -> Result<Self> {
        let mut found: Option<Self> = None;
        let (mut shards, mut widths) = (Shards::new(set.len()), WidthSums::default());
        for path in set {
            let in_file = |error: Error| error.in_file(path.as_str());
            let header = Header::read(&mut open(model, path)?).map_err(in_file)?;
            shards.add(&header).map_err(in_file)?;
            let found = found.get_or_insert_with(|| Self {
                path: path.clone(),
                role: header.role(),
                details: describe(&header),
                layers: memory(&header),
                has_untold_windows: has_untold_windows(&header),
                widths: None,
                notes: Vec::new(),
            });
            add_types(&header, &mut found.details.tensor_types);
            widths.add(&header, found.details.experts_used);
            found.notes.extend(notes(&header).map(|note| format!("`{path}` {note}")));
        }
        shards.finish().map_err(|error| error.in_file(set.first().map_or("", RelativePath::as_str)))?;
        let mut found = found.ok_or_else(|| Error::unsound("a set of shards without a shard"))?;
        found.widths = widths.finish(&found.details);
        found.details.facts.shards = Some(set.len() as u64);
        found.details.facts.parameter_count = found.details.elements();
        found.details.facts.quantization =
            found.details.facts.quantization.take().or_else(|| found.details.main_type());
        Ok(found)
    }

    /// Returns whether it goes along with another model, by its header or by its name.
    fn is_companion(&self) -> bool {
        self.role != Role::Weights || is_companion(self.path.file_name())
    }

    fn is_projector(&self) -> bool {
        self.role == Role::Projector
    }

    /// Makes an inspection of the model, together with a projector of so many bytes.
    fn into_inspection(self, projector_bytes: u64) -> Inspection {
        let projector_bytes = if self.is_projector() { 0 } else { projector_bytes };
        let companion = Some((self.path, self.role)).filter(|(_, role)| *role != Role::Weights);
        let Self { mut details, layers, has_untold_windows, widths, notes, .. } = self;
        let weights_bytes = details.weights_bytes().and_then(|bytes| bytes.checked_add(projector_bytes));
        let memory = MemoryEstimate::new(weights_bytes, layers, details.facts.ctx_max);
        let memory = memory.at_most(has_untold_windows).computed_by(Engine::LlamaCpp, widths);
        details.facts.memory = memory.summary();
        Inspection { details, memory, notes, companion, warnings: Vec::new(), source: None }
    }
}

/// Picks the model that the entry names, or the only one that is not a companion of another.
fn main_model(model: &dyn ModelSource, mut ggufs: Vec<GgufModel>) -> Option<GgufModel> {
    if let Some(named) = ggufs.iter().position(|gguf| Some(&gguf.path) == model.entry()) {
        return Some(ggufs.swap_remove(named));
    }
    if ggufs.len() > 1 {
        ggufs.retain(|gguf| !gguf.is_companion());
    }
    if ggufs.len() == 1 { ggufs.pop() } else { None }
}
