//! Formats are told by contents, whatever the name: sound files, hostile ones, and harmless ones that look alike.

#![expect(clippy::unwrap_used, reason = "tests")]

mod archives;
mod bounds;
mod harmless;
mod hostile;
mod pickles;
mod python_engines;

use model_inspect::format_of;
use provisioner_core::Format;

/// Names that say nothing of a file, or something wrong.
const NAMES: [&str; 20] = [
    "weights.dat",
    "tokenizer.model",
    "model",
    "model.bin",
    "model.safetensors",
    "model.gguf",
    "config.json",
    "README.md",
    "vocab.txt",
    "model.onnx",
    "voices.npz",
    "array.npy",
    "bundle.zip",
    "bundle.tar",
    "picture.png",
    "sound.wav",
    "model.task",
    "model.tflite",
    "x.weights",
    ".hidden",
];

fn told(name: &str, bytes: &[u8]) -> Format {
    let mut source = bytes;
    format_of(name, &mut source).unwrap()
}

/// Checks the format of some bytes under every name.
fn check(what: &str, bytes: &[u8], expected: Format) {
    for name in NAMES {
        assert_eq!(told(name, bytes), expected, "{what} as `{name}`");
    }
}
