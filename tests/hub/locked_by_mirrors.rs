//! A mirror can withhold the bytes of a locked model, and nothing else.

use std::time::Duration;

use model_provisioner::{
    Digest, Expectation, HubFetcher, HubSettings, LockFile, ModelProvisioner, Network, Policy,
    ProvisionerBuilder, Token, TransferSettings,
};
use serde_json::json;
use testkit::{
    Hub,
    hub::{At, Fault, FaultKind, Origin, Refusal},
};

use crate::{
    fixture::{Fixture, builder_at, bytes, code, git_sha1, settings, sha256},
    locked::{ID, lock, publish, reference},
};

/// Returns a mirror of what the hub has at first.
fn mirror() -> Hub {
    let mirror = Hub::start();
    publish(&mirror, 1);
    mirror
}

fn fetcher(mirror: &Hub) -> HubFetcher {
    fetcher_at(&mirror.endpoint())
}

fn fetcher_at(endpoint: &str) -> HubFetcher {
    HubFetcher::new(HubSettings::mirror(endpoint).unwrap())
}

/// Begins a provisioner whose hub is gone, and that is held to a lock file.
fn without_hub(bench: &Fixture, lock: &LockFile) -> ProvisionerBuilder {
    builder_at(&bench.cache(), "http://127.0.0.1:1").locked(lock.clone())
}

async fn is_as_locked(provisioner: &ModelProvisioner) {
    let model = provisioner.ensure(&reference(), &Expectation::none()).await.unwrap_or_else(|error| {
        let log = provisioner.cache_dir().join("provenance.jsonl");
        panic!("{error}: {}", fs_err::read_to_string(log).unwrap_or_default())
    });
    assert_eq!(fs_err::read(model.local_path.join("a.gguf")).unwrap(), bytes(2 << 20, 1));
    assert_eq!(fs_err::read(model.local_path.join("config.json")).unwrap(), b"{\"seed\": 1}");
    assert!(provisioner.doctor(false).await.unwrap().is_empty());
}

/// Returns the mirrors that the log says were skipped, with the files that they did not send.
fn skipped(bench: &Fixture) -> Vec<(String, Option<String>)> {
    let lines = bench.provenance().into_iter().filter(|line| line["action"] == "skip-mirror");
    let told = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    lines.map(|line| (told(&line["mirror"]).unwrap(), told(&line["path"]))).collect()
}

