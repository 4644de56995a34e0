//! The library holds local models against the signatures of their publishers.

use std::path::{Path, PathBuf};

use model_provisioner::{
    Basis, Error, Expectation, Format, ModelProvisioner, Notice, Policy, ResolvedModel, SignatureConfig,
    SignatureDemand, SignatureMode, SignatureRule, Signer, provision_from_config_to_handoff,
    signing::{PublicKey, signature_demand},
};
use testkit::{OTHER_PRIVATE_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY, Signature, TINY_GGUF, safetensors};

use crate::fixture::{Fixture, code, reference};

const CONFIG: &[u8] = b"{\"model_type\": \"x\"}";

fn demand(key: &str) -> SignatureDemand {
    SignatureDemand::by([(&PublicKey::from_pem(key.as_bytes()).unwrap()).into()])
}

fn signed_by(key: &str) -> Expectation {
    Expectation::none().signed(demand(key))
}

/// Writes a folder with weights in a folder of their own, and returns what is in it.
fn folder(bench: &Fixture) -> (PathBuf, Vec<(&'static str, Vec<u8>)>) {
    let files = vec![
        ("README.md", b"# A model".to_vec()),
        ("config.json", CONFIG.to_vec()),
        ("weights/model.safetensors", safetensors("weights")),
    ];
    for (path, bytes) in &files {
        bench.old_file(&format!("models/repo/{path}"), bytes);
    }
    (bench.path("models/repo"), files)
}

fn sign(bench: &Fixture, path: &str, signature: &Signature) {
    bench.old_file(path, signature.to_json().as_bytes());
}

/// Writes the folder with its signature beside it.
fn signed_folder(bench: &Fixture) -> PathBuf {
    let (folder, files) = folder(bench);
    sign(bench, "models/repo/model.sig", &Signature::of(files));
    folder
}

async fn ensure(bench: &Fixture, path: &Path, expectation: &Expectation) -> Result<ResolvedModel, Error> {
    bench.provisioner().ensure(&reference(path), expectation).await
}

/// Fails unless the error is of that code and says that.
fn check_refusal(result: Result<ResolvedModel, Error>, expected_code: &str, expected: &str) {
    let error = result.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.code().as_str(), expected_code, "{told}");
    assert!(told.contains(expected), "{told}");
}

#[tokio::test]
async fn a_signed_folder_passes_with_the_signature_as_its_basis() {
    let bench = Fixture::new();
    let folder = signed_folder(&bench);
    let model = ensure(&bench, &folder, &signed_by(PUBLIC_KEY).strict(true)).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Signed));
    let fingerprint = PublicKey::from_pem(PUBLIC_KEY.as_bytes()).unwrap().fingerprint();
    assert_eq!(model.signatures[0].signer, Signer::Key { fingerprint });
    assert_eq!(model.signatures[0].file, "model.sig");
    assert!(model.verification.reason.contains("signed by the key"), "{}", model.verification.reason);
    assert!(bench.hashing.take() > 0);

    // What is recorded answers later calls, and those that ask for no signature, without a byte read.
    for expectation in
        [signed_by(PUBLIC_KEY), signed_by(PUBLIC_KEY).strict(true), Expectation::none().strict(true)]
    {
        let again = ensure(&bench, &folder, &expectation).await.unwrap();
        assert!(again.cached && again.signatures == model.signatures);
        assert_eq!(bench.hashing.take(), 0, "{expectation:?}");
    }
    // A later reading of all bytes keeps what was signed.
    let provisioner = bench.provisioner();
    provisioner.verify(&reference(&folder)).await.unwrap();
    let record = provisioner.show(&reference(&folder)).await.unwrap().record;
    assert_eq!((record.verification.basis, record.signatures.len()), (Some(Basis::Signed), 1));
}

