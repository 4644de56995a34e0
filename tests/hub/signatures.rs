//! The library finds the signature of a repository, and holds what it fetches against it.

use std::path::Path;

use model_provisioner::{
    Basis, Expectation, ImportRequest, ModelProvisioner, Network, Policy, SignatureDemand, SignatureMode,
    SignatureRule, signing::PublicKey,
};
use testkit::{OTHER_PUBLIC_KEY, PUBLIC_KEY, Signature, safetensors};

use crate::fixture::{Fixture, builder_at, bytes, code, content_sent, sha256};

const REPO: &str = "hf:org/repo";

const CONFIG: &[u8] = b"{\"model_type\": \"x\"}";

type Files = Vec<(&'static str, Vec<u8>)>;

/// The files of a repository: weights twice, of which one is left out, and what engines read beside them.
fn repository() -> Files {
    vec![
        ("config.json", CONFIG.to_vec()),
        ("model.safetensors", safetensors("weights")),
        ("pytorch_model.bin", b"\x80\x02the same weights".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
    ]
}

/// The files of a repository with two quantizations.
fn quantizations() -> Files {
    vec![("m-Q4_K_M.gguf", bytes(3 << 20, 1)), ("m-Q8_0.gguf", bytes(4 << 20, 2))]
}

/// Publishes files with a signature.
fn publish(bench: &Fixture, files: &Files, signature: &Signature) {
    let mut repo = bench.hub.repo("org/repo").file("model.sig", signature.to_json());
    for (path, bytes) in files {
        repo = match path.rsplit_once('.') {
            Some((_, "json")) => repo.file(path, bytes.clone()),
            _ => repo.lfs(path, bytes.clone()),
        };
    }
    repo.publish();
}

fn signed_by(key: &str) -> Expectation {
    let key = PublicKey::from_pem(key.as_bytes()).unwrap();
    Expectation::none().signed(SignatureDemand::by([(&key).into()]))
}

/// Returns a provisioner that may use the network, under a policy that demands a signature of the repository.
fn under_rule(bench: &Fixture, cache: &str, key: &str, mode: SignatureMode) -> ModelProvisioner {
    fs_err::write(bench.path("key.pem"), key).unwrap();
    let rule = SignatureRule { repos: vec!["hf:org/*".into()], keys: vec![bench.path("key.pem")], mode };
    let policy = Policy { network: Network::Allow, signatures: Some(vec![rule]), ..Policy::default() };
    builder_at(&bench.path(cache), &bench.hub.endpoint()).policy(policy).build().unwrap()
}

#[tokio::test]
async fn the_signature_of_a_repository_is_found_by_itself() {
    for pieces in [None, Some(100)] {
        let bench = Fixture::new();
        let (files, signature) = (repository(), Signature::of(repository()));
        publish(&bench, &files, &pieces.map_or(signature.clone(), |bytes| signature.in_pieces(bytes)));
        let (provisioner, id) = (bench.provisioner(), REPO.parse().unwrap());
        let plan = provisioner.plan_expecting(&id, &signed_by(PUBLIC_KEY)).await.unwrap();
        assert!(plan.signatures[0].file == "model.sig" && plan.signatures[0].signer.is_some());
        let model = provisioner.ensure(&id, &signed_by(PUBLIC_KEY).strict(true)).await.unwrap();
        assert_eq!((model.verification.basis, model.signatures.len()), (Some(Basis::Signed), 1));
        // None of the bytes of the other weights arrived, so nothing of them can be wrong.
        assert!(model.verification.reason.contains("`pytorch_model.bin`"), "{}", model.verification.reason);
        bench.hub.reset_counts();
        assert!(provisioner.ensure(&id, &signed_by(PUBLIC_KEY)).await.unwrap().cached);
        assert_eq!(bench.hub.requests().len(), 0, "what is recorded answers");
    }
}

#[tokio::test]
async fn one_model_of_a_repository_is_held_against_the_signature_of_all() {
    let bench = Fixture::new();
    let files = quantizations();
    publish(&bench, &files, &Signature::of(files.clone()));
    let (provisioner, id) = (bench.provisioner(), "hf:org/repo:Q4_K_M".parse().unwrap());
    let model = provisioner.ensure(&id, &signed_by(PUBLIC_KEY)).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Signed));
    assert_eq!(model.files.len(), 1, "the signature is not a file of the model");
    assert!(model.verification.reason.contains("`m-Q8_0.gguf`"), "{}", model.verification.reason);
    let wrong = provisioner.ensure(&id, &signed_by(OTHER_PUBLIC_KEY)).await;
    assert_eq!(code(wrong), "signature-invalid");
}

#[tokio::test]
async fn what_a_signature_contradicts_is_refused_before_the_first_byte() {
    let check = async |publish_other: fn(Files) -> Files, id: &str, expected: &str| {
        let bench = Fixture::new();
        let files = publish_other(quantizations());
        let signature = Signature::of(quantizations());
        publish(&bench, &files, &signature);
        let refused = bench.provisioner().ensure(&id.parse().unwrap(), &signed_by(PUBLIC_KEY)).await;
        let told = refused.as_ref().unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        assert_eq!(code(refused), "signature-mismatch");
        assert!(content_sent(&bench) <= signature.to_json().len() as u64, "no weights arrived");
    };
    let changed = |mut files: Files| {
        *files[0].1.last_mut().unwrap() ^= 1;
        files
    };
    check(changed, "hf:org/repo:Q4_K_M", "changed: `m-Q4_K_M.gguf`").await;
    let renamed = |mut files: Files| {
        files[0].0 = "n-Q4_K_M.gguf";
        files
    };
    check(renamed, "hf:org/repo:Q4_K_M", "not signed: `n-Q4_K_M.gguf`").await;
    let check_all = async |publish_other: fn(Files) -> Files, expected: &str| {
        let bench = Fixture::new();
        publish(&bench, &publish_other(repository()), &Signature::of(repository()));
        let refused = bench.provisioner().ensure(&REPO.parse().unwrap(), &signed_by(PUBLIC_KEY)).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    };
    let extra = |mut files: Files| {
        files.push(("added_tokens.json", b"{}".to_vec()));
        files
    };
    check_all(extra, "not signed: `added_tokens.json`").await;
    let missing = |mut files: Files| {
        files.remove(3);
        files
    };
    check_all(missing, "missing: `tokenizer.json`").await;
}

