//! Defines the document of which models of a repository fit into memory.

use model_provisioner::{Fit, Variant, readable_size};
use serde::Serialize;

use super::fit::{at_most, beyond, engine, of_context, up_to};
use crate::output::escape::line;

/// Lists the models that a reference may mean, and whether each fits.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Variants {
    /// The id of the reference.
    id: String,
    /// The models.
    models: Vec<VariantFit>,
}

/// Says whether one of them fits.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VariantFit {
    /// The id.
    id: String,
    /// The quantization, by the name of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<String>,
    /// The size of all files, in bytes.
    size_bytes: u64,
    /// Why the model is not sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Whether the model fits.
    fit: Fit,
}

impl From<Variant> for VariantFit {
    fn from(variant: Variant) -> Self {
        let Variant { id, quantization, size_bytes, fit, problem, .. } = variant;
        Self { id, quantization, size_bytes, problem, fit }
    }
}

impl Variants {
    /// Describes the models that a reference may mean.
    pub(crate) fn new(id: String, variants: impl IntoIterator<Item = Variant>) -> Self {
        Self { id, models: variants.into_iter().map(VariantFit::from).collect() }
    }

    /// Returns a line for each model, for people.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![self.id.clone()];
        for model in &self.models {
            lines.push(model.line());
            lines.extend(model.engine().map(|share| format!("{:27}{share}", "")));
        }
        lines.join("\n")
    }
}

impl VariantFit {
    fn line(&self) -> String {
        let (verdict, size) = (self.verdict(), readable_size(self.size_bytes));
        format!("{verdict:12}  {size:>11}  {}{}", self.id, self.details())
    }

    /// Returns what the engine takes of that.
    fn engine(&self) -> Option<String> {
        self.fit.total_bytes?;
        engine(&self.fit).map(|share| format!("of that {share}"))
    }

    fn verdict(&self) -> &'static str {
        match (&self.problem, self.fit.fits, &self.fit.reason) {
            (Some(_), ..) => "unsound",
            (None, Some(true), _) => "fits",
            (None, Some(false), _) => "does not fit",
            (None, None, Some(_)) => "unknown",
            // The caller did not say how much memory there is.
            (None, None, None) => "-",
        }
    }

    /// Returns what the verdict comes from.
    fn details(&self) -> String {
        if let Some(problem) = &self.problem {
            return format!(": {}", line(problem));
        }
        let fit = &self.fit;
        let needs = match (fit.total_bytes, fit.weights_bytes, &fit.reason) {
            (Some(bytes), _, reason) => {
                let why = reason.as_deref().map(|reason| format!("; {}", line(reason))).unwrap_or_default();
                format!(": needs {}{}{}{why}", at_most(fit), readable_size(bytes), of_context(fit, " for"))
            }
            (None, Some(bytes), _) if fit.fits == Some(false) => {
                let known = if fit.kv_bytes.is_some() { "weights, keys and values" } else { "weights" };
                let bytes = bytes.saturating_add(fit.kv_bytes.unwrap_or(0));
                format!(": its {known} alone need {}", readable_size(bytes))
            }
            (None, _, reason) => format!(": {}", line(reason.as_deref().unwrap_or_default())),
        };
        let more = up_to(fit).filter(|_| fit.fits == Some(false) || fit.largest_ctx > fit.ctx);
        format!("{needs}{}", more.or_else(|| beyond(fit)).unwrap_or_default())
    }
}
