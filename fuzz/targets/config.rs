//! Any bytes as one of the JSON files beside good weights.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_provisioner_fuzz::InMemory;

const NAMES: [&str; 4] =
    ["config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer_config.json"];
const WEIGHTS: &[u8] =
    b"\x39\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   \0\0\0\0";

fuzz_target!(|bytes: &[u8]| {
    // The first byte says which of them it is.
    let Some((which, bytes)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    let mut files = [(name, bytes), ("model.safetensors", WEIGHTS)];
    files.sort_unstable_by_key(|(name, _)| *name);
    InMemory::new(&files).exercise();
});