#[tokio::test]
async fn a_present_model_is_held_against_a_signature_without_fetching_it_again() {
    let bench = Fixture::new();
    let files = quantizations();
    let signature = Signature::of(files.clone());
    publish(&bench, &files, &signature);
    let (provisioner, id) = (bench.provisioner(), "hf:org/repo:Q4_K_M".parse().unwrap());
    let first = provisioner.ensure(&id, &Expectation::none()).await.unwrap();
    assert_eq!(first.verification.basis, Some(Basis::Source));
    bench.hub.reset_counts();
    let model = provisioner.ensure(&id, &signed_by(PUBLIC_KEY)).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Signed));
    assert!(content_sent(&bench) <= signature.to_json().len() as u64, "the signature alone");
    let record = provisioner.show(&id).await.unwrap().record;
    assert!(record.signatures[0].bundle.is_some(), "kept for the next signer, and for an export");
}

#[tokio::test]
async fn a_repository_without_a_signature_fails_before_the_first_byte() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(3 << 20, 1)).publish();
    let refused =
        bench.provisioner().ensure(&"hf:org/repo/a.gguf".parse().unwrap(), &signed_by(PUBLIC_KEY)).await;
    assert_eq!(code(refused), "signature-missing");
    assert_eq!(content_sent(&bench), 0);
}

#[tokio::test]
async fn a_policy_wants_the_signature_of_a_repository() {
    let bench = Fixture::new();
    let files = quantizations();
    publish(&bench, &files, &Signature::of(files.clone()));
    let id = "hf:org/repo:Q4_K_M".parse().unwrap();
    let ensure = async |key: &str, mode| {
        under_rule(&bench, "cache", key, mode).ensure(&id, &Expectation::none()).await
    };
    let refused = ensure(OTHER_PUBLIC_KEY, SignatureMode::Enforce).await;
    assert_eq!(code(refused), "denied");
    assert_eq!(
        ensure(OTHER_PUBLIC_KEY, SignatureMode::Warn).await.unwrap().verification.basis,
        Some(Basis::Source)
    );
    assert_eq!(code(ensure(OTHER_PUBLIC_KEY, SignatureMode::Enforce).await), "denied", "a present model too");
    let signed = ensure(PUBLIC_KEY, SignatureMode::Enforce).await.unwrap();
    assert_eq!(signed.verification.basis, Some(Basis::Signed));
}

/// Puts other weights into an exported folder, and lets all that the folder says fit them.
fn forge(folder: &Path, signed: &[u8], other: &[u8]) {
    let put = |name: &str, bytes: &[u8]| {
        fs_err::remove_file(folder.join(name)).unwrap();
        fs_err::write(folder.join(name), bytes).unwrap();
    };
    put("model.safetensors", other);
    for name in [".model.json", "SHA256SUMS"] {
        let text = fs_err::read_to_string(folder.join(name)).unwrap();
        let text = text.replace(&sha256(signed), &sha256(other));
        put(name, text.as_bytes());
    }
    let record = fs_err::read_to_string(folder.join(".model.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    record["record"].as_object_mut().unwrap().remove("digest");
    put(".model.json", record.to_string().as_bytes());
}

#[tokio::test]
async fn an_export_carries_the_signature_to_a_machine_that_demands_one() {
    for id in [REPO, "hf:org/repo/model.safetensors"] {
        let bench = Fixture::new();
        publish(&bench, &repository(), &Signature::of(repository()));
        let id = id.parse().unwrap();
        let (online, folder) = (bench.provisioner(), bench.path("carried"));
        online.ensure(&id, &signed_by(PUBLIC_KEY)).await.unwrap();
        online.export(&id, &folder).await.unwrap();
        let import = async |cache: &str, key: &str| {
            let provisioner = under_rule(&bench, cache, key, SignatureMode::Enforce);
            provisioner.import(&ImportRequest::new(&folder)).await
        };
        assert_eq!(code(import("other", OTHER_PUBLIC_KEY).await), "denied", "{id}");
        let model = import("other", PUBLIC_KEY).await.unwrap();
        assert_eq!(model.verification.basis, Some(Basis::Signed), "{id}");
        // The word of the folder is worth nothing, also where it fits its bytes: the signature decides.
        forge(&folder, &safetensors("weights"), &safetensors("others!"));
        let plain = builder_at(&bench.path("fourth"), &bench.hub.endpoint())
            .build()
            .unwrap()
            .import(&ImportRequest::new(&folder))
            .await
            .unwrap();
        assert_ne!(plain.verification.basis, Some(Basis::Signed), "{id}");
        assert_eq!(code(import("third", PUBLIC_KEY).await), "denied", "{id}");
    }
}
