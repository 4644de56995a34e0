//! Files in a real storage server of Xet, which `just xet-server` installs. Where it is not there, `.ci/run` leaves these
//! tests out by the name of this module.

use std::{
    env,
    net::{TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use model_provisioner::{TransferSettings, blocking};
use serde_json::json;
use testkit::{
    gguf,
    hub::{Fault, FaultKind, Origin, Synthetic},
};
use xet::xet_session::{Sha256Policy, XetSessionBuilder};

use crate::{
    fixture::{Fixture, code, settings},
    xet::tokens,
};

const ID: &str = "hf:org/repo/a.gguf";

/// The server; it ends with this.
struct Storage {
    dir: tempfile::TempDir,
    address: String,
    server: Child,
}

impl Storage {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Free a moment ago, and so most likely still.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program())
            .args(["--port", &port.to_string(), "--data-directory"])
            .arg(dir.path().join("data"))
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let storage = Self { dir, address: format!("http://127.0.0.1:{port}"), server };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        storage
    }

    /// Puts bytes in, and returns their hash.
    async fn put(&self, bytes: &[u8]) -> String {
        let builder = XetSessionBuilder::new().with_cache_dir(self.dir.path().join("upload"));
        let commit = builder.build().unwrap().new_upload_commit().unwrap();
        let commit = commit.with_endpoint(&self.address).with_token_info("any", u64::MAX / 2);
        let commit = commit.build().await.unwrap();
        commit.upload_bytes(bytes.to_vec(), Sha256Policy::Compute, None).await.unwrap();
        let report = commit.commit().await.unwrap();
        report.uploads.into_values().next().unwrap().xet_info.hash
    }

    /// Changes one byte in the middle of the largest file that the server holds.
    fn damage(&self) {
        let mut files = Vec::new();
        collect(&self.dir.path().join("data"), &mut files);
        let largest = files.into_iter().max_by_key(|path| fs_err::metadata(path).unwrap().len()).unwrap();
        let mut bytes = fs_err::read(&largest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let mut permissions = fs_err::metadata(&largest).unwrap().permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "the server made it read-only")]
        permissions.set_readonly(false);
        fs_err::set_permissions(&largest, permissions).unwrap();
        fs_err::write(&largest, bytes).unwrap();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// How many bytes unfinished transfers hold.
fn arrived(bench: &Fixture) -> u64 {
    let mut files = Vec::new();
    bench.partials().iter().for_each(|folder| collect(folder, &mut files));
    files.iter().map(|path| path.metadata().map_or(0, |data| data.blocks() * 512)).sum()
}

fn program() -> PathBuf {
    // This test is at `target/<profile>/deps/<name>`.
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(3).unwrap().join("tools/bin/local_cas_server");
    assert!(program.exists(), "`just xet-server` installs {}", program.display());
    program
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

async fn bench() -> (Storage, Fixture, Vec<u8>) {
    // No piece of it comes twice, for the storage keeps such ones once.
    bench_with(gguf(Synthetic { size_bytes: 12 << 20, seed: 5 }.bytes(0..12 << 20))).await
}

async fn bench_with(weights: Vec<u8>) -> (Storage, Fixture, Vec<u8>) {
    let (storage, bench) = (Storage::start(), Fixture::new());
    let hash = storage.put(&weights).await;
    bench.hub.repo("org/repo").xet("a.gguf", weights.clone(), &hash).publish();
    bench.hub.xet_cas(&storage.address);
    (storage, bench, weights)
}

/// How many bytes came by plain HTTP, and how many requests for them.
fn by_plain_http(bench: &Fixture) -> (u64, usize) {
    (bench.hub.bytes_sent("a.gguf"), bench.hub.count(|seen| seen.is_for("a.gguf")))
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn a_file_comes_from_the_storage_alone() {
    let (_storage, bench, weights) = bench().await;
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(&model.local_path).unwrap(), weights);
    assert_eq!(by_plain_http(&bench), (0, 0));
    assert_eq!(tokens(&bench.hub), 1, "for twelve ranges");
    bench.hub.reset_counts();
    assert!(bench.provisioner().ensure_present_str(ID, None).await.unwrap().cached);
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn what_the_storage_packs_and_keeps_once_comes_from_it() {
    let floats = (0..1_u16 << 15).flat_map(|n| f32::from(n).sqrt().to_le_bytes());
    let text = (0..200_000).flat_map(|n| format!("the number {n}\n").into_bytes());
    let noise = Synthetic { size_bytes: 1 << 20, seed: 5 }.bytes(0..1 << 20);
    let content: Vec<u8> = floats.chain(text).chain(noise.clone()).collect();
    let (storage, bench, weights) =
        bench_with(gguf([&content[..], &content[1 << 20..], &content].concat())).await;
    let mut files = Vec::new();
    collect(&storage.dir.path().join("data"), &mut files);
    let kept: u64 = files.iter().map(|path| fs_err::metadata(path).unwrap().len()).sum();
    assert!(kept < content.len() as u64, "it is packed: {kept}");
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(&model.local_path).unwrap(), weights);
    assert_eq!(by_plain_http(&bench), (0, 0));
}

#[test]
#[ignore = "needs local_cas_server; see just xet-server"]
fn one_client_serves_many_runtimes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (_storage, bench, weights) = runtime.block_on(bench());
    let provisioner = bench.provisioner();
    // The first call's runtime is gone when the second one comes.
    let first = runtime.block_on(provisioner.ensure_present_str(ID, None)).unwrap();
    drop(runtime);
    let provisioner = blocking::ModelProvisioner::from(provisioner);
    provisioner.remove(&ID.parse().unwrap()).unwrap();
    let again = provisioner.ensure_present_str("hf:org/repo@main/a.gguf", None).unwrap();
    assert!(!first.cached && !again.cached);
    assert_eq!(fs_err::read(again.local_path).unwrap(), weights);
    assert_eq!(by_plain_http(&bench), (0, 0));
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn a_flipped_byte_in_the_storage_is_never_seen() {
    let (storage, bench, weights) = bench().await;
    storage.damage();
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert!(by_plain_http(&bench).0 > 0, "plain HTTP took over");
    assert!(bench.partials().is_empty());
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn the_wrong_file_in_the_storage_is_never_seen() {
    let (storage, bench, weights) = bench().await;
    let other = storage.put(&gguf(Synthetic { size_bytes: 12 << 20, seed: 6 }.bytes(0..12 << 20))).await;
    bench.hub.repo("org/repo").xet("a.gguf", weights.clone(), &other).publish();
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(by_plain_http(&bench).0, weights.len() as u64, "all of it again");
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn a_wrong_digest_in_the_listing_fails() {
    let (_storage, bench, weights) = bench().await;
    let lfs = json!({ "lfs": { "oid": "0".repeat(64), "size": weights.len(), "pointerSize": 1 } });
    bench.hub.fault(Fault::on("*").at(Origin::Hub).kind(FaultKind::Listed("a.gguf".into(), lfs)));
    assert_eq!(code(bench.provisioner().ensure_present_str(ID, None).await), "digest-mismatch");
    assert!(!bench.cache().join("store-v1/blobs").exists(), "nothing is visible");
}

#[tokio::test]
#[ignore = "needs local_cas_server; see just xet-server"]
async fn a_storage_that_goes_away_on_the_way_is_made_up_for() {
    let (mut storage, bench, weights) = bench().await;
    let settings = TransferSettings { bytes_per_second: Some(8 << 20), ..settings() };
    let slow = bench.builder().transfer(settings).build().unwrap();
    let gone = async {
        while arrived(&bench) < 2 << 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        storage.server.kill().unwrap();
    };
    let (model, ()) = tokio::join!(slow.ensure_present_str(ID, None), gone);
    assert_eq!(fs_err::read(model.unwrap().local_path).unwrap(), weights);
    let (sent, _) = by_plain_http(&bench);
    assert!(sent > 0 && sent <= 10 << 20, "only what was missing: {sent}");
}
