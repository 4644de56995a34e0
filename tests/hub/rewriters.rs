//! The owner of an adopted file who rewrites it the moment its link is there, and sets its modification time back.
//!
//! The rewriter watches its own file: each link of ours adds one to the count that `stat` tells. Whichever step it aims at,
//! no later call may hand its bytes out.

use std::{
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use model_provisioner::{AdoptMode, Digest, Expectation, ImportRequest, ModelProvisioner, ModelRef};
use testkit::tier;

use crate::fixture::{Fixture, bytes, sha256};

const ID: &str = "hf:org/repo/a.gguf";
const SIZE: usize = 64 << 10;

/// Rounds for each aim: one, or hundreds for all with `MODEL_PROVISIONER_PROVE=full`.
fn rounds() -> usize {
    tier(1, 40)
}

/// Waits for so many links of a file and for so long after, writes one byte, and sets the modification time back.
fn rewrite_at(path: &Path, links: u64, after: Duration, stop: &AtomicBool) {
    let file = File::options().write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    while file.metadata().unwrap().nlink() < links {
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
    let seen = Instant::now();
    while seen.elapsed() < after {
        std::hint::spin_loop();
    }
    file.write_all_at(b"#", SIZE as u64 / 2).unwrap();
    file.set_modified(modified).unwrap();
}

/// What came of a call that the rewriter aimed at.
#[derive(Debug, Default)]
struct Tally {
    /// How often the call itself failed.
    refused: usize,
    /// How often the file had other bytes when the call ended well: it may change after the last look.
    changed_after: usize,
    /// How often a later call handed out other bytes.
    passed: usize,
}

/// Runs a call while the rewriter aims at it, and looks at what a later one hands out.
async fn round(
    tally: &mut Tally,
    aim: (u64, Duration),
    theirs: &Path,
    provisioner: &ModelProvisioner,
    call: impl AsyncFn(&ModelProvisioner) -> model_provisioner::Result<PathBuf>,
) {
    let right = fs_err::read(theirs).unwrap();
    let (target, stop) = (theirs.to_owned(), std::sync::Arc::new(AtomicBool::new(false)));
    let rewriter = thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || rewrite_at(&target, aim.0, aim.1, &stop)
    });
    let called = call(provisioner).await;
    // A rewriter that aims at a later moment is let to come to it.
    thread::sleep(aim.1);
    stop.store(true, Ordering::Relaxed);
    rewriter.join().unwrap();
    let is_right = |path: &Path| fs_err::read(path).unwrap() == right;
    match called {
        Ok(path) => tally.changed_after += usize::from(!is_right(&path)),
        Err(_) => tally.refused += 1,
    }
    let expectation = Expectation::pinned(digest(&right)).strict(true);
    if let Ok(again) = provisioner.ensure(&ID.parse().unwrap(), &expectation).await {
        tally.passed += usize::from(!is_right(&again.local_path));
    }
}

fn digest(bytes: &[u8]) -> Digest {
    format!("sha256:{}", sha256(bytes)).parse().unwrap()
}

/// Each link of ours, at once and a while after it: theirs has one name, a partial is the second, the view's the third.
fn aims() -> impl Iterator<Item = (u64, Duration)> {
    let delays = [0, 1, 5, 15, 19, 21, 25].map(Duration::from_millis);
    [2, 3].into_iter().flat_map(move |links| delays.map(|delay| (links, delay)))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rewritten_file_passes_an_ensure() {
    let mut tally = Tally::default();
    for _ in 0..rounds() {
        for aim in aims() {
            let bench = Fixture::new();
            let weights = bytes(SIZE, 7);
            bench.hub.repo("org/repo").lfs("a.gguf", weights.clone()).publish();
            let theirs =
                bench.foreign(&format!("hub/models--org--repo/blobs/{}", sha256(&weights)), &weights);
            let expectation = Expectation::pinned(digest(&weights)).strict(true);
            let ensure = async |provisioner: &ModelProvisioner| {
                Ok(provisioner.ensure_str(ID, &expectation).await?.local_path)
            };
            round(&mut tally, aim, &theirs, &bench.adopter(AdoptMode::Link), ensure).await;
        }
    }
    assert_eq!(tally.passed, 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rewritten_file_passes_an_import() {
    let mut tally = Tally::default();
    for _ in 0..rounds() {
        for aim in aims() {
            let bench = Fixture::new();
            let theirs = bench.foreign("mine.gguf", bytes(SIZE, 7));
            let id: ModelRef = ID.parse().unwrap();
            let mut request = ImportRequest::new(&theirs);
            request.id = Some(id);
            request.digest = Some(digest(&fs_err::read(&theirs).unwrap()));
            let import =
                async |provisioner: &ModelProvisioner| Ok(provisioner.import(&request).await?.local_path);
            round(&mut tally, aim, &theirs, &bench.provisioner(), import).await;
        }
    }
    assert_eq!(tally.passed, 0, "{tally:?}");
}
