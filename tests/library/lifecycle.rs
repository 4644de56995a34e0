//! A caller retires, activates and removes models, and the log says so.

use model_provisioner::{Expectation, Hint, Lifecycle, Outcome, Repair};
use testkit::TINY_GGUF;

use crate::fixture::{Fixture, code, reference, sha256};

#[tokio::test]
async fn a_retired_model_is_refused_until_it_is_activated() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = bench.provisioner();
    assert_eq!(code(provisioner.retire(&path).await), "not-in-catalog");
    provisioner.ensure_present(&path, Some(sha256(TINY_GGUF))).await.unwrap();
    assert_eq!(provisioner.retire(&path).await.unwrap().lifecycle, Lifecycle::Retired);
    let error = provisioner.ensure_present(&path, None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "retired");
    assert_eq!(error.hint(), Some(Hint::Activate { id: path.id() }));
    assert!(!provisioner.exists(&path).await.unwrap());
    assert_eq!(provisioner.verify(&path).await.unwrap().outcome, Outcome::Pass);
    assert_eq!(
        provisioner.show(&path).await.unwrap().record.lifecycle,
        Lifecycle::Retired,
        "verifying activates nothing"
    );
    provisioner.activate(&path).await.unwrap();
    assert!(provisioner.ensure_present(&path, None).await.is_ok());
    let actions: Vec<_> =
        bench.provenance().iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["ensure", "retire", "verify", "activate", "ensure"]);
}

#[tokio::test]
async fn removing_keeps_the_users_file() {
    let bench = Fixture::new();
    let file = bench.old_file("a.gguf", TINY_GGUF);
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&reference(&file), None).await.unwrap();
    assert!(provisioner.list().await.unwrap().models[0].last_used_at.is_some());
    fs_err::rename(&file, bench.path("moved")).unwrap();
    provisioner.remove(&reference(&file)).await.unwrap();
    assert!(bench.path("moved").exists());
    assert_eq!(code(provisioner.remove(&reference(&file)).await), "not-in-catalog");
    assert!(provisioner.list().await.unwrap().models.is_empty());
}

#[tokio::test]
async fn doctor_sets_a_damaged_record_aside() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&path, None).await.unwrap();
    assert_eq!(provisioner.doctor(true).await.unwrap(), []);
    for folder in fs_err::read_dir(bench.cache().join("catalog-v1")).unwrap() {
        for file in fs_err::read_dir(folder.unwrap().path()).unwrap() {
            fs_err::write(file.unwrap().path(), "{").unwrap();
        }
    }
    assert_eq!(code(provisioner.ensure_present(&path, None).await), "damaged-record");
    let findings = provisioner.doctor(false).await.unwrap();
    assert!(findings[0].mended.is_none() && findings[0].hint == Some(Hint::Repair(Repair::SetsRecordAside)));
    assert!(provisioner.doctor(true).await.unwrap()[0].mended.is_some());
    assert!(provisioner.ensure_present(&path, None).await.is_ok());
}

#[tokio::test]
async fn a_text_is_leased_as_its_reference_is() {
    let bench = Fixture::new();
    let file = bench.old_file("a.gguf", TINY_GGUF);
    let provisioner = bench.provisioner();
    let leased = provisioner.ensure_leased_str(file.to_str().unwrap(), &Expectation::none()).await;
    let (model, lease) = leased.unwrap();
    assert_eq!(model.local_path, file);
    assert_eq!(provisioner.holders(&reference(&file)).await.unwrap().len(), 1);
    drop(lease);
    assert!(provisioner.holders(&reference(&file)).await.unwrap().is_empty());
    let mistaken = provisioner.ensure_leased_str("org/repo", &Expectation::none()).await.unwrap_err();
    let ensured = provisioner.ensure_str("org/repo", &Expectation::none()).await.unwrap_err();
    assert_eq!(mistaken.hint(), ensured.hint());
    assert!(mistaken.hint().is_some_and(|hint| hint.to_string().contains("`hf:org/repo`")), "{mistaken}");
}
