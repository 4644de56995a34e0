//! The file lists of well-known repositories as they are published: what must come, what must stay out, and why.
//!
//! A fixture has one block for each repository:
//!
//! ```text
//! hf:org/repo                      the reference
//! # why                            comments
//! = config.json {"model_type": …}  a manifest that is read
//! weights model.safetensors        a file that comes, with its role; `@SIZE` behind it is its size in bytes
//! -pickle pytorch_model.bin        a file that stays out, with the reason
//! > folder cpu-int4                the entry, where it is not the folder of all files
//! > projector mmproj-F16.gguf      the projector
//! > notice base-model              a notice
//! ! Ambiguous cuda/cuda-fp16       the error, and a part of its text
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod block;

use block::check;

#[test]
fn transformers() {
    check(include_str!("transformers.txt"), 46);
}

#[test]
fn quantized_transformers() {
    check(include_str!("quantized.txt"), 9);
}

#[test]
fn sentence_transformers() {
    check(include_str!("sentence_transformers.txt"), 8);
}

#[test]
fn diffusers() {
    check(include_str!("diffusers.txt"), 9);
}

#[test]
fn adapters() {
    check(include_str!("adapters.txt"), 5);
}

#[test]
fn gguf() {
    check(include_str!("gguf.txt"), 17);
}

#[test]
fn exports() {
    check(include_str!("exports.txt"), 31);
}

#[test]
fn single_files() {
    check(include_str!("single_files.txt"), 15);
}