#[tokio::test]
async fn every_difference_of_a_folder_fails_by_its_name() {
    let weights = "weights/model.safetensors";
    let check = async |change: &dyn Fn(&Path), expected: &str| {
        let bench = Fixture::new();
        let folder = signed_folder(&bench);
        change(&folder);
        let refused = ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await;
        check_refusal(refused, "signature-mismatch", expected);
        assert!(bench.provisioner().list().await.unwrap().models.is_empty(), "nothing is recorded");
    };
    let flip = |folder: &Path| {
        let mut bytes = fs_err::read(folder.join(weights)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(folder.join(weights), bytes).unwrap();
    };
    check(&flip, "changed: `weights/model.safetensors`").await;
    check(&|folder| fs_err::write(folder.join("extra.json"), "{}").unwrap(), "not signed: `extra.json`")
        .await;
    // An engine that is handed the folder may load what is not a part of the model.
    check(&|folder| fs_err::write(folder.join("optimizer.pt"), "x").unwrap(), "not signed: `optimizer.pt`")
        .await;
    check(&|folder| fs_err::remove_file(folder.join("README.md")).unwrap(), "missing: `README.md`").await;
    let rename =
        |folder: &Path| fs_err::rename(folder.join("config.json"), folder.join("other.json")).unwrap();
    check(
        &rename,
        "not signed: `other.json`; missing: `config.json`; `other.json` has the bytes of `config.json`",
    )
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_leaves_the_record() {
    let bench = Fixture::new();
    let folder = signed_folder(&bench);
    let refused = ensure(&bench, &folder, &signed_by(OTHER_PUBLIC_KEY)).await;
    check_refusal(refused, "signature-invalid", "`model.sig`: the signature is not by the key");
    ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await.unwrap();
    // A present model is judged again where the caller trusts another signer.
    let refused = ensure(&bench, &folder, &signed_by(OTHER_PUBLIC_KEY)).await;
    check_refusal(refused, "signature-invalid", "`model.sig`");
    assert!(ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await.unwrap().cached);
    // Both signers are demanded, and one of them signed.
    let both = signed_by(PUBLIC_KEY).signed(demand(OTHER_PUBLIC_KEY));
    assert_eq!(code(ensure(&bench, &folder, &both).await), "signature-invalid");
    let other = Signature::of(self::folder(&bench).1).by(OTHER_PRIVATE_KEY);
    sign(&bench, "models/repo/other.sig", &other);
    let model = ensure(&bench, &folder, &both).await.unwrap();
    assert_eq!(model.signatures.len(), 2);
}

#[tokio::test]
async fn a_model_without_a_signature_fails_where_one_is_demanded() {
    let bench = Fixture::new();
    let (folder, _) = folder(&bench);
    bench.old_file("models/repo/other.sig", b"-----BEGIN PGP SIGNATURE-----");
    let refused = ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await;
    check_refusal(refused, "signature-missing", "no signature was found beside the model");
    let model = ensure(&bench, &folder, &Expectation::none()).await.unwrap();
    assert!(model.signatures.is_empty());
}

#[tokio::test]
async fn files_are_signed_alone_or_with_their_folder() {
    for pieces in [None, Some(7)] {
        let with = |signature: Signature| match pieces {
            Some(bytes) => signature.in_pieces(bytes),
            None => signature,
        };
        let bench = Fixture::new();
        let path = bench.old_file("models/tiny.gguf", TINY_GGUF);
        sign(&bench, "models/tiny.gguf.sig", &with(Signature::of([(".", TINY_GGUF)])));
        let model = ensure(&bench, &path, &signed_by(PUBLIC_KEY)).await.unwrap();
        assert_eq!(
            (model.verification.basis, model.signatures[0].file.as_str()),
            (Some(Basis::Signed), "tiny.gguf.sig")
        );

        // The signature of the whole folder covers the file too, whatever else the folder has.
        let bench = Fixture::new();
        let path = bench.old_file("models/tiny.gguf", TINY_GGUF);
        let all = with(Signature::of([("tiny.gguf", TINY_GGUF), ("other.gguf", b"gone")]));
        sign(&bench, "models/model.sig", &all);
        let model = ensure(&bench, &path, &signed_by(PUBLIC_KEY)).await.unwrap();
        assert!(
            model.verification.reason.contains("does not need: `other.gguf`"),
            "{}",
            model.verification.reason
        );
        let changed = bench.old_file("models/tiny.gguf", &[TINY_GGUF, b"x"].concat());
        let refused = ensure(&bench, &changed, &signed_by(PUBLIC_KEY)).await;
        check_refusal(refused, "signature-mismatch", "changed: `tiny.gguf`");
    }
}

#[tokio::test]
async fn a_signature_lies_where_the_caller_says() {
    let bench = Fixture::new();
    let (folder, files) = folder(&bench);
    sign(&bench, "elsewhere/lab.bundle", &Signature::of(files));
    let named = |name: &str| Expectation::none().signed(demand(PUBLIC_KEY).in_file(bench.path(name)));
    let model = ensure(&bench, &folder, &named("elsewhere/lab.bundle")).await.unwrap();
    assert!(model.signatures[0].file.ends_with("elsewhere/lab.bundle"));
    let bench = Fixture::new();
    let (folder, _) = self::folder(&bench);
    assert_eq!(
        code(
            ensure(
                &bench,
                &folder,
                &Expectation::none().signed(demand(PUBLIC_KEY).in_file(bench.path("gone")))
            )
            .await
        ),
        "not-found"
    );
    bench.old_file("wrong", b"text");
    let wrong = Expectation::none().signed(demand(PUBLIC_KEY).in_file(bench.path("wrong")));
    check_refusal(ensure(&bench, &folder, &wrong).await, "signature-invalid", "the signature is malformed");
}

#[tokio::test]
async fn what_a_signer_left_out_and_engines_read_is_not_signed() {
    let ignoring = |ignored: &'static [&'static str]| async move {
        let bench = Fixture::new();
        let (folder, files) = folder(&bench);
        let covered = files.into_iter().filter(|(path, _)| !ignored.contains(path));
        sign(&bench, "models/repo/model.sig", &Signature::of(covered).ignoring(ignored));
        ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await
    };
    assert!(ignoring(&["README.md", "absent"]).await.is_ok());
    check_refusal(ignoring(&["config.json"]).await, "signature-mismatch", "not signed: `config.json`");
    let weights = ignoring(&["weights/model.safetensors"]).await;
    check_refusal(weights, "signature-mismatch", "not signed: `weights/model.safetensors`");
}

#[tokio::test]
async fn program_code_that_a_signer_left_out_is_a_notice() {
    let bench = Fixture::new();
    let (folder, files) = folder(&bench);
    bench.old_file("models/repo/modeling_x.py", b"class X: pass\n");
    sign(&bench, "models/repo/model.sig", &Signature::of(files).ignoring(&["modeling_x.py"]));
    let formats = Some(vec![Format::Python, Format::Safetensors, Format::Other]);
    let policy = Policy { formats, ..Policy::default() };
    let provisioner = ModelProvisioner::builder(bench.cache()).policy(policy).build().unwrap();
    provisioner.ensure(&reference(&folder), &signed_by(PUBLIC_KEY)).await.unwrap();
    let record = provisioner.show(&reference(&folder)).await.unwrap().record;
    let notice = Notice::UnsignedCode { files: vec!["modeling_x.py".into()], elsewhere: Vec::new() };
    assert!(record.notices.contains(&notice), "{:?}", record.notices);
}

#[tokio::test]
async fn a_new_signature_replaces_what_was_signed_before() {
    let bench = Fixture::new();
    let folder = signed_folder(&bench);
    ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await.unwrap();
    // The publisher changes a file, and signs anew. Without a demand, the record holds to the bytes that it knows.
    bench.old_file("models/repo/config.json", b"{}");
    let files: Vec<_> = ["README.md", "config.json", "weights/model.safetensors"]
        .map(|path| (path, fs_err::read(folder.join(path)).unwrap()))
        .into();
    sign(&bench, "models/repo/model.sig", &Signature::of(files));
    assert_eq!(code(ensure(&bench, &folder, &Expectation::none()).await), "digest-mismatch");
    let model = ensure(&bench, &folder, &signed_by(PUBLIC_KEY)).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Signed));
}

