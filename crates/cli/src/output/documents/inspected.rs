//! Defines the document of what a model's headers say.

use model_provisioner::{
    DetailedFacts, Fit, Inspection, KvType, MemoryEstimate, MemoryRequest, SourceFacts, readable_size,
};
use serde::Serialize;

use super::{
    fit::{at_most, engine, of_card, of_context, up_to},
    source,
};
use crate::output::{
    escape::line,
    text::{card, counted},
};

/// Describes what the headers of a model say.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Inspected {
    /// The id.
    id: String,
    #[serde(flatten)]
    details: DetailedFacts,
    /// Why the headers do not say what keys and values need.
    #[serde(skip_serializing_if = "Option::is_none")]
    kv_unknown: Option<String>,
    /// Notes that the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What the source tells of the model, which no header proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceFacts>,
    /// Whether the model fits into the memory that the caller named.
    #[serde(skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
}

impl Inspected {
    /// Describes what an inspection found.
    pub(crate) fn new(id: String, inspection: Inspection, fit: Option<Fit>) -> Self {
        let Inspection { details, memory, mut notes, warnings, source, .. } = inspection;
        notes.extend(warnings);
        let kv_unknown = memory.kv_unknown().map(str::to_owned);
        Self { id, details, kv_unknown, notes, source, fit }
    }

    /// Returns a card for people.
    pub(crate) fn card(&self, estimate: &MemoryEstimate, request: &MemoryRequest) -> String {
        let (details, facts) = (&self.details, &self.details.facts);
        let mut rows = vec![("model", self.id.clone())];
        let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
        add("name", facts.name.as_deref().map(line));
        add("role", facts.role.map(|role| role.to_string()));
        add("architecture", facts.architecture.as_deref().map(line));
        add("format", Some(details.format.as_str().to_owned()));
        add("quantization", facts.quantization.as_deref().map(line));
        add("parameters", facts.parameter_count.map(|count| count.to_string()));
        let shards = facts.shards.filter(|shards| *shards > 1);
        let in_shards = shards.map(|shards| format!(" in {shards} shards")).unwrap_or_default();
        add("size", Some(format!("{}{in_shards}", readable_size(details.size_bytes))));
        add("context", facts.ctx_max.map(|tokens| counted(tokens, "token")));
        add("layers", facts.layers.map(|count| count.to_string()));
        let kv_heads = facts.kv_heads.map(|count| format!(", {count} for keys and values"));
        add("heads", facts.heads.map(|count| format!("{count}{}", kv_heads.unwrap_or_default())));
        add("embedding", facts.embedding_length.map(|width| width.to_string()));
        let tokenizer = facts.tokenizer_model.as_deref().map(|name| format!(", {}", line(name)));
        add(
            "vocabulary",
            facts
                .vocab_size
                .map(|count| format!("{}{}", counted(count, "token"), tokenizer.unwrap_or_default())),
        );
        add("chat template", facts.has_chat_template.map(|has| if has { "yes" } else { "no" }.to_owned()));
        add("licence", facts.license.as_deref().map(line));
        for (name, value) in self.source.iter().flat_map(source::rows) {
            // The model's own word stands above that of its source.
            let is_told = name == "licence" && facts.license.as_deref().map(line).as_ref() == Some(&value);
            add(name, (!is_told).then_some(value));
        }
        let bases: Vec<_> = details.base_models.iter().map(|name| line(name)).collect();
        add("base model", (!bases.is_empty()).then(|| bases.join(", ")));
        let code: Vec<_> = details.remote_code.iter().map(|name| line(name)).collect();
        add("runs code", (!code.is_empty()).then(|| code.join(", ")));
        add("memory", memory(estimate, request.kv_type));
        // A caller who asks what the model needs reads the reason there.
        let unknown = self.kv_unknown.as_deref().filter(|_| self.fit.is_none());
        add("unknown", unknown.map(|reason| format!("what keys and values need: {}", line(reason))));
        add("needs", self.fit.as_ref().map(|fit| needs(fit, request)));
        add("engine", self.fit.as_ref().and_then(engine));
        add("fits", self.fit.as_ref().zip(request.vram_bytes).map(|(fit, vram)| fits(fit, vram)));
        add("note", self.fit.as_ref().and_then(beyond));
        for note in &self.notes {
            add("note", Some(line(note)));
        }
        card(&rows)
    }
}

fn memory(estimate: &MemoryEstimate, kv_type: KvType) -> Option<String> {
    let weights = estimate.weights_bytes().map(|bytes| format!("{} of weights", readable_size(bytes)));
    let token = estimate.kv_bytes_per_token(kv_type);
    let token = token.map(|bytes| format!("{} for each token in {kv_type}", readable_size(bytes)));
    let known: Vec<_> = [weights, token].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn needs(fit: &Fit, request: &MemoryRequest) -> String {
    let Some(total) = fit.total_bytes else {
        let reason = fit.reason.as_deref().map(|reason| format!(": {}", line(reason)));
        return format!("unknown{}", reason.unwrap_or_default());
    };
    let sequences = counted(request.parallel, "sequence");
    let context = of_context(fit, " of");
    format!("{}{} for {sequences}{context}, in {}", at_most(fit), readable_size(total), request.kv_type)
}

fn fits(fit: &Fit, vram_bytes: u64) -> String {
    let (there, up_to) = (of_card(fit, vram_bytes), up_to(fit).unwrap_or_default());
    match fit.fits {
        // What fits beyond the model's own maximum is not bounded by memory.
        Some(true) if fit.exceeds_ctx_max => format!("yes, in {there}"),
        Some(true) => format!("yes, in {there}{up_to}"),
        Some(false) if fit.total_bytes.is_none() => {
            let known = if fit.kv_bytes.is_some() { "weights, keys and values" } else { "weights" };
            format!("no, its {known} alone are more than {there}")
        }
        Some(false) => format!("no, not in {there}{up_to}"),
        None => {
            let open = fit.reason.as_deref().filter(|_| fit.total_bytes.is_some());
            let open = open.map(|reason| format!(": {}", line(reason))).unwrap_or_default();
            format!("unknown, in {there}{open}")
        }
    }
}

/// Returns a note where the caller wants a longer context than the model was made for, which memory does not decide.
fn beyond(fit: &Fit) -> Option<String> {
    let (ctx, most) = fit.ctx.zip(fit.ctx_max).filter(|_| fit.exceeds_ctx_max)?;
    Some(format!("a context of {ctx} is more than the model's maximum of {}", counted(most, "token")))
}
