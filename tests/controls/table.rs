//! The table of the protections: `table.yaml`.

use std::path::Path;

use serde::Deserialize;

/// A protection, and the test that notices when it is gone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    /// The name that `docs/guarantees.md` gives it.
    pub(crate) name: String,
    /// The file that it is in.
    pub(crate) file: String,
    /// The text that it consists of, which is in that file once.
    pub(crate) take: String,
    /// The text that replaces it.
    pub(crate) put: String,
    /// The test that fails without it.
    pub(crate) test: TestName,
}

/// A test: `crates/cli/tests/command/gc.rs::name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TestName {
    pub(crate) file: String,
    pub(crate) name: String,
}

impl TryFrom<String> for TestName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (file, name) = text.split_once("::").ok_or_else(|| format!("`{text}` names no test"))?;
        Ok(Self { file: file.to_owned(), name: name.to_owned() })
    }
}

impl TestName {
    /// Returns whether the sources have the test.
    pub(crate) fn exists(&self) -> bool {
        let text = fs_err::read_to_string(root().join(&self.file)).unwrap_or_default();
        let Some((before, _)) = text.split_once(&format!("fn {}(", self.name)) else { return false };
        // Its attributes stand between the end of what is before and its name.
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        attributes.contains("test]") || attributes.contains("::test(")
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads the table.
pub(crate) fn controls() -> Vec<Control> {
    let table = fs_err::read_to_string(root().join("tests/controls/table.yaml")).unwrap();
    serde_saphyr::from_str(&table).unwrap()
}
