//! A lock names revisions and digests, and fetches little for them.

use model_provisioner::{Expectation, LockState, LockedModel, ModelProvisioner, ModelRef, Network, Policy};
use testkit::{
    gguf,
    hub::{Fault, FaultKind},
    safetensors,
};

use crate::fixture::{Fixture, builder_at, code, content_sent, sha256};

const ID: &str = "hf:org/repo";

/// Publishes weights of 2 MiB, and two files that the Hub knows by git's id. Returns the commit.
fn publish(bench: &Fixture, seed: usize) -> String {
    let repo = bench.hub.repo("org/repo").file("config.json", "{}").file("sub/notes.txt", format!("{seed}"));
    repo.lfs("model.safetensors", testkit::safetensors_of(2 << 20, seed)).publish().to_string()
}

async fn locked(provisioner: &ModelProvisioner, id: &str) -> LockedModel {
    provisioner.lock(&id.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_lock_has_the_sha256_of_every_file_and_fetches_the_small_ones_alone() {
    let bench = Fixture::new();
    let commit = publish(&bench, 1);
    let model = locked(&bench.provisioner(), "hf:org/repo?include=*").await;
    assert_eq!(model.revision(), Some(commit.as_str()));
    let found: Vec<_> = model.files().iter().map(|file| (file.path.as_str(), file.sha256.hex())).collect();
    let weights = sha256(testkit::safetensors_of(2 << 20, 1));
    let (config, notes) = (sha256("{}"), sha256("1"));
    let expected = [("config.json", config), ("model.safetensors", weights), ("sub/notes.txt", notes)];
    assert_eq!(found, expected);
    assert!(content_sent(&bench) < 1000, "no weights were fetched");
    // Nothing of it is kept, and the store needs no second look at the hub.
    bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    bench.hub.reset_counts();
    assert_eq!(locked(&bench.provisioner(), ID).await.files().len(), 3);
    assert_eq!(bench.hub.bytes_sent("sub/notes.txt"), 0, "the store knows the digests");
}

#[tokio::test]
async fn a_small_file_with_other_bytes_is_not_locked() {
    let bench = Fixture::new();
    publish(&bench, 1);
    bench.hub.fault(Fault::on("sub/notes.txt").kind(FaultKind::Replace("2".into())));
    let id: ModelRef = "hf:org/repo?include=*".parse().unwrap();
    assert_eq!(code(bench.provisioner().lock(&id).await), "digest-mismatch");
}

#[tokio::test]
async fn the_policy_is_asked_before_the_hub() {
    let bench = Fixture::new();
    publish(&bench, 1);
    let id: ModelRef = ID.parse().unwrap();
    for (policy, expected) in [
        (Policy::default(), "denied"),
        (Policy { network: Network::Offline, ..Policy::default() }, "offline"),
        (
            Policy { network: Network::Allow, repos: Some(vec!["other/*".to_owned()]), ..Policy::default() },
            "denied",
        ),
    ] {
        let provisioner = bench.builder().policy(policy).build().unwrap();
        assert_eq!(code(provisioner.lock(&id).await), expected);
    }
    assert!(bench.hub.connections().is_empty());
}

#[tokio::test]
async fn what_is_here_is_locked_where_the_user_took_the_network_away() {
    let bench = Fixture::new();
    publish(&bench, 1);
    let online = locked(&bench.provisioner(), ID).await;
    bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    publish(&bench, 2);
    let offline = Policy { network: Network::Offline, ..Policy::default() };
    let offline = bench.builder().policy(offline).build().unwrap();
    bench.hub.reset_counts();
    assert_eq!(locked(&offline, ID).await, online);
    assert_eq!(code(offline.lock(&"hf:org/absent".parse().unwrap()).await), "offline");
    assert_eq!(code(offline.check_lock(&online).await), "offline", "what is here says nothing of the branch");
    assert!(bench.hub.requests().is_empty());
}

#[tokio::test]
async fn a_check_says_what_has_moved_and_asks_nothing_of_a_commit() {
    let bench = Fixture::new();
    let commit = publish(&bench, 1);
    let provisioner = bench.provisioner();
    let branch = locked(&provisioner, ID).await;
    let pinned = locked(&provisioner, &format!("hf:org/repo@{commit}")).await;
    assert_eq!(provisioner.check_lock(&branch).await.unwrap(), LockState::Current);
    let moved = publish(&bench, 2);
    bench.hub.reset_counts();
    assert_eq!(provisioner.check_lock(&pinned).await.unwrap(), LockState::Current);
    assert!(bench.hub.requests().is_empty(), "a commit does not move");
    assert_eq!(provisioner.check_lock(&branch).await.unwrap(), LockState::Moved { revision: Some(moved) });
    let gone = builder_at(&bench.cache(), "http://127.0.0.1:1").build().unwrap();
    assert_eq!(code(gone.check_lock(&branch).await), "source-unavailable");
}

#[tokio::test]
async fn a_single_file_and_a_quantization_are_locked_by_their_ids() {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/gguf").lfs("a-Q4_0.gguf", gguf("four")).lfs("mmproj-a.gguf", gguf("eyes"));
    repo.lfs("a-Q8_0.gguf", gguf("eight")).file("README.md", "x").publish();
    bench.hub.repo("org/st").lfs("model.safetensors", safetensors("w")).publish();
    let provisioner = bench.provisioner();
    let found = locked(&provisioner, "hf:org/gguf:q4_0").await;
    assert_eq!(found.reference().id(), "hf:org/gguf:Q4_0");
    let names: Vec<_> = found.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["a-Q4_0.gguf", "mmproj-a.gguf"]);
    let lock = [found, locked(&provisioner, "hf:org/st/model.safetensors").await].into_iter().collect();
    let held = bench.builder().locked(lock).build().unwrap();
    let model = held.ensure_str("hf:org/gguf:Q4_0", &Expectation::none()).await.unwrap();
    assert_eq!(model.local_path.file_name().unwrap(), "a-Q4_0.gguf");
    assert!(model.mmproj.is_some());
    let digest = model.digest.clone().unwrap();
    assert_eq!(digest.hex(), sha256(gguf("four")), "a model of one file is known by its own digest");
    held.ensure_str("hf:org/gguf:Q4_0", &Expectation::pinned(digest)).await.unwrap();
    held.ensure_str("hf:org/st/model.safetensors", &Expectation::none()).await.unwrap();
}