#[tokio::test]
async fn a_policy_demands_signatures() {
    let bench = Fixture::new();
    let folder = signed_folder(&bench);
    bench.old_file("keys/own.pem", PUBLIC_KEY.as_bytes());
    bench.old_file("keys/other.pem", OTHER_PUBLIC_KEY.as_bytes());
    let provisioner = |key: &str, mode| {
        let pattern = format!("local:{}/*", bench.path("models").display());
        let rule = SignatureRule { repos: vec![pattern], keys: vec![bench.path(key)], mode };
        let policy = Policy { signatures: Some(vec![rule]), ..Policy::default() };
        ModelProvisioner::builder(bench.cache()).policy(policy).build().unwrap()
    };
    let id = reference(&folder);
    let ensure = async |key, mode| provisioner(key, mode).ensure(&id, &Expectation::none()).await;
    check_refusal(
        ensure("keys/other.pem", SignatureMode::Enforce).await,
        "denied",
        "no key of its `signatures` signed",
    );
    let unsigned = ensure("keys/other.pem", SignatureMode::Warn).await.unwrap();
    assert!(unsigned.signatures.is_empty());
    // The policy binds present models too.
    let signed = ensure("keys/own.pem", SignatureMode::Enforce).await.unwrap();
    assert_eq!(signed.verification.basis, Some(Basis::Signed));
    assert!(ensure("keys/own.pem", SignatureMode::Enforce).await.unwrap().cached);
    check_refusal(ensure("keys/other.pem", SignatureMode::Enforce).await, "denied", "signatures");
    let planned = async |key| provisioner(key, SignatureMode::Enforce).plan(&id).await.unwrap();
    assert!(planned("keys/own.pem").await.refusal().is_none());
    let refusal = planned("keys/other.pem").await;
    assert_eq!(refusal.refusal().unwrap().code().as_str(), "denied");
    assert!(refusal.policy.iter().any(|verdict| verdict.rule == "signatures" && !verdict.is_allowed()));
    assert!(ensure("keys/other.pem", SignatureMode::Off).await.unwrap().cached);
    // A key that cannot be read allows nothing.
    assert_eq!(code(ensure("keys/gone.pem", SignatureMode::Enforce).await), "not-found");
    let refused = ensure("models/repo/config.json", SignatureMode::Enforce).await;
    check_refusal(refused, "invalid-key", "a public key is read as PEM");
}

