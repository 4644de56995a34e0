//! Any bytes as a file whose format is to be told: a pickle, a zip, a tar, an array of NumPy, a compressed file.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use model_inspect::format_of;

const NAMES: [&str; 4] = ["model.dat", "model.pt", "model.safetensors", "model.bin"];

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the name.
    let Some((which, bytes)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    let mut source = bytes;
    black_box(format_of(name, &mut source).expect("bytes in memory can be read"));
});
