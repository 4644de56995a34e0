//! How long a caller waits for a model that is present, in a catalog of 1,000 records; and how fast the bytes of one
//! are hashed.
//!
//! `sha256` hashes the same number of bytes from memory, and `two streams` half as many of each of two.
//! What `verify` takes beyond `sha256` is reading and recording.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up is told by a panic")]

use std::{
    hint::black_box,
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use model_provisioner::{Digest, Expectation, ModelProvisioner, ModelRef, Outcome, blocking};
use paired_sha256::update_both;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const RECORDS: usize = 1000;
const LARGE_BYTES: u64 = 256 << 20;
/// What the library reads at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// A time long ago: a file that was written just now is not trusted by its stamp.
const WRITTEN_AT: Duration = Duration::from_secs(1_700_000_000);

criterion_group!(benches, present, hashing);
criterion_main!(benches);

/// `locate`, and `ensure` of a model that is present.
fn present(criterion: &mut Criterion) {
    let runtime = runtime();
    let setup = Setup::new();
    let (model, digest) = runtime.block_on(setup.record_many());
    let expectation = Expectation::pinned(digest);
    let (provisioner, mirror) =
        (&setup.provisioner, blocking::ModelProvisioner::from(setup.provisioner.clone()));

    let mut group = criterion.benchmark_group("locate");
    group.bench_function("async", |bencher| {
        bencher.iter(|| runtime.block_on(provisioner.locate(black_box(&model))).unwrap().unwrap());
    });
    group.bench_function("blocking", |bencher| {
        bencher.iter(|| mirror.locate(black_box(&model)).unwrap().unwrap());
    });
    group.finish();

    let mut group = criterion.benchmark_group("warm ensure");
    group.bench_function("async", |bencher| {
        bencher.iter(|| runtime.block_on(provisioner.ensure(black_box(&model), &expectation)).unwrap());
    });
    group.bench_function("blocking", |bencher| {
        bencher.iter(|| mirror.ensure(black_box(&model), &expectation).unwrap());
    });
    group.finish();
}

/// `verify` of a file in the page cache, and the digest alone.
fn hashing(criterion: &mut Criterion) {
    let runtime = runtime();
    let setup = Setup::new();
    let path = setup.dir.path().join("large.bin");
    let chunk: Vec<u8> = (0..CHUNK_BYTES).map(|at| (at * at).to_le_bytes()[1]).collect();
    let chunks = LARGE_BYTES / CHUNK_BYTES as u64;
    write(&path, (0..chunks).map(|_| chunk.as_slice()));
    let model = ModelRef::parse(path.to_str().unwrap(), None).unwrap();
    runtime.block_on(setup.provisioner.ensure(&model, &Expectation::none())).unwrap();

    let mut group = criterion.benchmark_group("hashing 256 MiB");
    group.throughput(Throughput::Bytes(LARGE_BYTES)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function("verify", |bencher| {
        bencher.iter(|| {
            let report = runtime.block_on(setup.provisioner.verify(black_box(&model))).unwrap();
            assert_eq!(report.outcome, Outcome::Pass);
        });
    });
    group.bench_function("sha256", |bencher| {
        bencher.iter(|| {
            let mut sha256 = Sha256::new();
            for _ in 0..chunks {
                sha256.update(black_box(&chunk));
            }
            sha256.finalize()
        });
    });
    group.bench_function("two streams", |bencher| {
        bencher.iter(|| {
            let (mut one, mut other) = (paired_sha256::Sha256::new(), paired_sha256::Sha256::new());
            for _ in 0..chunks / 2 {
                update_both((&mut one, black_box(&chunk)), (&mut other, black_box(&chunk)));
            }
            (one.finish(), other.finish())
        });
    });
    group.finish();
}

/// A cache and models in a temporary folder.
struct Setup {
    dir: TempDir,
    provisioner: ModelProvisioner,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let provisioner = ModelProvisioner::file_only(dir.path().join("cache")).unwrap();
        Self { dir, provisioner }
    }

    /// Records small models, each with its digest, and returns one from the middle.
    async fn record_many(&self) -> (ModelRef, Digest) {
        let mut models = Vec::new();
        for number in 0..RECORDS {
            let path = self.dir.path().join(format!("{number}.gguf"));
            let bytes = testkit::gguf(format!("{number}"));
            write(&path, [bytes.as_slice()]);
            let digest = Digest::sha256(Sha256::digest(&bytes).into());
            models.push((ModelRef::parse(path.to_str().unwrap(), None).unwrap(), digest));
        }
        for (model, digest) in &models {
            self.provisioner.ensure_present(model, Some(digest.clone())).await.unwrap();
        }
        assert_eq!(self.provisioner.list().await.unwrap().models.len(), RECORDS);
        models.swap_remove(RECORDS / 2)
    }
}

fn write<'a>(path: &Path, chunks: impl IntoIterator<Item = &'a [u8]>) {
    let mut file = fs_err::File::create(path).unwrap();
    for chunk in chunks {
        file.write_all(chunk).unwrap();
    }
    // Writing back while the clock runs would cost what is measured.
    file.sync_all().unwrap();
    file.file().set_modified(SystemTime::UNIX_EPOCH + WRITTEN_AT).unwrap();
}

/// What the command has.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
