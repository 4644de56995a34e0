//! Formats are told by contents: what runs code is refused under any name, and comes where the policy names its format.

use model_provisioner::{ErrorCode, Format, ModelProvisioner, Policy};
use testkit::{ZipWriter, tar};

use crate::fixture::{Fixture, reference};

const PICKLE: &[u8] = b"\x80\x02}q\0.";

/// Files that run code, with what each is.
fn dangerous() -> Vec<(Format, Vec<u8>)> {
    let zip = |members: &[(&str, &[u8])]| ZipWriter::of(members).to_bytes();
    let torch = zip(&[("archive/data.pkl", PICKLE), ("archive/data/0", b"\0\0\0\0")]);
    let script = zip(&[("m/code/a.py", b""), ("m/constants.pkl", PICKLE), ("m/data.pkl", PICKLE)]);
    vec![
        (Format::Pickle, tar(&[("model_config.yaml", b"a: b\n"), ("model_weights.ckpt", &torch)])),
        (Format::Pickle, torch),
        (Format::Pickle, b"cos\nsystem\n(S'id'\ntR.".to_vec()),
        (Format::Pickle, b"\x93NUMPY\x01\0\x10\0{'descr': '|O' }\x80\x02.".to_vec()),
        (Format::TorchScript, script),
        (Format::Keras, zip(&[("metadata.json", b"{}"), ("config.json", b"{}")])),
        (Format::Hdf5, b"\x89HDF\r\n\x1a\n\0\0\0".to_vec()),
        (Format::Archive, b"\xfd7zXZ\0\0\x04".to_vec()),
    ]
}

#[tokio::test]
async fn what_runs_code_is_refused_whatever_its_name() {
    let bench = Fixture::new();
    for (at, (format, bytes)) in dangerous().into_iter().enumerate() {
        for name in ["weights.dat", "tokenizer.model", "model.bin", "README.md"] {
            let path = reference(&bench.old_file(&format!("{at}-{name}"), &bytes));
            let error = bench.provisioner().ensure_present(&path, None).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::RefusedFormat, "{format:?} as {name}");
            let hint = error.hint().unwrap().to_string();
            assert!(format == Format::Pickle || hint.contains(format.as_str()), "{hint}");
            let named = Policy { formats: Some(vec![format]), ..Policy::default() };
            let builder = ModelProvisioner::builder(bench.path("other-cache")).policy(named);
            let model = builder.build().unwrap().ensure_present(&path, None).await.unwrap();
            assert_eq!(model.files[0].format, format, "{name}");
        }
    }
}

#[tokio::test]
async fn other_formats_do_not_stand_for_one_that_runs_code() {
    let bench = Fixture::new();
    let formats = vec![Format::Gguf, Format::Safetensors, Format::Onnx, Format::Text, Format::Other];
    let policy = Policy { formats: Some(formats), ..Policy::default() };
    let provisioner = ModelProvisioner::builder(bench.path("cache")).policy(policy).build().unwrap();
    for (at, (format, bytes)) in dangerous().into_iter().enumerate() {
        let path = reference(&bench.old_file(&format!("{at}.dat"), &bytes));
        let error = provisioner.ensure_present(&path, None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PolicyDenied, "{format:?}");
    }
}

#[tokio::test]
async fn a_file_that_became_a_pickle_is_refused_when_it_is_hashed() {
    let bench = Fixture::new();
    let path = bench.old_file("weights.dat", b"numbers");
    let model = reference(&path);
    bench.provisioner().ensure_present(&model, None).await.unwrap();
    bench.old_file("weights.dat", PICKLE);
    let error = bench.provisioner().verify(&model).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::RefusedFormat);
}

#[tokio::test]
async fn text_and_onnx_have_names_of_their_own() {
    let bench = Fixture::new();
    let config = bench.old_file("config.json", b"{}");
    let onnx = bench.old_file("m.onnx", b"\x08\x08\x3a\x04\x0a\x02\x0a\0");
    for (path, format) in [(config, Format::Text), (onnx, Format::Onnx)] {
        let path = reference(&path);
        for (formats, allowed) in
            [(vec![format], true), (vec![Format::Other], true), (vec![Format::Gguf], false)]
        {
            let policy = Policy { formats: Some(formats), ..Policy::default() };
            let cache = bench.path("cache");
            let provisioner = ModelProvisioner::builder(cache).policy(policy).build().unwrap();
            assert_eq!(provisioner.ensure_present(&path, None).await.is_ok(), allowed, "{format:?}");
        }
    }
}
