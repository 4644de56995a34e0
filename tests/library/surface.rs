//! A program can name every type through the facade, and make every call without a runtime.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use model_provisioner::{
    Bytes, CatalogError, CoreError, Error, FetchError, FsCatalog, HandoffError, InspectError, Interruption,
    ModelProvisioner, StoreError, SystemClock, TransferError,
};

/// The names of the public functions in the `impl ModelProvisioner` of a source file, but for conversions.
fn calls(file: &str) -> BTreeSet<String> {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
    let (_, body) = text.split_once("\nimpl ModelProvisioner {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let signatures = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    pub ")?;
        line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))
    });
    signatures.map(|signature| signature.split(['<', '(']).next().unwrap().to_owned()).collect()
}

#[test]
fn every_call_can_be_made_without_a_runtime() {
    let mut calls_of_async = calls("provisioner.rs");
    calls_of_async.extend(calls("provisioner/upkeep.rs"));
    assert!(calls_of_async.len() > 25, "{calls_of_async:?}");
    // The builder returns an async provisioner, and `into()` makes a blocking one of it.
    calls_of_async.extend(calls("builder.rs").into_iter().filter(|name| name != "builder"));
    let blocking = calls("blocking.rs");
    let differ: Vec<_> = calls_of_async.symmetric_difference(&blocking).collect();
    assert!(differ.is_empty(), "only in one of src/provisioner.rs and src/blocking.rs: {differ:?}");
}

#[test]
fn every_error_can_be_named() {
    fn told(error: &Error) -> String {
        match error {
            Error::Core(error) => CoreError::to_string(error),
            Error::Fetch(error) => FetchError::to_string(error),
            Error::Catalog(error) => CatalogError::to_string(error),
            Error::Transfer(error) => TransferError::to_string(error),
            Error::Store(error) => StoreError::to_string(error),
            Error::Inspect(error) => InspectError::to_string(error),
            Error::Handoff(error) => HandoffError::to_string(error),
            Error::CutOff(what) => Interruption::to_string(what),
            other => other.to_string(),
        }
    }
    assert_eq!(told(&Interruption::Abandoned.into()), "the caller no longer waits for it");
    assert!(Bytes::new().is_empty());
}

#[test]
fn a_catalog_can_be_opened_beside_the_builder() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = FsCatalog::open(dir.path(), Arc::new(SystemClock), FsCatalog::DEFAULT_WAIT).unwrap();
    let builder = ModelProvisioner::builder(dir.path().join("cache")).catalog(catalog);
    assert!(builder.build().is_ok());
}