#[tokio::test]
async fn a_mirror_sends_what_the_hub_no_longer_does() {
    let (bench, mirror) = (Fixture::new(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let provisioner = without_hub(&bench, &lock).mirror("near", fetcher(&mirror)).build().unwrap();
    is_as_locked(&provisioner).await;
    assert_eq!(skipped(&bench), []);
    let is_branch = |path: &str| path.ends_with("/main");
    assert_eq!(mirror.count(|seen| is_branch(&seen.path)), 0, "a mirror is not asked for a revision");
    // Without a mirror, it is the hub that is missing.
    let gone = builder_at(&bench.path("other"), "http://127.0.0.1:1").locked(lock).build().unwrap();
    assert_eq!(code(gone.ensure(&reference(), &Expectation::none()).await), "source-unavailable");
}

#[tokio::test]
async fn a_mirror_comes_before_the_hub() {
    let (bench, mirror) = (Fixture::new(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    bench.hub.reset_counts();
    let builder = bench.builder().locked(lock).mirror("near", fetcher(&mirror));
    is_as_locked(&builder.build().unwrap()).await;
    assert!(bench.hub.requests().is_empty());
}

#[tokio::test]
async fn a_lying_mirror_is_skipped_and_named_whatever_it_lies_about() {
    let on = |path: &str| Fault::on(path);
    let listed = |patch| on("/api/").kind(FaultKind::Listed("a.gguf".to_owned(), patch));
    let (zeros, size) = ("0".repeat(64), 2 << 20);
    let gone = || FaultKind::Refuse(Refusal::status(404));
    let broken = || FaultKind::Refuse(Refusal::status(503));
    let of_file = [
        on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(100)),
        on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(size - 1)),
        on("config.json").kind(FaultKind::Replace("{\"seed\": 3}".into())),
        on("a.gguf").kind(gone()),
        on("a.gguf").at(Origin::Cdn).kind(broken()),
        on("a.gguf").at(Origin::Cdn).kind(FaultKind::Stall(At::Half, None)),
        on("a.gguf").at(Origin::Cdn).kind(FaultKind::Cut(At::Half)),
        on("a.gguf").at(Origin::Cdn).kind(FaultKind::Extra(10)).clone(),
        on("config.json").kind(FaultKind::HtmlPage),
    ];
    let of_listing = [
        listed(json!({ "lfs": { "oid": zeros, "size": size } })),
        listed(json!({ "size": 7, "lfs": { "oid": zeros, "size": 7 } })),
        listed(json!({ "path": "other.gguf" })),
        on("/api/").kind(gone()),
        on("/api/").kind(broken()),
        on("/api/").kind(FaultKind::HtmlPage),
        on("/api/").kind(FaultKind::Stall(At::BeforeHead, None)),
        on("/api/").kind(FaultKind::Refuse(Refusal::status(429).retry_after_s(3600))),
    ];
    let faults = of_file.into_iter().map(|fault| (fault, true));
    for (fault, is_of_file) in faults.chain(of_listing.into_iter().map(|fault| (fault, false))) {
        let (bench, liar, honest) = (Fixture::new(), mirror(), mirror());
        publish(&bench.hub, 1);
        let lock = lock(&bench).await;
        let told = format!("{fault:?}");
        let is_silent = told.contains("Stall");
        liar.fault(fault);
        // A loaded machine needs time; a silent mirror takes all that it is given.
        let stall = Duration::from_secs(if is_silent { 2 } else { 60 });
        let builder = without_hub(&bench, &lock).transfer(TransferSettings { stall, ..settings() });
        let silent = HubSettings::mirror(&liar.endpoint()).unwrap().timeout(stall).deadline(stall);
        let builder = builder.mirror("liar", HubFetcher::new(silent));
        is_as_locked(&builder.mirror("honest", fetcher(&honest)).build().unwrap()).await;
        let named = skipped(&bench);
        assert!(
            matches!(named.as_slice(), [(name, path)] if name == "liar" && path.is_some() == is_of_file),
            "{told}: {named:?}"
        );
        assert!(!bench.cache().join("store-v1/quarantine").exists(), "{told}");
        assert!(bench.partials().is_empty(), "{told}");
        liar.clear_faults();
    }
}

#[tokio::test]
async fn a_mirror_that_lists_its_lie_by_gits_id_is_not_believed() {
    let (bench, liar, honest) = (Fixture::new(), mirror(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let lie = "{\"seed\": 9}";
    let listed = json!({ "oid": git_sha1(lie.as_bytes()), "size": lie.len() });
    liar.fault(Fault::on("/api/").kind(FaultKind::Listed("config.json".to_owned(), listed)));
    liar.fault(Fault::on("config.json").kind(FaultKind::Replace(lie.into())));
    let builder = without_hub(&bench, &lock).mirror("liar", fetcher(&liar));
    is_as_locked(&builder.mirror("honest", fetcher(&honest)).build().unwrap()).await;
    assert_eq!(skipped(&bench), [("liar".to_owned(), Some("config.json".to_owned()))]);
}

#[tokio::test]
async fn a_liar_alone_leaves_nothing_behind() {
    let (bench, liar) = (Fixture::new(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    liar.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(100)));
    let provisioner = without_hub(&bench, &lock).mirror("liar", fetcher(&liar)).build().unwrap();
    assert_eq!(code(provisioner.ensure(&reference(), &Expectation::none()).await), "source-unavailable");
    assert_eq!(liar.bytes_sent("a.gguf"), 2 << 20, "the file is not fetched twice");
    assert!(
        !bench.cache().join("store-v1/models").exists()
            && !bench.cache().join("store-v1/quarantine").exists()
    );
    assert_eq!(skipped(&bench), [("liar".to_owned(), Some("a.gguf".to_owned()))]);
}

#[tokio::test]
async fn good_bytes_that_are_here_stay_although_a_mirror_lies() {
    let (bench, liar) = (Fixture::new(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    // The store has the weights by another id.
    bench.provisioner().ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    liar.fault(Fault::on("a.gguf").may_miss().kind(FaultKind::Flip(100)));
    liar.fault(Fault::on("config.json").kind(FaultKind::Replace("{}".into())));
    let builder = bench.builder().locked(lock).mirror("liar", fetcher(&liar));
    is_as_locked(&builder.build().unwrap()).await;
    assert_eq!(liar.bytes_sent("a.gguf"), 0);
    assert!(!bench.cache().join("store-v1/quarantine").exists());
}

#[tokio::test]
async fn what_a_mirror_sent_before_it_failed_is_not_fetched_again() {
    let (bench, flaky, honest) = (Fixture::new(), mirror(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let gone = FaultKind::Refuse(Refusal::status(404));
    flaky.fault(Fault::on("a.gguf").at(Origin::Cdn).after(1).kind(gone));
    let builder = without_hub(&bench, &lock).mirror("flaky", fetcher(&flaky));
    is_as_locked(&builder.mirror("honest", fetcher(&honest)).build().unwrap()).await;
    assert_eq!((flaky.bytes_sent("a.gguf"), honest.bytes_sent("a.gguf")), (1 << 20, 1 << 20));
}

#[tokio::test]
async fn one_wrong_file_of_many_small_ones_does_not_taint_the_others() {
    let (bench, liar, honest) = (Fixture::new(), Hub::start(), Hub::start());
    for hub in [&bench.hub, &liar, &honest] {
        let names = (0..80).map(|number| format!("part-{number:02}.bin"));
        let repo = names.fold(hub.repo("org/repo"), |repo, name| repo.lfs(&name, name.clone()));
        repo.file("config.json", "{}").publish();
    }
    let lock = lock(&bench).await;
    liar.fault(Fault::on("part-40.bin").at(Origin::Cdn).kind(FaultKind::Flip(3)));
    let builder = without_hub(&bench, &lock).mirror("liar", fetcher(&liar));
    let provisioner = builder.mirror("honest", fetcher(&honest)).build().unwrap();
    let model = provisioner.ensure(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!(model.files.len(), 81);
    assert_eq!(fs_err::read(model.local_path.join("part-40.bin")).unwrap(), b"part-40.bin");
    assert_eq!(skipped(&bench), [("liar".to_owned(), Some("part-40.bin".to_owned()))]);
    assert!(liar.bytes_sent("part-00.bin") > 0 && honest.bytes_sent("part-00.bin") == 0);
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn a_mirror_gets_no_token_and_keeps_to_the_hosts_of_the_policy() {
    let (bench, mirror) = (Fixture::new(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    bench.hub.grant("hf_secret");
    let hub = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().token(Token::new("hf_secret"));
    let builder = || bench.builder().fetcher(HubFetcher::new(hub.clone())).locked(lock.clone());
    let elsewhere = mirror.endpoint().replace("127.0.0.1", "localhost");
    let policy =
        Policy { network: Network::Allow, hosts: Some(vec!["127.0.0.1".to_owned()]), ..Policy::default() };
    let confined = builder().policy(policy).mirror("denied", fetcher_at(&elsewhere)).build().unwrap();
    is_as_locked(&confined).await;
    assert!(mirror.connections().is_empty(), "the policy denies its host");
    assert_eq!(skipped(&bench), [("denied".to_owned(), None)]);
    confined.remove(&reference()).await.unwrap();
    is_as_locked(&builder().mirror("near", fetcher(&mirror)).build().unwrap()).await;
    assert!(!mirror.requests().is_empty());
    assert!(mirror.requests().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn no_mirror_is_asked_for_what_no_digest_tells() {
    let (bench, mirror) = (Fixture::new(), mirror());
    let commit = publish(&bench.hub, 1);
    let with_mirror = |cache: &str, endpoint: &str| {
        let builder = builder_at(&bench.path(cache), endpoint);
        builder.mirror("near", fetcher(&mirror)).build().unwrap()
    };
    let hub = bench.hub.endpoint();
    with_mirror("a", &hub).ensure(&reference(), &Expectation::none()).await.unwrap();
    with_mirror("a", &hub).lock(&reference()).await.unwrap();
    assert!(mirror.connections().is_empty());
    // With a digest of the caller, the hub says which revision is meant, and the mirror sends the bytes.
    let digest: Digest = format!("sha256:{}", sha256(bytes(2 << 20, 1))).parse().unwrap();
    let file = "hf:org/repo/a.gguf";
    bench.hub.reset_counts();
    with_mirror("b", &hub).ensure_str(file, &Expectation::pinned(digest.clone())).await.unwrap();
    assert_eq!((bench.hub.bytes_sent("a.gguf"), mirror.bytes_sent("a.gguf")), (0, 2 << 20));
    let gone = "http://127.0.0.1:1";
    let unknown = with_mirror("c", gone).ensure_str(file, &Expectation::pinned(digest.clone())).await;
    assert_eq!(code(unknown), "source-unavailable", "no mirror says which revision a branch means");
    let pinned = format!("hf:org/repo@{commit}/a.gguf");
    with_mirror("d", gone).ensure_str(&pinned, &Expectation::pinned(digest)).await.unwrap();
    // A set that the Hub lists by git's ids too is listed by the hub, and its weights still come from the mirror.
    let set = "hf:org/repo?include=*";
    let ready = with_mirror("e", &hub).ensure_present_str(set, None).await.unwrap();
    let tree = Expectation::pinned(ready.digest.unwrap());
    let at_commit = format!("hf:org/repo@{commit}?include=*");
    let before = mirror.bytes_sent("a.gguf");
    with_mirror("f", &hub).ensure_str(&at_commit, &tree).await.unwrap();
    assert_eq!(mirror.bytes_sent("a.gguf") - before, 2 << 20);
    assert!(!fs_err::read_to_string(bench.path("f/provenance.jsonl")).unwrap().contains("skip-mirror"));
    // A lost file has the digest of its record.
    let lost = with_mirror("d", gone).ensure_present_str(&pinned, None).await.unwrap();
    fs_err::remove_dir_all(bench.path("d/store-v1/blobs")).unwrap();
    fs_err::remove_file(&lost.local_path).unwrap();
    let again = with_mirror("d", gone).ensure_present_str(&pinned, None).await.unwrap();
    assert_eq!(fs_err::read(again.local_path).unwrap(), bytes(2 << 20, 1));
}

#[tokio::test]
async fn what_an_earlier_call_left_of_a_liar_is_not_held_against_the_next_mirror() {
    let (bench, liar, honest) = (Fixture::new(), mirror(), mirror());
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    liar.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(100)));
    // The second chunk never comes, so that the call can be dropped with wrong bytes on the disk.
    liar.fault(Fault::on("a.gguf").at(Origin::Cdn).after(1).kind(FaultKind::Stall(At::BeforeHead, None)));
    let slow = without_hub(&bench, &lock).mirror("liar", fetcher(&liar)).build().unwrap();
    let id = reference();
    let call = tokio::spawn(async move { slow.ensure(&id, &Expectation::none()).await });
    let is_second = |hub: &Hub| hub.count(|seen| seen.origin == Origin::Cdn) > 1;
    let waiting =
        tokio::task::spawn_blocking(move || (liar.wait_until(Duration::from_secs(20), is_second), liar));
    let (has_come, _liar) = waiting.await.unwrap();
    assert!(has_come);
    call.abort();
    let _ = call.await;
    let builder = without_hub(&bench, &lock).mirror("honest", fetcher(&honest));
    is_as_locked(&builder.build().unwrap()).await;
    assert_eq!(skipped(&bench), []);
    assert!(lock.get(ID).is_some());
}
