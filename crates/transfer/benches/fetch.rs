//! How fast a file arrives whose source costs nothing, beside SHA-256 of the same bytes on one processor.
//!
//! The source gives bytes that are in memory, so two processors are nearly enough for a transfer: one thread hashes, and the others
//! receive and write. What `fetch` takes beyond `sha256` is time in which the hashing waits for bytes or for a processor.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up is told by a panic")]

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures_util::stream;
use provisioner_core::{
    ByteRange, Digest, FetchError, FetchErrorKind, Locator, Manifest, ManifestFile, ModelFetcher, NoProgress,
    Opened, ResolveRequest,
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Builder;
use transfer::{Place, Settings, Transfer};

const FILE_BYTES: u64 = 1 << 30;

/// How many bytes the source gives at once: about what a connection reads.
const PIECE_BYTES: usize = 256 << 10;

criterion_group!(benches, fetching);
criterion_main!(benches);

/// Fetches a file, and hashes its bytes from memory.
fn fetching(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (source, transfer, dir) = (Source::new(), Transfer::new(Settings::default()), folder());
    let file = ManifestFile {
        path: "model.gguf".parse().unwrap(),
        size: FILE_BYTES,
        digest: Some(Digest::sha256(source.sha256())),
        locator: Locator::Streamed("".into()),
    };

    let mut group = criterion.benchmark_group("1 GiB from memory");
    group.throughput(Throughput::Bytes(FILE_BYTES)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function("fetch", |bencher| {
        bencher.iter_batched(
            || place(dir.path()),
            |place| {
                runtime.block_on(transfer.fetch(&source, "test:model", &file, place, &NoProgress)).unwrap()
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("sha256", |bencher| bencher.iter(|| black_box(&source).sha256()));
    group.finish();
}

/// Makes a folder in memory, where the system has one. It takes 1 GiB.
fn folder() -> tempfile::TempDir {
    let in_memory = PathBuf::from("/dev/shm");
    let folder = if in_memory.is_dir() { in_memory } else { std::env::temp_dir() };
    tempfile::tempdir_in(folder).unwrap()
}

/// Removes the file of the run before, and returns where the next one goes.
fn place(dir: &Path) -> Place {
    let (data, journal) = (dir.join("data"), dir.join("journal"));
    for path in [&data, &journal] {
        // The first run has none.
        let _ = fs_err::remove_file(path);
    }
    Place { data, journal, guard: Arc::new(()) }
}

/// Gives the same byte again and again.
#[derive(Debug)]
struct Source {
    piece: Bytes,
}

impl Source {
    fn new() -> Self {
        Self { piece: vec![7; PIECE_BYTES].into() }
    }

    fn sha256(&self) -> [u8; 32] {
        let mut sha256 = Sha256::new();
        for _ in 0..FILE_BYTES / PIECE_BYTES as u64 {
            sha256.update(&self.piece);
        }
        sha256.finalize().into()
    }
}

#[async_trait]
impl ModelFetcher for Source {
    fn schemes(&self) -> &'static [&'static str] {
        &["test"]
    }

    async fn resolve(&self, _: &ResolveRequest) -> Result<Manifest, FetchError> {
        Err(FetchError::new(FetchErrorKind::Invalid, "the file is listed already"))
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let end = range.end.unwrap_or(file.size);
        let piece = self.piece.clone();
        let pieces = (range.start..end).step_by(PIECE_BYTES).map(move |at| {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            Ok(piece.slice(..left.min(PIECE_BYTES)))
        });
        Ok(Opened {
            range: ByteRange { start: range.start, end: Some(end) },
            total_size: Some(file.size),
            validator: None,
            stream: Box::pin(stream::iter(pieces)),
        })
    }
}
