//! Chooses words for whether a model fits into memory.

use model_provisioner::{Engine, Fit, readable_size};

use crate::output::text::counted;

/// Returns a word for an upper bound.
pub(crate) fn at_most(fit: &Fit) -> &'static str {
    if fit.at_most { "at most " } else { "" }
}

/// Returns the context that the figure is of.
pub(crate) fn of_context(fit: &Fit, of: &str) -> String {
    fit.ctx.map(|tokens| format!("{of} {}", counted(tokens, "token"))).unwrap_or_default()
}

/// Returns the model's own maximum, where the context is longer.
pub(crate) fn beyond(fit: &Fit) -> Option<String> {
    let most = fit.ctx_max.filter(|_| fit.exceeds_ctx_max)?;
    Some(format!("; its own maximum is {}", counted(most, "token")))
}

/// Returns the longest context that fits, where one does.
pub(super) fn up_to(fit: &Fit) -> Option<String> {
    let largest = fit.largest_ctx.filter(|largest| *largest > 0)?;
    Some(format!("; up to {} would", counted(largest, "token")))
}

/// Returns what the engine takes beside weights, keys and values, where that is known.
pub(super) fn engine(fit: &Fit) -> Option<String> {
    let share = fit.engine?;
    let at_most = if share.at_most { "at most " } else { "" };
    let flash = match (share.name, share.flash_attn) {
        (Engine::LlamaCpp, true) => " with flash attention",
        (Engine::LlamaCpp, false) => " without flash attention",
        _ => "",
    };
    let left = match share.host_weights_bytes {
        0 => String::new(),
        bytes => format!("; leaves {} of the weights off the card", readable_size(bytes)),
    };
    Some(format!(
        "{at_most}{} for {}: {} to compute {} at once{flash}, {} for its runtime{left}",
        readable_size(share.bytes),
        share.name,
        readable_size(share.computing_bytes),
        counted(share.tokens_at_once, "token"),
        readable_size(share.runtime_bytes),
    ))
}

/// Returns the part of the card that the engine takes, where that is not all of it.
pub(super) fn of_card(fit: &Fit, vram_bytes: u64) -> String {
    let there = readable_size(vram_bytes);
    match (fit.usable_bytes, fit.engine) {
        (Some(usable), Some(share)) if usable < vram_bytes => {
            format!("{} of {there}, which {} takes", readable_size(usable), share.name)
        }
        _ => there,
    }
}
