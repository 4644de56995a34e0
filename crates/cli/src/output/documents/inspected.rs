//! What a model says of itself, and whether it fits.

use std::{ffi::OsString, process::ExitCode};

use clap::Args as ClapArgs;
use indicatif::HumanBytes;
use model_provisioner::{CacheType, Fit, Inspection, MemoryEstimate, MemoryRequest, ModelInfo, Variant};
use serde::Serialize;

use crate::{
    args::{Common, Hub, size},
    commands::{Done, asked, selected},
    document::{card, counted},
    escape::line,
    output::Output,
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Inspect {
    /// A file, a folder, any shard of a set, an id of the catalog, or `hf:org/repo…`, of which only headers are read
    #[arg(value_name = "PATH-or-REF")]
    pub(crate) reference: OsString,
    #[command(flatten)]
    pub(crate) demand: MemoryArgs,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

/// What is to be run with it.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct MemoryArgs {
    /// The context of each sequence, in tokens [default: the longest that the model was made for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ctx: Option<u64>,
    /// How many sequences run at once [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    parallel: Option<u64>,
    /// How keys and values are kept, by the names of llama.cpp's `--cache-type-k` [default: f16]
    #[arg(long, value_name = "T")]
    kv_type: Option<CacheType>,
    /// The memory that there is, such as 24GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    vram: Option<u64>,
}

impl MemoryArgs {
    fn demand(self) -> MemoryRequest {
        let Self { ctx, parallel, kv_type, vram } = self;
        let (parallel, cache) = (parallel.unwrap_or(1), kv_type.unwrap_or_default());
        MemoryRequest { ctx, parallel, cache, vram_bytes: vram }
    }

    /// Whether anything was asked for.
    pub(crate) fn is_asked(self) -> bool {
        self.ctx.or(self.parallel).or(self.vram).is_some() || self.kv_type.is_some()
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Inspected {
    id: String,
    #[serde(flatten)]
    info: ModelInfo,
    /// Why it is not known what keys and values need.
    #[serde(skip_serializing_if = "Option::is_none")]
    kv_unknown: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
}

pub(crate) async fn inspect(common: &Common, args: Inspect, output: Output) -> Done {
    let provisioner = asked(common, &args.hub)?;
    let written = selected(&provisioner, &args.reference, &args.hub).await?;
    let reference = provisioner.parse(&written).await?;
    let found = provisioner.inspect(&reference).await.map_err(|error| error.guessing(&written))?;
    let Inspection { info, memory, notes, .. } = found;
    let demand = args.demand.demand();
    let fit = args.demand.is_asked().then(|| memory.fit(&demand));
    let kv_unknown = memory.kv_unknown().map(str::to_owned);
    let found = Inspected { id: reference.id(), info, kv_unknown, notes, fit };
    output.result(&found, found.card(&memory, &demand))?;
    Ok(ExitCode::SUCCESS)
}

/// The models that a reference may mean, and what is asked of each.
#[derive(Debug, Serialize)]
struct Variants {
    id: String,
    models: Vec<OneOf>,
}

#[derive(Debug, Serialize)]
struct OneOf {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<String>,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    fit: Fit,
}

/// Says which of the models that references may mean fit.
pub(crate) async fn variants(
    common: &Common,
    references: &[OsString],
    wanted: MemoryArgs,
    hub: &Hub,
    output: Output,
) -> Done {
    let (provisioner, demand) = (asked(common, hub)?, wanted.demand());
    let mut found = Vec::new();
    for reference in references {
        let written = selected(&provisioner, reference, hub).await?;
        let reference = provisioner.parse(&written).await?;
        let variants = provisioner.variants(&reference, &demand).await;
        let models = variants.map_err(|error| error.guessing(&written))?.into_iter().map(OneOf::from);
        found.push(Variants { id: reference.id(), models: models.collect() });
    }
    let text = found.iter().map(Variants::text).collect::<Vec<_>>().join("\n");
    match found.as_slice() {
        [only] => output.result(only, text)?,
        several => output.result(&several, text)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl From<Variant> for OneOf {
    fn from(variant: Variant) -> Self {
        let Variant { id, quantization, size_bytes, fit, problem, .. } = variant;
        Self { id, quantization, size_bytes, problem, fit }
    }
}

impl Variants {
    fn text(&self) -> String {
        let mut lines = vec![self.id.clone()];
        lines.extend(self.models.iter().map(OneOf::line));
        lines.join("\n")
    }
}

impl OneOf {
    fn line(&self) -> String {
        let (verdict, size) = (self.verdict(), HumanBytes(self.size_bytes).to_string());
        format!("{verdict:12}  {size:>11}  {}{}", self.id, self.details())
    }

    fn verdict(&self) -> &'static str {
        match (&self.problem, self.fit.fits, &self.fit.reason) {
            (Some(_), ..) => "unsound",
            (None, Some(true), _) => "fits",
            (None, Some(false), _) => "does not fit",
            (None, None, Some(_)) => "unknown",
            // Nobody said how much memory there is.
            (None, None, None) => "-",
        }
    }

    /// What the verdict comes from.
    fn details(&self) -> String {
        if let Some(problem) = &self.problem {
            return format!(": {}", line(problem));
        }
        let fit = &self.fit;
        let needs = match (fit.total_bytes, fit.weights_bytes, &fit.reason) {
            (Some(bytes), _, reason) => {
                let why = reason.as_deref().map(|reason| format!("; {}", line(reason))).unwrap_or_default();
                format!(": needs {}{}{}{why}", at_most(fit), HumanBytes(bytes), of_context(fit, " for"))
            }
            (None, Some(bytes), _) if fit.fits == Some(false) => {
                format!(": its weights alone need {}", HumanBytes(bytes))
            }
            (None, _, reason) => format!(": {}", line(reason.as_deref().unwrap_or_default())),
        };
        let beyond = fit.ctx_max.filter(|_| fit.exceeds_ctx_max);
        let beyond = beyond.map(|most| format!("; its own maximum is {}", counted(most, "token")));
        let more = up_to(fit).filter(|_| fit.fits == Some(false) || fit.largest_ctx > fit.ctx);
        format!("{needs}{}", more.or(beyond).unwrap_or_default())
    }
}

impl Inspected {
    fn card(&self, estimate: &MemoryEstimate, demand: &MemoryRequest) -> String {
        let (info, facts) = (&self.info, &self.info.facts);
        let mut rows = vec![("model", self.id.clone())];
        let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
        add("name", facts.name.as_deref().map(line));
        add("architecture", facts.architecture.as_deref().map(line));
        add("format", Some(info.format.as_str().to_owned()));
        add("quantization", facts.quantization.as_deref().map(line));
        add("parameters", facts.parameter_count.map(|count| count.to_string()));
        let shards = facts.shards.filter(|shards| *shards > 1);
        let in_shards = shards.map(|shards| format!(" in {shards} shards")).unwrap_or_default();
        add("size", Some(format!("{}{in_shards}", HumanBytes(info.size_bytes))));
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
        let code: Vec<_> = info.remote_code.iter().map(|name| line(name)).collect();
        add("runs code", (!code.is_empty()).then(|| code.join(", ")));
        add("memory", memory(estimate, demand.cache));
        // Whoever asks what it needs is told there why that is not known.
        let unknown = self.kv_unknown.as_deref().filter(|_| self.fit.is_none());
        add("unknown", unknown.map(|reason| format!("what keys and values need: {}", line(reason))));
        add("needs", self.fit.as_ref().map(|fit| needs(fit, demand)));
        add("fits", self.fit.as_ref().zip(demand.vram_bytes).map(|(fit, vram)| fits(fit, vram)));
        add("note", self.fit.as_ref().and_then(beyond));
        for note in &self.notes {
            add("note", Some(line(note)));
        }
        card(&rows)
    }
}

fn memory(estimate: &MemoryEstimate, cache: CacheType) -> Option<String> {
    let weights = estimate.weights_bytes().map(|bytes| format!("{} of weights", HumanBytes(bytes)));
    let token = estimate.kv_bytes_per_token(cache);
    let token = token.map(|bytes| format!("{} for each token in {cache}", HumanBytes(bytes)));
    let known: Vec<_> = [weights, token].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn needs(fit: &Fit, demand: &MemoryRequest) -> String {
    let Some(total) = fit.total_bytes else {
        let reason = fit.reason.as_deref().map(|reason| format!(": {}", line(reason)));
        return format!("unknown{}", reason.unwrap_or_default());
    };
    let sequences = counted(demand.parallel, "sequence");
    let context = of_context(fit, " of");
    format!("{}{} for {sequences}{context}, in {}", at_most(fit), HumanBytes(total), demand.cache)
}

fn fits(fit: &Fit, vram_bytes: u64) -> String {
    let (there, up_to) = (HumanBytes(vram_bytes), up_to(fit).unwrap_or_default());
    match fit.fits {
        // What fits beyond the model's own maximum is not bounded by memory.
        Some(true) if fit.exceeds_ctx_max => format!("yes, in {there}"),
        Some(true) => format!("yes, in {there}{up_to}"),
        Some(false) if fit.total_bytes.is_none() => format!("no, its weights alone are more than {there}"),
        Some(false) => format!("no, not in {there}{up_to}"),
        None => {
            let open = fit.reason.as_deref().filter(|_| fit.total_bytes.is_some());
            let open = open.map(|reason| format!(": {}", line(reason))).unwrap_or_default();
            format!("unknown, in {there}{open}")
        }
    }
}

fn at_most(fit: &Fit) -> &'static str {
    if fit.at_most { "at most " } else { "" }
}

fn of_context(fit: &Fit, of: &str) -> String {
    fit.ctx.map(|tokens| format!("{of} {}", counted(tokens, "token"))).unwrap_or_default()
}

/// The longest context that fits, where one does.
fn up_to(fit: &Fit) -> Option<String> {
    let largest = fit.largest_ctx.filter(|largest| *largest > 0)?;
    Some(format!("; up to {} would", counted(largest, "token")))
}

/// That more is demanded than the model was made for, which is no question of memory.
fn beyond(fit: &Fit) -> Option<String> {
    let (ctx, most) = fit.ctx.zip(fit.ctx_max).filter(|_| fit.exceeds_ctx_max)?;
    Some(format!("a context of {ctx} is more than the model's maximum of {}", counted(most, "token")))
}
