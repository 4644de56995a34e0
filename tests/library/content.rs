//! What a model's files are counts, and not what they are called: pickles beside weights, pointers, companions.

use std::path::{Path, PathBuf};

use model_provisioner::{Format, ModelProvisioner, Outcome, Policy, Role};
use testkit::{FakeModel, GgufWriter};

use crate::fixture::{Fixture, code, reference};

/// A pickle, as `torch.save` begins it.
const PICKLE: &[u8] = b"PK\x03\x04\0\0archive/data.pkl\x80\x02}q\0.";

const POINTER: &[u8] =
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 9\n";

/// A folder with whole weights in safetensors, and these files beside them.
fn folder(bench: &Fixture, name: &str, others: &[(&str, &[u8])]) -> PathBuf {
    let weights = testkit::safetensors_of(64, 1);
    for (file, bytes) in
        [("config.json", b"{}".as_slice()), ("model.safetensors", &weights)].iter().chain(others)
    {
        bench.old_file(&format!("{name}/{file}"), bytes);
    }
    bench.path(name)
}

fn names(files: &[model_provisioner::RecordedFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn pickles_that_nothing_loads_stay_out_of_a_local_folder() {
    let bench = Fixture::new();
    let pickles = ["optimizer.pt", "original/consolidated.00.pth", "pytorch_model.bin", "training_args.bin"];
    let path = reference(&folder(&bench, "m", &pickles.map(|name| (name, PICKLE))));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&path, None).await.unwrap();
    provisioner.verify(&path).await.unwrap();
    let model = provisioner.ensure_present(&path, None).await.unwrap();
    assert!(model.cached);
    assert_eq!(names(&model.files), ["config.json", "model.safetensors"]);
    // The digest is that of what belongs to the model.
    let bare = reference(&folder(&bench, "bare", &[]));
    provisioner.ensure_present(&bare, None).await.unwrap();
    provisioner.verify(&bare).await.unwrap();
    let of = async |path| provisioner.show(path).await.unwrap().record.digest.unwrap();
    assert_eq!(of(&path).await, of(&bare).await);
    assert!(provisioner.doctor(false).await.unwrap().is_empty());
    let out = bench.path("out");
    provisioner.export(&path, &out).await.unwrap();
    assert!(out.join("model.safetensors").exists() && !out.join("optimizer.pt").exists());
    // One more of them changes nothing, and any other file does.
    bench.old_file("m/scheduler.pt", PICKLE);
    assert!(provisioner.ensure_present(&path, None).await.unwrap().cached);
    bench.old_file("m/voices.pt", PICKLE);
    assert_eq!(code(provisioner.ensure_present(&path, None).await), "refused-format");
    fs_err::remove_file(bench.path("m/voices.pt")).unwrap();
    bench.old_file("m/tokenizer.json", b"{}");
    assert!(provisioner.locate(&path).await.unwrap().is_none());
}

#[tokio::test]
async fn pickles_that_are_the_weights_are_refused_as_the_policy_says() {
    let bench = Fixture::new();
    let allowing = Policy {
        formats: Some(vec![Format::Pickle, Format::Safetensors, Format::Other]),
        ..Policy::default()
    };
    let allowing = ModelProvisioner::builder(bench.path("other-cache")).policy(allowing).build().unwrap();
    for name in ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "voices/a.pt"] {
        let path = folder(&bench, name, &[(name, PICKLE)]);
        if name == "pytorch_model.bin" {
            fs_err::remove_file(path.join("model.safetensors")).unwrap();
        }
        assert_eq!(code(bench.provisioner().ensure_present(&reference(&path), None).await), "refused-format");
        let model = allowing.ensure_present(&reference(&path), None).await.unwrap();
        assert!(names(&model.files).contains(&name));
    }
    // What the policy allows comes along, and goes on belonging to the model.
    let path = reference(&folder(&bench, "m", &[("optimizer.pt", PICKLE)]));
    let model = allowing.ensure_present(&path, None).await.unwrap();
    assert_eq!(names(&model.files), ["config.json", "model.safetensors", "optimizer.pt"]);
    assert_eq!(allowing.verify(&path).await.unwrap().outcome, Outcome::Pass);
    let strict = ModelProvisioner::builder(bench.path("other-cache")).build().unwrap();
    assert_eq!(code(strict.verify(&path).await), "refused-format");
    assert_eq!(allowing.verify(&path).await.unwrap().outcome, Outcome::Pass);
}

