//! Any bytes as a safetensors file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_provisioner_fuzz::InMemory;

fuzz_target!(|bytes: &[u8]| InMemory::new(&[("model.safetensors", bytes)]).exercise());
