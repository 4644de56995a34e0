//! Any bytes as a GGUF file: no panic, no hang, and no memory that the bytes did not pay for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_provisioner_fuzz::InMemory;

fuzz_target!(|bytes: &[u8]| InMemory::new(&[("model.gguf", bytes)]).exercise());
