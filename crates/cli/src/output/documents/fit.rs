//! Chooses words for whether a model fits into memory.

use model_provisioner::Fit;

use crate::output::text::counted;

/// Returns a word for an upper bound.
pub(super) fn at_most(fit: &Fit) -> &'static str {
    if fit.at_most { "at most " } else { "" }
}

/// Returns the context that the figure is of.
pub(super) fn of_context(fit: &Fit, of: &str) -> String {
    fit.ctx.map(|tokens| format!("{of} {}", counted(tokens, "token"))).unwrap_or_default()
}

/// Returns the longest context that fits, where one does.
pub(super) fn up_to(fit: &Fit) -> Option<String> {
    let largest = fit.largest_ctx.filter(|largest| *largest > 0)?;
    Some(format!("; up to {} would", counted(largest, "token")))
}
