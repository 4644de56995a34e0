//! The schemas and pages in the repository are those that the sources generate.

use std::path::Path;

use model_provisioner::{Handoff, ModelProvisionerConfig, OperatorPolicy};
use schemars::JsonSchema;
use testkit::assert_current;

fn check<T: JsonSchema>(name: &str) {
    let mut schema = serde_json::to_vec_pretty(&schemars::schema_for!(T)).unwrap();
    schema.push(b'\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    assert_current(&path, &schema);
}

#[test]
fn the_schemas_are_current() {
    check::<Handoff>("handoff.schema.json");
    check::<ModelProvisionerConfig>("config.schema.json");
    check::<OperatorPolicy>("policy.schema.json");
}
