//! The library chooses the files of a repository by its manifests, says what stays out, and keeps the choice in the record.

use model_provisioner::{
    EnsurePlan, Expectation, Format, HubFetcher, HubSettings, LeftOutReason, ModelProvisioner, Network,
    Notice, Policy, ResolvedModel, Role,
};
use testkit::{
    hub::{Fault, FaultKind},
    safetensors,
};

use crate::fixture::{Fixture, code as code_of, content_sent};

const CONFIG: &str = r#"{"model_type": "x", "auto_map": {"AutoModel": "modeling_x.X"}}"#;

const CODE: &str = "class X: pass\n";

const SCRIPT: &str = "import torch\n";

/// Publishes a model of Transformers that names program code, with files beside it that no engine loads.
fn with_code(bench: &Fixture) -> u64 {
    let weights = safetensors("weights");
    let size = weights.len() + CONFIG.len() + "{}".len();
    bench
        .hub
        .repo("org/repo")
        .lfs("model.safetensors", weights)
        .lfs("onnx/model.onnx", "an export")
        .file("config.json", CONFIG)
        .file("tokenizer.json", "{}")
        .file("modeling_x.py", CODE)
        .file("train.py", SCRIPT)
        .file("curve.png", "a picture")
        .publish();
    size as u64
}

fn roles(plan: &EnsurePlan) -> Vec<(&str, Option<Role>)> {
    plan.files.iter().map(|file| (file.path.as_str(), file.role)).collect()
}

fn left_out(plan: &EnsurePlan) -> Vec<(&str, LeftOutReason)> {
    plan.left_out.iter().map(|file| (file.path.as_str(), file.reason)).collect()
}

#[tokio::test]
async fn the_choice_is_in_the_plan_and_in_the_record() {
    let bench = Fixture::new();
    with_code(&bench);
    let (provisioner, reference) = (bench.provisioner(), "hf:org/repo".parse().unwrap());
    let plan = provisioner.plan(&reference).await.unwrap();
    let chosen = [
        ("config.json", Some(Role::Configuration)),
        ("model.safetensors", Some(Role::Weights)),
        ("tokenizer.json", Some(Role::Tokenizer)),
    ];
    assert_eq!(roles(&plan), chosen);
    let others = [
        ("curve.png", LeftOutReason::Document),
        ("modeling_x.py", LeftOutReason::Policy),
        ("onnx/model.onnx", LeftOutReason::OtherRuntime),
        ("train.py", LeftOutReason::Script),
    ];
    assert_eq!(left_out(&plan), others);
    assert_eq!(plan.notices, [Notice::CodeLeftOut { files: vec!["modeling_x.py".to_owned()] }]);
    provisioner.ensure_present(&reference, None).await.unwrap();
    let requests = bench.hub.requests().len();
    let present = provisioner.plan(&reference).await.unwrap();
    assert_eq!(bench.hub.requests().len(), requests, "a present model is not asked about");
    assert_eq!((roles(&present), left_out(&present)), (chosen.to_vec(), others.to_vec()));
    assert_eq!(present.notices, plan.notices);
}

#[tokio::test]
async fn a_manifest_that_was_read_for_the_choice_is_not_fetched_again() {
    let bench = Fixture::new();
    let size = with_code(&bench);
    bench.provisioner().ensure_present_str("hf:org/repo", None).await.unwrap();
    // The fetcher reads the program that the configuration names too, for what it imports.
    assert_eq!(content_sent(&bench), size + CODE.len() as u64);
}

#[tokio::test]
async fn code_comes_where_the_policy_names_it() {
    let bench = Fixture::new();
    with_code(&bench);
    let formats = Some(vec![Format::Python, Format::Safetensors, Format::Other]);
    let policy = Policy { network: Network::Allow, formats, ..Policy::default() };
    let hub = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
    let provisioner = ModelProvisioner::builder(bench.cache()).fetcher(hub).policy(policy).build().unwrap();
    let model = provisioner.ensure_present_str("hf:org/repo", None).await.unwrap();
    let code = model.files.iter().find(|file| file.path.as_str() == "modeling_x.py").unwrap();
    assert_eq!(code.role, Some(Role::Code));
    let stricter = bench.provisioner().ensure_present_str("hf:org/repo", None).await;
    assert_eq!(code_of(stricter), "refused-format", "a recorded program meets the policy too");
    let plan = provisioner.plan(&"hf:org/repo".parse().unwrap()).await.unwrap();
    assert!(matches!(plan.notices.as_slice(), [Notice::RemoteCode { .. }]), "{:?}", plan.notices);
}