#[tokio::test]
async fn a_pointer_in_the_place_of_a_tokenizer_is_refused_with_a_way_on() {
    let bench = Fixture::new();
    for name in ["tokenizer.json", "tokenizer.model", "onnx/model.onnx"] {
        let path = reference(&folder(&bench, name, &[(name, POINTER)]));
        let error = bench.provisioner().ensure_present(&path, None).await.unwrap_err();
        assert_eq!(error.code().as_str(), "rejected");
        assert!(error.to_string().contains(&format!("`{name}`: is the pointer of Git LFS")), "{error}");
        assert!(error.hint().unwrap().to_string().contains("`git lfs pull`"), "{error:?}");
    }
    let path = reference(&folder(&bench, "readme", &[("README.md", POINTER)]));
    let model = bench.provisioner().ensure_present(&path, None).await.unwrap();
    assert!(model.verification.reason.contains("`README.md` is the pointer of Git LFS"));
}

/// A companion of a model, by its header alone.
fn companion(kind: &str, architecture: &str) -> Vec<u8> {
    let mut file = GgufWriter::default();
    file.string("general.architecture", architecture).string("general.type", kind);
    file.tensor_f32("t", &[4], &[0.0; 4]);
    file.to_bytes()
}

#[tokio::test]
async fn a_companion_is_not_handed_out_as_the_model_unless_it_is_named_in_full() {
    let bench = Fixture::new();
    let provisioner = bench.provisioner();
    for (kind, architecture, role) in [
        ("mmproj", "clip", Role::Projector),
        ("adapter", "llama", Role::Adapter),
        ("imatrix", "imatrix", Role::Imatrix),
        ("model", "clip", Role::Projector),
    ] {
        let name = format!("{kind}-{architecture}");
        let file = bench.old_file(&format!("{name}/a.gguf"), &companion(kind, architecture));
        let error = provisioner.ensure_present(&reference(&bench.path(&name)), None).await.unwrap_err();
        assert_eq!(error.code().as_str(), "rejected");
        assert!(error.to_string().contains(&format!("has the role `{role}`")), "{error}");
        let hint = error.hint().unwrap().to_string();
        assert!(hint.contains(&format!("`{}`", file.display())), "{hint}");
        let named = provisioner.ensure_present(&reference(&file), None).await.unwrap();
        assert_eq!(named.facts.role, Some(role));
    }
}

#[tokio::test]
async fn a_projector_of_a_folder_is_told_by_its_header_or_by_a_word_of_its_name() {
    let bench = Fixture::new();
    let mmproj = |name: &str| {
        let folder = bench.path(name);
        FakeModel::gguf().write_to(&folder, "model").unwrap();
        folder
    };
    let found = async |folder: &Path| {
        let model = bench.provisioner().ensure_present(&reference(folder), None).await.unwrap();
        assert_eq!((model.facts.role, model.facts.architecture.as_deref()), (None, Some("llama")));
        model.mmproj
    };
    let by_header = mmproj("by-header");
    fs_err::write(by_header.join("vision.gguf"), companion("mmproj", "clip")).unwrap();
    assert_eq!(found(&by_header).await, Some(by_header.join("vision.gguf")));
    let by_name = mmproj("by-name");
    fs_err::write(by_name.join("Vis-9B.mmproj-f16.gguf"), companion("mmproj", "clip")).unwrap();
    assert_eq!(found(&by_name).await, Some(by_name.join("Vis-9B.mmproj-f16.gguf")));
    let none = mmproj("none");
    fs_err::write(none.join("imatrix.gguf"), companion("imatrix", "imatrix")).unwrap();
    assert_eq!(found(&none).await, None);
}
