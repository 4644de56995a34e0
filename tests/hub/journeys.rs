//! Journeys on which the hub does nothing wrong.

use std::os::unix::fs::PermissionsExt;
use testkit::{gguf, safetensors, safetensors_of};

use futures_util::future::join_all;
use model_provisioner::{
    Basis, Digest, DigestAlgorithm, Format, HubFetcher, HubSettings, Network, Outcome, Policy, blocking,
};
use sha1::{Digest as _, Sha1};
use testkit::{FakeModel, hub::Origin};

use crate::fixture::{Fixture, bytes, code};

#[tokio::test]
async fn a_file_is_fetched_once_and_verified() {
    let bench = Fixture::new();
    let weights = bytes(5 << 20, 1);
    let commit = bench.hub.repo("org/repo").lfs("sub/a b#[x]%.gguf", weights.clone()).publish();
    let id = "hf:org/repo/sub/a b#[x]%.gguf";
    let model = bench.provisioner().ensure_present_str(id, None).await.unwrap();
    assert_eq!((model.id.as_str(), model.cached), (id, false));
    assert_eq!(model.revision.as_deref(), Some(commit.as_str()));
    assert_eq!((model.verification.outcome, model.verification.basis), (Outcome::Pass, Some(Basis::Source)));
    assert!(model.local_path.ends_with("sub/a b#[x]%.gguf"));
    assert_eq!(fs_err::read(&model.local_path).unwrap(), weights);
    assert!(fs_err::symlink_metadata(&model.local_path).unwrap().is_file(), "a real file");
    assert!(bench.partials().is_empty());
    bench.hub.reset_counts();
    let again = bench.provisioner().ensure_present_str(id, model.digest).await.unwrap();
    assert!(again.cached && again.local_path == model.local_path);
    assert_eq!(bench.hub.requests().len(), 0, "a present model opens no socket");
    let offline = bench.builder().policy(Policy::default()).build().unwrap();
    assert!(offline.ensure_present_str(id, None).await.unwrap().cached);
    assert_eq!(code(offline.ensure_present_str("hf:org/other", None).await), "denied");
}

#[test]
fn callers_without_a_runtime_fetch_too() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(3 << 20, 1)).lfs("b.gguf", bytes(3 << 20, 2)).publish();
    let provisioner = blocking::ModelProvisioner::from(bench.provisioner());
    // Each call has a runtime of its own, and the connections of the first one are gone with it.
    for (name, seed) in [("a.gguf", 1), ("b.gguf", 2)] {
        let model = provisioner.ensure_present_str(&format!("hf:org/repo/{name}"), None).unwrap();
        assert_eq!(fs_err::read(model.local_path).unwrap(), bytes(3 << 20, seed), "{name}");
    }
}

#[tokio::test]
async fn a_sharded_model_comes_whole_with_its_projector() {
    let bench = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let shards = FakeModel::gguf().shards(3).write_to(dir.path(), "tiny-Q8_0").unwrap();
    let mut repo =
        bench.hub.repo("org/repo").lfs("mmproj-F16.gguf", gguf("projector")).lfs("imatrix.gguf", gguf("x"));
    for shard in &shards {
        repo = repo.lfs(shard.file_name().unwrap().to_str().unwrap(), fs_err::read(shard).unwrap());
    }
    repo.publish();
    for reference in ["hf:org/repo:q8_0", "hf:org/repo/tiny-Q8_0-00002-of-00003.gguf"] {
        let model = bench.provisioner().ensure_present_str(reference, None).await.unwrap();
        assert!(model.local_path.ends_with("tiny-Q8_0-00001-of-00003.gguf"), "{reference}");
        assert_eq!(model.files.len(), 4);
        assert_eq!(fs_err::read(model.mmproj.unwrap()).unwrap(), gguf("projector"));
    }
    assert_eq!(
        bench.hub.count(|seen| seen.file.is_some() && seen.status == 302),
        4,
        "shared files are fetched once"
    );
}

