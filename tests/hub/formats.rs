//! What arrives is told by its contents before a record of it exists.

use model_provisioner::{
    AdoptMode, ErrorCode, Format, HubFetcher, HubSettings, ModelProvisioner, ModelRef, Network, Policy,
};
use testkit::ZipWriter;

use crate::fixture::{Fixture, sha256};

/// An archive of `torch.save`.
fn torch() -> Vec<u8> {
    ZipWriter::of(&[("archive/data.pkl", b"\x80\x02}q\0."), ("archive/data/0", &[0; 64])]).to_bytes()
}

#[tokio::test]
async fn a_pickle_under_another_name_is_not_committed() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("weights.dat", torch()).publish();
    let id = "hf:org/repo/weights.dat";
    let provisioner = bench.provisioner();
    let error = provisioner.ensure_present_str(id, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::RefusedFormat, "{error}");
    assert!(provisioner.locate(&id.parse::<ModelRef>().unwrap()).await.unwrap().is_none());
    assert!(provisioner.list().await.unwrap().models.is_empty());
}

#[tokio::test]
async fn a_pickle_that_another_tool_has_is_not_committed() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("weights.dat", torch()).publish();
    bench.foreign(&format!("hub/models--org--repo/blobs/{}", sha256(torch())), torch());
    for mode in [AdoptMode::Link, AdoptMode::Copy] {
        let error =
            bench.adopter(mode).ensure_present_str("hf:org/repo/weights.dat", None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::RefusedFormat, "{mode:?}: {error}");
    }
}

#[tokio::test]
async fn a_name_that_may_be_a_torchscript_is_judged_by_its_bytes() {
    let bench = Fixture::new();
    let script = ZipWriter::of(&[
        ("m/code/a.py", b""),
        ("m/constants.pkl", b"\x80\x02)."),
        ("m/data.pkl", b"\x80\x02)."),
    ]);
    bench.hub.repo("org/script").lfs("m.pt", script.to_bytes()).publish();
    bench.hub.repo("org/pickle").lfs("m.pt", torch()).publish();
    let formats = Some(vec![Format::TorchScript]);
    let policy = Policy { network: Network::Allow, formats, ..Policy::default() };
    let hub = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
    let provisioner = ModelProvisioner::builder(bench.cache()).fetcher(hub).policy(policy).build().unwrap();
    let model = provisioner.ensure_present_str("hf:org/script/m.pt", None).await.unwrap();
    assert_eq!(model.files[0].format, Format::TorchScript);
    let error = provisioner.ensure_present_str("hf:org/pickle/m.pt", None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PolicyDenied, "{error}");
}
