//! Reading the header of a GGUF file: one of the shape of Llama 3's vocabulary (128,256 tokens, 280,147 merges, 7.8 MB),
//! and that vocabulary itself, where `tests/oracle/prepare.sh` has brought it.

#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::{hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model_inspect::{gguf::Header, inspect};
use testkit::GgufWriter;

const TOKENS: usize = 128_256;
const MERGES: usize = 280_147;

fn header() -> Vec<u8> {
    let text = |index: usize| format!("t{index:06}");
    let tokens: Vec<_> = (0..TOKENS).map(text).collect();
    let merges: Vec<_> = (0..MERGES).map(|index| format!("{index:03} {index:05}")).collect();
    let mut writer = GgufWriter::default();
    writer.string("general.architecture", "llama").u32("llama.context_length", 8192);
    writer.strings("tokenizer.ggml.tokens", &tokens).i32s("tokenizer.ggml.token_type", &vec![1; TOKENS]);
    writer.strings("tokenizer.ggml.merges", &merges).string("tokenizer.ggml.model", "gpt2");
    writer.to_bytes()
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gguf header");
    let bytes = header();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("from memory", |bencher| {
        bencher.iter(|| Header::read(&mut black_box(bytes.as_slice())).unwrap());
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("generated.gguf");
    fs_err::write(&path, &bytes).unwrap();
    group.bench_function("from a file", |bencher| bencher.iter(|| inspect(black_box(&path)).unwrap()));
    let real =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/oracle/models/ggml-vocab-llama-bpe.gguf");
    if let Ok(metadata) = fs_err::metadata(&real) {
        group.throughput(Throughput::Bytes(metadata.len()));
        group.bench_function("ggml-vocab-llama-bpe", |bencher| {
            bencher.iter(|| inspect(black_box(&real)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