#[tokio::test]
async fn a_repository_is_what_an_engine_loads() {
    let bench = Fixture::new();
    let repo = bench
        .hub
        .repo("org/repo")
        .file("config.json", "{}")
        .file("README.md", "# x")
        .file("tokenizer.json", "");
    repo.lfs("model.safetensors", safetensors_of(2 << 20, 2)).lfs("pytorch_model.bin", "x").publish();
    let model = bench.provisioner().ensure_present_str("hf:org/repo", None).await.unwrap();
    let files: Vec<_> = model.files.iter().map(|file| file.path.to_string()).collect();
    assert_eq!(files, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert!(model.local_path.is_dir());
    assert_eq!(model.digest.unwrap().algorithm(), DigestAlgorithm::Sha256Tree);
    let some = bench.provisioner().ensure_present_str("hf:org/repo?include=*.json", None).await.unwrap();
    assert!(!some.cached && some.local_path != model.local_path, "another selection is another model");
    assert_eq!(some.files.len(), 2);
}

#[tokio::test]
async fn eight_at_once_make_one_download() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(3 << 20, 3)).publish();
    // Tasks of one process, and provisioners that know nothing of each other, as processes do.
    let shared = bench.provisioner();
    let tasks = (0..8).map(|n| {
        let provisioner = if n % 2 == 0 { shared.clone() } else { bench.provisioner() };
        async move { provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await }
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    let sent = bench.hub.bytes_sent("a.gguf");
    assert_eq!(sent, 3 << 20);
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn removing_frees_what_nothing_else_uses() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a-Q4_0.gguf", gguf("one")).lfs("b-Q8_0.gguf", gguf("two")).publish();
    let provisioner = bench.provisioner();
    let first = provisioner.ensure_present_str("hf:org/repo:Q4_0", None).await.unwrap();
    let both = provisioner.ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    provisioner.remove(&"hf:org/repo?include=*".parse().unwrap()).await.unwrap();
    assert!(!both.local_path.exists() && first.local_path.exists());
    provisioner.remove(&"hf:org/repo:Q4_0".parse().unwrap()).await.unwrap();
    assert!(!first.local_path.exists());
    let blobs = bench.cache().join("store-v1/blobs/sha256");
    let left =
        fs_err::read_dir(blobs).unwrap().flat_map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_lost_catalog_is_rebuilt_from_the_seals() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("one")).publish();
    let model = bench.provisioner().ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    fs_err::remove_dir_all(bench.cache().join("catalog-v1")).unwrap();
    bench.hub.reset_counts();
    let again = bench.provisioner().ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    assert!(again.cached && again.local_path == model.local_path);
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn verify_reads_what_was_fetched_and_asks_nobody() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("one")).publish();
    let provisioner = bench.provisioner();
    let model = provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    bench.hub.reset_counts();
    let reference = "hf:org/repo/a.gguf".parse().unwrap();
    assert_eq!(provisioner.verify(&reference).await.unwrap().outcome, Outcome::Pass);
    assert_eq!(bench.hub.requests().len(), 0);
    assert!(provisioner.ensure(&reference, &model_provisioner::Expectation::none()).await.unwrap().cached);
    fs_err::set_permissions(&model.local_path, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&model.local_path, gguf("onE")).unwrap();
    let mended = provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    assert_eq!(
        fs_err::read(mended.local_path).unwrap(),
        gguf("one"),
        "what was written over is fetched anew"
    );
}

