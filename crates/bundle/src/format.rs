//! Reads and writes the record file and the table of digests.

use std::collections::BTreeMap;

use provisioner_core::{CatalogRecord, Digest, DigestAlgorithm, RelativePath, excerpt};
use serde::{Deserialize, Serialize};

/// The name of the table of digests in a bundle. A file of a model cannot have that name there.
pub const SUMS: &str = "SHA256SUMS";

/// The name of the record file.
pub(crate) const RECORD: &str = ".model.json";

/// Holds the record file, as it is on disk. Its schema is that of the record.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordFile {
    pub(crate) schema_version: u64,
    pub(crate) record: CatalogRecord,
}

/// Writes one line of `sha256sum`.
pub(crate) fn sums_line(sha256: &Digest, path: &RelativePath) -> String {
    format!("{}  {path}\n", sha256.hex())
}

/// Reads lines of `sha256sum`. No file of a model has a name that `sha256sum` would escape.
pub(crate) fn parse_sums(sums: &str) -> std::result::Result<BTreeMap<String, Digest>, String> {
    let mut table = BTreeMap::new();
    for line in sums.lines() {
        let strange = || format!("`{}` is no line of sha256sum", excerpt(line, 80));
        let (hex, name) = line.split_once(' ').ok_or_else(strange)?;
        let name = name.strip_prefix([' ', '*']).ok_or_else(strange)?;
        let digest = Digest::new(DigestAlgorithm::Sha256, hex).map_err(|error| error.to_string())?;
        let path = RelativePath::new(name).map_err(|error| error.to_string())?;
        if table.insert(path.to_string(), digest).is_some() {
            return Err(format!("`{name}` has two lines"));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sha256sum_are_read_and_others_refused() {
        let hex = "ab".repeat(32);
        let path = RelativePath::new("sub/a.json").unwrap();
        let digest = Digest::new(DigestAlgorithm::Sha256, &hex).unwrap();
        let table = parse_sums(&sums_line(&digest, &path)).unwrap();
        assert_eq!(table.get("sub/a.json"), Some(&digest));
        for wrong in ["text", &format!("{hex}  ../out"), &format!("{hex}  a\n{hex}  a"), "12  a"] {
            assert!(parse_sums(wrong).is_err(), "{wrong}");
        }
    }
}
