//! A model that is whole in the cache of the Hub's own tools needs no network.

use std::path::Path;

use model_provisioner::{
    AdoptMode, Adoption, Basis, Expectation, HubFetcher, HubSettings, ModelProvisioner, Network, Outcome,
    Policy, ProvisionerBuilder,
};
use testkit::{HubCache, gguf, safetensors};

use crate::fixture::{Fixture, code, settings};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const XET: &str = "91e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5";

/// A provisioner that knows a cache, and a hub at an address where nothing listens.
fn builder(bench: &Fixture, network: Network) -> ProvisionerBuilder {
    let caches = vec![bench.path("foreign/hub")];
    let hub = HubSettings::new(Some("http://127.0.0.1:1")).unwrap().caches(caches.clone());
    ModelProvisioner::builder(bench.cache())
        .fetcher(HubFetcher::new(hub))
        .adopt(Adoption { mode: AdoptMode::Link, huggingface: caches, ..Adoption::default() })
        .policy(Policy { network, ..Policy::default() })
        .transfer(settings())
}

fn provisioner(bench: &Fixture, network: Network) -> ModelProvisioner {
    builder(bench, network).build().unwrap()
}

/// A cache with two models in GGUF, a projector, and a Transformers repository.
fn caches(bench: &Fixture) {
    let cache = bench.path("foreign/hub");
    let repo = HubCache::new(&cache, "org/gguf", COMMIT).branch("refs/pr/1").branch("v1");
    let repo = repo.lfs("tiny-Q4_K_M.gguf", gguf("four")).xet("tiny-Q8_0.gguf", gguf("eight"), XET);
    repo.lfs("mmproj-F16.gguf", gguf("projector")).listed("tiny-F32.gguf", gguf("not here")).write_tree();
    let repo = HubCache::new(&cache, "org/st", COMMIT).lfs("model.safetensors", safetensors("weights"));
    repo.file("config.json", "{}").file("additional_chat_templates/x.jinja", "x").write_tree();
}

#[tokio::test]
async fn a_whole_model_resolves_without_a_network() {
    let bench = Fixture::new();
    caches(&bench);
    let before = bench.seen_by_others();
    for network in [Network::Offline, Network::Deny, Network::Allow] {
        for (id, file, bytes) in [
            ("hf:org/gguf/tiny-Q4_K_M.gguf", "", gguf("four")),
            ("hf:org/gguf:Q8_0", "", gguf("eight")),
            ("hf:org/gguf@refs%2Fpr%2F1:Q8_0", "", gguf("eight")),
            (&format!("hf:org/gguf@{COMMIT}:Q4_K_M"), "", gguf("four")),
            ("hf:org/gguf@v1?include=*Q4*", "tiny-Q4_K_M.gguf", gguf("four")),
            ("hf:org/st", "model.safetensors", safetensors("weights")),
            ("hf:org/st?include=*", "additional_chat_templates/x.jinja", b"x".to_vec()),
        ] {
            let provisioner = provisioner(&bench, network);
            let plan = provisioner.plan(&id.parse().unwrap()).await.unwrap();
            assert_eq!(plan.download_bytes(), 0, "{id}");
            let model = provisioner.ensure_str(id, &Expectation::none().strict(true)).await.unwrap();
            let path = if file.is_empty() { model.local_path.clone() } else { model.local_path.join(file) };
            assert_eq!(fs_err::read(path).unwrap(), bytes, "{id}");
            assert_eq!((model.revision.as_deref(), model.cached), (Some(COMMIT), true), "{id}");
            assert_eq!(model.verification.outcome, Outcome::Pass);
            assert_eq!(model.verification.basis, Some(Basis::Source));
            let reason = &model.verification.reason;
            assert!(reason.contains(&format!("trees/{COMMIT}.json` keeps them")), "{reason}");
            if id.starts_with("hf:org/gguf") && file.is_empty() {
                assert_eq!(model.mmproj.as_deref().map(fs_err::read).unwrap().unwrap(), gguf("projector"));
            }
        }
        fs_err::remove_dir_all(bench.cache()).unwrap();
    }
    assert_eq!(bench.seen_by_others(), before);
}

#[tokio::test]
async fn a_model_that_lies_in_a_cache_without_symlinks_is_whole_too() {
    let bench = Fixture::new();
    let repo = HubCache::new(&bench.path("foreign/hub"), "org/st", COMMIT).without_symlinks();
    let repo = repo.lfs("model.safetensors", safetensors("weights")).file("config.json", "{}");
    repo.file(".gitattributes", "*").write_tree();
    let provisioner = provisioner(&bench, Network::Offline);
    for id in ["hf:org/st", "hf:org/st?include=*"] {
        let model = provisioner.ensure_present_str(id, None).await.unwrap();
        assert_eq!(fs_err::read(model.local_path.join("config.json")).unwrap(), b"{}");
    }
}