#[tokio::test]
async fn the_policy_is_asked_first() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("one")).file("m.pkl", "x").publish();
    let with = |policy: Policy| {
        bench.builder().policy(Policy { network: Network::Allow, ..policy }).build().unwrap()
    };
    let repos = with(Policy { repos: Some(vec!["other/*".into()]), ..Policy::default() });
    assert_eq!(code(repos.ensure_present_str("hf:org/repo/a.gguf", None).await), "denied");
    assert_eq!(bench.hub.requests().len(), 0);
    let small = with(Policy { max_bytes: Some(2), ..Policy::default() });
    assert_eq!(code(small.ensure_present_str("hf:org/repo/a.gguf", None).await), "denied");
    // The endpoint has another name than the CDN to which it redirects.
    let settings = HubSettings::new(Some(&bench.hub.endpoint().replace("127.0.0.1", "localhost"))).unwrap();
    let confined = |hosts: &[&str]| {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let policy = Policy { network: Network::Allow, hosts: Some(hosts), ..Policy::default() };
        bench.builder().fetcher(HubFetcher::new(settings.clone())).policy(policy).build().unwrap()
    };
    bench.hub.reset_counts();
    let elsewhere = confined(&["huggingface.co"]).ensure_present_str("hf:org/repo/a.gguf", None).await;
    assert_eq!(code(elsewhere), "denied");
    assert_eq!(bench.hub.requests().len(), 0);
    let redirected =
        confined(&["localhost"]).ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap_err();
    assert_eq!(redirected.hint().unwrap().to_string(), "add `127.0.0.1` to the policy's `hosts`");
    assert_eq!(bench.hub.count(|seen| seen.origin == Origin::Cdn), 0);
    confined(&["localhost", "127.0.0.1"]).ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    bench.hub.reset_counts();
    let pickles = with(Policy::default());
    assert_eq!(code(pickles.ensure_present_str("hf:org/repo?include=*", None).await), "refused-format");
    assert_eq!(bench.hub.count(|seen| seen.file.is_some()), 0, "not a byte was fetched");
}

#[tokio::test]
async fn refreshing_follows_a_branch_that_moved() {
    let bench = Fixture::new();
    let publish = |weights: &str, config: &'static str| {
        let repo = bench.hub.repo("org/repo").lfs("a.gguf", gguf(weights)).file("config.json", config);
        repo.lfs("same.gguf", gguf("same")).file("same.json", "{}").publish()
    };
    let old = publish("old", "{ }");
    let provisioner = bench.provisioner();
    let id = "hf:org/repo?include=*".parse().unwrap();
    let none = model_provisioner::Expectation::none();
    let first = provisioner.ensure(&id, &none).await.unwrap();
    assert_eq!(provisioner.refresh(&id, &none).await.unwrap().local_path, first.local_path, "nothing moved");
    let new = publish("new", "{1}");
    assert_eq!(provisioner.ensure(&id, &none).await.unwrap().revision.as_deref(), Some(old.as_str()));
    bench.hub.reset_counts();
    let moved = provisioner.refresh(&id, &none).await.unwrap();
    assert_eq!((moved.revision.as_deref(), moved.cached), (Some(new.as_str()), false));
    assert_eq!(bench.hub.count(|seen| seen.path.contains("/tree/")), 1, "it is listed once");
    assert_eq!(fs_err::read(moved.local_path.join("a.gguf")).unwrap(), gguf("new"));
    assert_eq!(fs_err::read(moved.local_path.join("config.json")).unwrap(), b"{1}");
    let is_same = |file: &String| file.starts_with("same");
    assert_eq!(bench.hub.count(|seen| seen.file.as_ref().is_some_and(is_same)), 0, "it is held once");
    let models = provisioner.list().await.unwrap().models;
    let states: Vec<_> =
        models.iter().map(|model| (model.record.id.clone(), model.record.lifecycle.as_str())).collect();
    let retired = format!("hf:org/repo@{old}?include=*");
    assert_eq!(states, [(id.id(), "Active"), (retired, "Retired")]);
    assert_eq!(
        fs_err::read(first.local_path.join("a.gguf")).unwrap(),
        gguf("old"),
        "the refresh changed no file of the old revision"
    );
}

#[tokio::test]
async fn a_second_id_of_the_same_files_is_a_model_of_its_own() {
    let bench = Fixture::new();
    let commit = bench.hub.repo("org/repo").lfs("a.gguf", gguf("one")).publish();
    let provisioner = bench.provisioner();
    let first = provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    for id in ["hf:org/repo@main/a.gguf".to_owned(), format!("hf:org/repo@{commit}/a.gguf")] {
        let other = provisioner.ensure_present_str(&id, None).await.unwrap();
        assert_eq!((other.id, other.local_path), (id, first.local_path.clone()));
    }
    provisioner.remove(&"hf:org/repo/a.gguf".parse().unwrap()).await.unwrap();
    assert!(first.local_path.exists(), "others have it still");
}