#[test]
fn a_config_names_its_key_and_its_signature() {
    let bench = Fixture::new();
    let model = bench.old_file("conf/tiny.gguf", TINY_GGUF);
    sign(&bench, "conf/lab.sig", &Signature::of([(".", TINY_GGUF)]));
    bench.old_file("conf/lab.pem", PUBLIC_KEY.as_bytes());
    bench.old_file("conf/other.pem", OTHER_PUBLIC_KEY.as_bytes());
    let provision = |signature: &str| {
        let yaml = format!("model_ref: tiny.gguf\nsignature: {signature}\n");
        let config = bench.fresh_file("conf/model.yaml", yaml.as_bytes());
        provision_from_config_to_handoff(config, bench.path("out.json"), bench.cache())
    };
    let done = provision("{ public_key: lab.pem, file: lab.sig }").unwrap();
    assert_eq!(done.path, model);
    assert_eq!(code(provision("{ public_key: other.pem, file: lab.sig }")), "signature-invalid");
    assert_eq!(code(provision("{ public_key: lab.sig, file: lab.sig }")), "invalid-key");
    assert_eq!(code(provision("{ file: lab.sig }")), "invalid-usage");
    assert_eq!(code(provision("{ public_kei: lab.pem }")), "invalid-config");
}

#[test]
fn a_demand_names_a_signer() {
    let check = |config: SignatureConfig, expected: &str| {
        let error = signature_demand(&config).unwrap_err();
        assert_eq!(error.code().as_str(), "invalid-usage");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let text = |text: &str| Some(text.to_owned());
    check(SignatureConfig::default(), "name a key or an identity");
    check(SignatureConfig { identity: text("a@b"), ..SignatureConfig::default() }, "name both");
    check(SignatureConfig { identity_issuer: text("https://x"), ..SignatureConfig::default() }, "name both");
    let both =
        SignatureConfig { public_key: Some("k".into()), identity: text("a@b"), ..SignatureConfig::default() };
    check(both, "a key or an identity, and not both");
}

#[tokio::test]
async fn no_handoff_overwrites_the_signature_beside_a_file() {
    let bench = Fixture::new();
    let model = bench.old_file("models/tiny.gguf", TINY_GGUF);
    let signature = bench.path("models/tiny.gguf.sig");
    sign(&bench, "models/tiny.gguf.sig", &Signature::of([("tiny.gguf", TINY_GGUF)]));
    let before = fs_err::read(&signature).unwrap();
    let model = ensure(&bench, &model, &signed_by(PUBLIC_KEY)).await.unwrap();
    let refused = bench.provisioner().hand_off(&model, &signature).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "handoff-in-the-way", "{refused}");
    assert_eq!(fs_err::read(&signature).unwrap(), before);
}