#[tokio::test]
async fn what_is_not_whole_fails_for_the_reason_for_which_the_hub_was_not_asked() {
    for (network, expected) in
        [(Network::Offline, "offline"), (Network::Deny, "denied"), (Network::Allow, "source-unavailable")]
    {
        let bench = Fixture::new();
        caches(&bench);
        let repo = HubCache::new(&bench.path("foreign/hub"), "org/wrong", COMMIT);
        repo.lfs("a.gguf", gguf("right")).file("config.json", "{}").write_tree();
        let blobs = bench.path("foreign/hub/models--org--wrong/blobs");
        let large = fs_err::read_dir(blobs).unwrap().map(|entry| entry.unwrap().path());
        let large = large.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        fs_err::write(large, gguf("wrong")).unwrap();
        let provisioner = provisioner(&bench, network);
        for id in ["hf:org/gguf:F32", "hf:org/wrong/a.gguf", "hf:org/none", "hf:org/gguf@other:Q8_0"] {
            assert_eq!(code(provisioner.ensure_present_str(id, None).await), expected, "{id}");
            assert!(bench.partials().is_empty(), "{id}");
        }
        let planned = provisioner.plan(&"hf:org/gguf:F32".parse().unwrap()).await;
        let refusal = planned.map(|plan| plan.refusal().unwrap().code());
        assert_eq!(refusal.unwrap_or_else(|error| error.code()).as_str(), expected);
        let ambiguous = provisioner.ensure_present_str("hf:org/gguf", None).await;
        assert_eq!(
            code(ambiguous),
            "ambiguous-reference",
            "the caller must choose, whichever of the two lists the files"
        );
        assert!(provisioner.list().await.unwrap().models.is_empty());
    }
}

#[tokio::test]
async fn a_snapshot_without_a_list_is_a_part() {
    let bench = Fixture::new();
    let hub = bench.path("foreign/hub");
    let repo = HubCache::new(&hub, "org/repo", COMMIT).lfs("a.gguf", gguf("a")).file("config.json", "{}");
    let _ =
        repo.lfs("x-00001-of-00002.safetensors", safetensors("x")).lfs("model.safetensors", safetensors("m"));
    let provisioner = provisioner(&bench, Network::Offline);
    for id in [
        "hf:org/repo",
        "hf:org/repo?include=*.safetensors",
        "hf:org/repo/x-00001-of-00002.safetensors",
        "hf:org/repo/a.gguf",
    ] {
        assert_eq!(code(provisioner.ensure_present_str(id, None).await), "offline", "{id}");
    }
    let named = provisioner.ensure_present_str("hf:org/repo/model.safetensors", None).await.unwrap();
    assert_eq!(fs_err::read(named.local_path).unwrap(), safetensors("m"));
}

#[tokio::test]
async fn a_refresh_asks_the_hub_alone() {
    let bench = Fixture::new();
    caches(&bench);
    let reference = "hf:org/st".parse().unwrap();
    let none = Expectation::none();
    let offline = provisioner(&bench, Network::Offline);
    offline.ensure(&reference, &none).await.unwrap();
    assert_eq!(code(offline.refresh(&reference, &none).await), "offline");
    let unreachable = provisioner(&bench, Network::Allow).refresh(&reference, &none).await;
    assert_eq!(code(unreachable), "source-unavailable");
}

#[tokio::test]
async fn what_is_damaged_on_the_disk_comes_back_from_the_cache() {
    let bench = Fixture::new();
    caches(&bench);
    let copying = builder(&bench, Network::Offline).adopt(Adoption {
        mode: AdoptMode::Copy,
        huggingface: vec![bench.path("foreign/hub")],
        ..Adoption::default()
    });
    let provisioner = copying.build().unwrap();
    let model = provisioner.ensure_present_str("hf:org/gguf:Q4_K_M", None).await.unwrap();
    let damage = |path: &Path| {
        fs_err::remove_file(path).unwrap();
        fs_err::write(path, gguf("else")).unwrap();
    };
    damage(&model.local_path);
    fs_err::remove_dir_all(bench.cache().join("store-v1/blobs")).unwrap();
    let again = provisioner.ensure_present_str("hf:org/gguf:Q4_K_M", None).await.unwrap();
    assert_eq!(fs_err::read(again.local_path).unwrap(), gguf("four"));
}