#[tokio::test]
async fn a_manifest_that_is_not_the_listed_one_decides_nothing() {
    let bench = Fixture::new();
    let weights = safetensors("weights");
    let modules = r#"[{"path": "1_Dense", "type": "x.Dense"}]"#;
    let repo = bench.hub.repo("org/repo").lfs("model.safetensors", weights).file("modules.json", modules);
    repo.file("1_Dense/config.json", "{}").file("config.json", "{}").publish();
    bench.hub.fault(Fault::on("modules.json").kind(FaultKind::Flip(3)));
    let ensured = bench.provisioner().ensure_present_str("hf:org/repo", None).await;
    assert_eq!(code_of(ensured), "digest-mismatch");
    assert!(!bench.cache().join("store-v1/models").exists());
}

/// A table of speakers beside the weights is a pickle, which an engine may need and the policy may deny.
#[tokio::test]
async fn pickles_beside_the_weights_come_where_the_policy_allows_them() {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/omni").lfs("model.safetensors", safetensors("weights"));
    repo.file("config.json", "{}").file("spk_dict.pt", "voices").publish();
    let denied = bench.provisioner().ensure_present_str("hf:org/omni", None).await.unwrap();
    assert!(denied.files.iter().all(|file| file.path.as_str() != "spk_dict.pt"), "{:?}", denied.files);
    assert_eq!(denied.notices, [Notice::PicklesDenied { files: vec!["spk_dict.pt".to_owned()] }]);
    let policy = Policy {
        network: Network::Allow,
        formats: Some(vec![Format::Pickle, Format::Safetensors, Format::Other]),
        ..Policy::default()
    };
    let hub = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
    let other = bench.cache().join("other");
    let provisioner = ModelProvisioner::builder(other).fetcher(hub).policy(policy).build().unwrap();
    let allowed = provisioner.ensure_present_str("hf:org/omni", None).await.unwrap();
    let voices = allowed.files.iter().find(|file| file.path.as_str() == "spk_dict.pt").unwrap();
    assert_eq!((voices.role, allowed.notices.len()), (Some(Role::Other), 0), "{:?}", allowed.notices);
}

fn names(model: &ResolvedModel) -> Vec<&str> {
    model.files.iter().map(|file| file.path.as_str()).collect()
}

/// Returns a provisioner of the same cache that allows program code and pickles.
fn lenient(bench: &Fixture) -> ModelProvisioner {
    let formats = Some(vec![Format::Python, Format::Pickle, Format::Safetensors, Format::Other]);
    let policy = Policy { network: Network::Allow, formats, ..Policy::default() };
    let hub = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
    ModelProvisioner::builder(bench.cache()).fetcher(hub).policy(policy).build().unwrap()
}

#[tokio::test]
async fn a_refresh_brings_what_the_policy_allows_since_the_model_was_fetched() {
    let bench = Fixture::new();
    with_code(&bench);
    let (strict, lenient) = (bench.provisioner(), lenient(&bench));
    let (reference, none) = ("hf:org/repo".parse().unwrap(), Expectation::none());
    let first = strict.ensure_present(&reference, None).await.unwrap();
    let requests = bench.hub.requests().len();
    let present = lenient.ensure_present(&reference, None).await.unwrap();
    assert_eq!(names(&present), names(&first), "a present model is never changed under its user");
    assert_eq!(bench.hub.requests().len(), requests, "no source is asked");
    let allowed = Notice::AllowedNow { id: "hf:org/repo".into(), files: vec!["modeling_x.py".into()] };
    assert_eq!(present.notices.last(), Some(&allowed));
    assert_eq!(
        strict.refresh(&reference, &none).await.unwrap().notices,
        first.notices,
        "nothing new is allowed"
    );
    let lease = lenient.lease(&present).await.unwrap();
    assert_eq!(code_of(lenient.refresh(&reference, &none).await), "in-use");
    assert_eq!(names(&strict.ensure_present(&reference, None).await.unwrap()), names(&first));
    drop(lease);
    let refreshed = lenient.refresh(&reference, &none).await.unwrap();
    assert!(names(&refreshed).contains(&"modeling_x.py") && refreshed.local_path == first.local_path);
    assert_eq!(fs_err::read(refreshed.local_path.join("modeling_x.py")).unwrap(), CODE.as_bytes());
    let again = lenient.ensure_present(&reference, None).await.unwrap();
    assert!(again.cached && !again.notices.contains(&allowed) && names(&again) == names(&refreshed));
    // What the policy denies now goes with the next refresh, and nothing else does.
    assert_eq!(names(&strict.refresh(&reference, &none).await.unwrap()), names(&first));
    assert!(!first.local_path.join("modeling_x.py").exists());
}

