//! Reads from a config how wide its model is.

use super::config::Config;
use crate::{details::DetailedFacts, engine::Widths};

/// Returns the widths that a config tells. `None` where it does not tell how wide the layers are: names of tensors do not, as packed
/// weights have shapes of their own.
pub(super) fn widths(config: &Config, details: &DetailedFacts) -> Option<Widths> {
    let count = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| config.get(key)?.as_u64());
        found.filter(|count| *count > 0)
    };
    let (embedding, vocabulary) = (details.facts.embedding_length?, details.facts.vocab_size?);
    let heads = details.facts.heads?;
    let (keys, values) = (details.key_length?, details.value_length?);
    let dense = count(&["intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size"]);
    let of_expert = count(&["moe_intermediate_size", "expert_ffn_hidden_size"]).or(dense);
    let experts = details.experts_used.or(details.experts).unwrap_or(0);
    let shared = count(&["n_shared_experts", "num_shared_experts"]).unwrap_or(0);
    let beside = count(&["shared_expert_intermediate_size"]);
    // Three matrices, each between the embedding and the network's own width.
    let network = |width: u64| width.saturating_add(embedding).saturating_mul(3);
    let of_experts = match of_expert {
        Some(width) => network(width).saturating_mul(experts.saturating_add(shared)),
        None if experts > 0 => return None,
        None => 0,
    };
    let of_experts = of_experts.saturating_add(beside.map_or(0, network));
    let feed_forward = match dense {
        Some(width) => network(width).max(of_experts),
        None if experts > 0 => of_experts,
        None => return None,
    };
    // As many heads for keys and values as for queries, where there may be fewer.
    let projected = keys.saturating_mul(2).saturating_add(values.saturating_mul(2)).saturating_mul(heads);
    let attention = projected.saturating_add(embedding.saturating_mul(4));
    Some(Widths {
        vocabulary,
        embedding,
        layer: attention.saturating_add(feed_forward),
        widest: dense.unwrap_or(0).max(of_experts).max(projected).max(embedding),
        heads,
        converted: 0,
        host_bytes: 0,
        is_known: false,
    })
}
