//! Reads from a header how wide its model is.

use std::collections::BTreeMap;

use super::{Header, Tensor};
use crate::{
    details::DetailedFacts,
    engine::{Widths, is_known_architecture},
};

/// Types that llama.cpp multiplies as they are on NVIDIA's cards since Turing (`ggml_cuda_should_use_mmq`), or in cuBLAS. It makes
/// 16-bit floats of a matrix of any other type first.
const MULTIPLIED_AS_THEY_ARE: [&str; 22] = [
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ4_XS", "IQ4_NL",
];

/// Adds up the widths of a model's tensors, over its shards.
#[derive(Debug, Default)]
pub(super) struct WidthSums {
    /// The widths of each layer; those of all tensors of no layer are not in it.
    layers: BTreeMap<u64, u64>,
    widest: u64,
    converted: u64,
    embedding: Option<u64>,
    /// The rows and bytes of the token embeddings.
    embeddings: Option<(u64, Option<u64>)>,
    output: Option<u64>,
    /// The widths of all matrices, and the rows of the one with the most: bounds where the names of tensors tell nothing.
    all: u64,
    most_rows: u64,
}

impl WidthSums {
    /// Adds the tensors of one file. A token asks so many experts of each layer.
    pub(super) fn add(&mut self, header: &Header, experts_used: Option<u64>) {
        for tensor in header.tensors() {
            let [columns, rows, more @ ..] = tensor.dimensions.as_slice() else { continue };
            let name = tensor.name.as_str();
            if matches!(name, "token_embd.weight" | "output.weight") {
                self.most_rows = self.most_rows.max(*rows);
                if name == "output.weight" {
                    self.output = Some(*rows);
                } else {
                    (self.embedding, self.embeddings) = (Some(*columns), Some((*rows, tensor.bytes)));
                }
                continue;
            }
            let experts = more.iter().fold(1u64, |all, experts| all.saturating_mul(*experts));
            let used = experts_used.map_or(experts, |used| used.min(experts));
            let width = columns.saturating_add(*rows).saturating_mul(used);
            self.all = self.all.saturating_add(width);
            self.most_rows = self.most_rows.max(*rows);
            self.widest = self.widest.max((*columns).max(*rows).saturating_mul(used));
            if let Some(layer) = layer_of(name) {
                let sum = self.layers.entry(layer).or_default();
                *sum = sum.saturating_add(width);
            }
            self.converted = self.converted.max(converted(tensor, experts));
        }
    }

    /// Returns the widths of the whole model. `None` where it has no matrix.
    pub(super) fn finish(self, details: &DetailedFacts) -> Option<Widths> {
        let architecture = details.facts.architecture.as_deref();
        let layer = self.layers.values().copied().max();
        let vocabulary = self.output.or(self.embeddings.map(|(rows, _)| rows));
        let embedding = self.embedding.or(details.facts.embedding_length);
        let is_told = layer.is_some() && vocabulary.is_some() && embedding.is_some();
        if layer.is_none() && vocabulary.is_none() && self.most_rows == 0 {
            return None;
        }
        let is_known =
            is_told && architecture.is_some_and(is_known_architecture) && details.facts.heads.is_some();
        // Without a matrix of its own for the output, the card gets the embeddings too.
        let left = self.embeddings.filter(|_| self.output.is_some() && is_known).and_then(|(_, bytes)| bytes);
        Some(Widths {
            vocabulary: vocabulary.unwrap_or(0).max(details.facts.vocab_size.unwrap_or(0)).max(if is_told {
                0
            } else {
                self.most_rows
            }),
            embedding: embedding.unwrap_or(self.most_rows),
            layer: layer.unwrap_or(self.all),
            widest: self.widest,
            heads: details.facts.heads.unwrap_or(embedding.unwrap_or(self.most_rows)),
            converted: self.converted,
            host_bytes: left.unwrap_or(0),
            is_known,
        })
    }
}

/// Returns the number of the layer to which a tensor belongs (`blk.7.attn_q.weight`).
fn layer_of(name: &str) -> Option<u64> {
    name.strip_prefix("blk.")?.split_once('.')?.0.parse().ok()
}

/// Returns the elements of one matrix, where llama.cpp converts it as a whole.
fn converted(tensor: &Tensor, experts: u64) -> u64 {
    let kind = tensor.kind.to_string();
    if MULTIPLIED_AS_THEY_ARE.contains(&kind.as_str()) {
        return 0;
    }
    tensor.elements / experts.max(1)
}