/// Leaves a file out of a record and its seal, as a release would that took files by a list of names: without roles, and without what
/// stays out.
fn as_of_earlier_release(bench: &Fixture, model: &ResolvedModel, absent: &str) {
    let folders = fs_err::read_dir(bench.cache().join("catalog-v1")).unwrap();
    let records = folders.flat_map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap());
    let seal = model.local_path.join(".model.json");
    let records = records.map(|entry| entry.unwrap().path());
    for path in records.filter(|path| path.extension().is_some()).chain([seal]) {
        let mut document: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        let is_nested = document.get("record").is_some();
        let record = if is_nested { &mut document["record"] } else { &mut document };
        record.as_object_mut().unwrap().remove("left_out");
        let files = record["files"].as_array_mut().unwrap();
        files.retain(|file| file["path"] != absent);
        for file in files {
            file.as_object_mut().unwrap().remove("role");
        }
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
    }
    fs_err::remove_file(model.local_path.join(absent)).unwrap();
}

#[tokio::test]
async fn a_refresh_brings_what_an_earlier_release_left_out() {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/st").lfs("model.safetensors", safetensors("weights"));
    let modules = r#"[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
    repo.file("config.json", "{}")
        .file("modules.json", modules)
        .file("1_Pooling/config.json", "{}")
        .publish();
    let (provisioner, reference) = (bench.provisioner(), "hf:org/st".parse().unwrap());
    let whole = provisioner.ensure_present(&reference, None).await.unwrap();
    as_of_earlier_release(&bench, &whole, "modules.json");
    let present = provisioner.ensure_present(&reference, None).await.unwrap();
    assert!(present.cached && !names(&present).contains(&"modules.json"));
    assert_eq!(present.notices, [Notice::ChosenEarlier { id: "hf:org/st".into() }]);
    let refreshed = provisioner.refresh(&reference, &Expectation::none()).await.unwrap();
    assert_eq!((names(&refreshed), refreshed.notices.as_slice()), (names(&whole), [].as_slice()));
    assert!(refreshed.local_path.join("modules.json").exists());
    let again = provisioner.ensure_present(&reference, None).await.unwrap();
    assert!(again.cached && again.notices.is_empty(), "{:?}", again.notices);
}

#[tokio::test]
async fn pickles_that_are_the_weights_are_refused_whatever_lies_beside_them() {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/old").lfs("pytorch_model.bin", "weights").file("voices.pt", "voices");
    // The policy denies this one too, and a person asked for the weights.
    let repo = repo.file("normalizer.hdf5", "numbers");
    repo.file("config.json", "{}").publish();
    let error = bench.provisioner().ensure_present_str("hf:org/old", None).await.unwrap_err();
    assert!(error.to_string().contains("`pytorch_model.bin`"), "{error}");
    assert_eq!(code_of::<()>(Err(error)), "refused-format");
}

/// A configuration names a program, and that one another in a folder: the fetcher reads one after the other.
#[tokio::test]
async fn programs_are_read_as_far_as_they_import_each_other() {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/deep").lfs("model.safetensors", safetensors("weights"));
    let repo = repo.file("config.json", CONFIG).file("modeling_x.py", "from .core.deep.a import A\n");
    let repo = repo.file("core/deep/a.py", "from .b import B\n").file("core/deep/b.py", "pass\n");
    repo.file("core/deep/c.py", "pass\n").publish();
    let plan = bench.provisioner().plan(&"hf:org/deep".parse().unwrap()).await.unwrap();
    let code = ["core/deep/a.py", "core/deep/b.py", "modeling_x.py"].map(str::to_owned).to_vec();
    assert_eq!(plan.notices, [Notice::CodeLeftOut { files: code }]);
}