#[tokio::test]
async fn rot_that_verify_finds_is_mended_and_spreads_no_further() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("one")).publish();
    bench.hub.repo("org/other").lfs("b.gguf", gguf("one")).publish();
    let provisioner = bench.provisioner();
    let id = "hf:org/repo/a.gguf".parse().unwrap();
    let path = provisioner.ensure_present(&id, None).await.unwrap().local_path;
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&path, gguf("onE")).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(provisioner.ensure_present(&id, None).await.unwrap().cached, "no stamp tells");
    assert_eq!(provisioner.verify(&id).await.unwrap().outcome, Outcome::Fail);
    let blobs = bench.cache().join("store-v1/blobs/sha256");
    let named =
        fs_err::read_dir(blobs).unwrap().flat_map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(
        named.filter(|entry| entry.as_ref().unwrap().path().extension().is_none()).count(),
        0,
        "no name is left"
    );
    let other = provisioner.ensure_present_str("hf:org/other/b.gguf", None).await.unwrap();
    assert_eq!(fs_err::read(other.local_path).unwrap(), gguf("one"));
    let mended = provisioner.ensure_present(&id, None).await.unwrap();
    assert_eq!(
        (mended.verification.outcome, fs_err::read(mended.local_path).unwrap()),
        (Outcome::Pass, gguf("one"))
    );
}

#[tokio::test]
async fn a_cache_that_was_copied_needs_no_network() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/repo")
        .lfs("model.safetensors", safetensors("one"))
        .file("config.json", "{}")
        .publish();
    bench.provisioner().ensure_present_str("hf:org/repo", None).await.unwrap();
    let (cache, copy) = (bench.cache(), bench.cache().with_extension("copy"));
    let copied = std::process::Command::new("cp").arg("-a").args([&cache, &copy]).status().unwrap();
    assert!(copied.success());
    fs_err::remove_dir_all(&cache).unwrap();
    fs_err::rename(&copy, &cache).unwrap();
    bench.hub.reset_counts();
    for _ in 0..2 {
        assert!(bench.provisioner().ensure_present_str("hf:org/repo", None).await.unwrap().cached);
    }
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn the_same_bytes_under_several_ids_at_once() {
    let bench = Fixture::new();
    for name in ["a", "b", "c", "d"] {
        let mut repo = bench.hub.repo(&format!("org/{name}"));
        for n in 0..40 {
            repo = repo.lfs(&format!("{n}.bytes"), format!("same {}", n / 2));
        }
        repo.publish();
    }
    let provisioners: Vec<_> = (0..4).map(|_| bench.provisioner()).collect();
    let tasks = provisioners.iter().zip(["a", "b", "c", "d"]).map(|(provisioner, name)| async move {
        provisioner.ensure_present_str(&format!("hf:org/{name}?include=*"), None).await
    });
    for done in join_all(tasks).await {
        assert_eq!(done.unwrap().files.len(), 40);
    }
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn hidden_files_and_strays_of_a_view_do_not_matter() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").file(".gitattributes", "x").file("config.json", "{}").publish();
    let provisioner = bench.provisioner();
    let id = "hf:org/repo?include=*".parse().unwrap();
    let model = provisioner.ensure_present(&id, None).await.unwrap();
    assert_eq!(model.files.len(), 2);
    assert!(provisioner.ensure_present(&id, None).await.unwrap().cached);
    fs_err::write(model.local_path.join("stray.txt"), "x").unwrap();
    assert!(provisioner.ensure_present(&id, None).await.unwrap().cached);
    assert_eq!(provisioner.verify(&id).await.unwrap().outcome, Outcome::Pass);
}

#[tokio::test]
async fn files_that_look_like_seals_are_believed_nowhere() {
    for lost in [".model.json", ""] {
        let bench = Fixture::new();
        bench.hub.repo("org/repo").file("sub/a.json", "{}").file("b.json", "{}").publish();
        let provisioner = bench.provisioner();
        let model = provisioner.ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
        let seal = fs_err::read_to_string(model.local_path.join(".model.json")).unwrap();
        let planted = seal.replace("org/repo?include=*", "trusted/model?include=*");
        fs_err::write(model.local_path.join("sub/.model.json"), &planted).unwrap();
        if lost.is_empty() {
            // The seal of another model.
            fs_err::write(model.local_path.join(".model.json"), planted).unwrap();
        } else {
            fs_err::remove_file(model.local_path.join(lost)).unwrap();
        }
        fs_err::remove_dir_all(bench.cache().join("catalog-v1")).unwrap();
        let ids: Vec<_> =
            bench.provisioner().list().await.unwrap().models.into_iter().map(|m| m.record.id).collect();
        assert!(ids.iter().all(|id| id.contains("org/repo")), "{ids:?}");
    }
}

#[tokio::test]
async fn names_that_cannot_be_together_are_refused_before_a_byte() {
    for names in [
        vec![".model.json"],
        vec!["a", "a/b"],
        vec![".model.json/x"],
        vec!["sub/.Model.json"],
        vec![".removed.json"],
    ] {
        let bench = Fixture::new();
        let repo = names.iter().fold(bench.hub.repo("org/repo"), |repo, name| repo.lfs(name, "x"));
        repo.publish();
        let refused = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await;
        assert_eq!(code(refused), "source-invalid", "{names:?}");
        assert_eq!(bench.hub.count(|seen| seen.file.is_some()), 0);
    }
}

#[tokio::test]
async fn a_plan_of_a_present_model_asks_nobody() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/repo")
        .lfs("model.safetensors", safetensors("one"))
        .file("config.json", "{}")
        .publish();
    let provisioner = bench.provisioner();
    let id = "hf:org/repo".parse().unwrap();
    assert_eq!(provisioner.plan(&id).await.unwrap().download_bytes(), 99 + 2);
    provisioner.ensure_present(&id, None).await.unwrap();
    bench.hub.reset_counts();
    assert_eq!(provisioner.plan(&id).await.unwrap().download_bytes(), 0);
    assert_eq!(bench.hub.requests().len(), 0);
    provisioner.retire(&id).await.unwrap();
    assert_eq!(code(provisioner.plan(&id).await), "retired");
}

#[tokio::test]
async fn a_pin_may_be_gits_id() {
    let bench = Fixture::new();
    let bytes = gguf("weights");
    bench.hub.repo("org/repo").file("config.json", "{}").lfs("a.gguf", bytes.clone()).publish();
    let id_of = |bytes: &[u8]| {
        let head = format!("blob {}\0", bytes.len());
        Digest::git_sha1(Sha1::new().chain_update(head).chain_update(bytes).finalize().into())
    };
    let ensure = async |path: &str, pin: Digest| {
        bench.provisioner().ensure_present_str(&format!("hf:org/repo/{path}"), Some(pin)).await
    };
    for (path, bytes) in [("config.json", &b"{}"[..]), ("a.gguf", &bytes)] {
        for _ in 0..3 {
            let model = ensure(path, id_of(bytes)).await.unwrap();
            assert_eq!(model.verification.basis, Some(Basis::Pinned));
        }
        assert_eq!(code(ensure(path, id_of(b"other")).await), "digest-mismatch", "{path}");
    }
}

#[tokio::test]
async fn a_format_that_is_refused_is_not_fetched() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("weights")).publish();
    let policy =
        Policy { formats: Some(vec![Format::Safetensors]), network: Network::Allow, ..Policy::default() };
    let provisioner = bench.builder().policy(policy).build().unwrap();
    assert_eq!(code(provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await), "denied");
    assert_eq!(bench.hub.count(|seen| seen.file.is_some()), 0);
}
