//! Reads `model.safetensors.index.json`, which says in which file each tensor is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use provisioner_core::RelativePath;
use serde::Deserialize;

use super::{Header, json::without_python_numbers};
use crate::{Error, Result, error::quoted};

/// Holds the index of weights in several files.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    weight_map: HashMap<String, String>,
}

impl Index {
    /// Reads an index from its bytes.
    ///
    /// # Errors
    /// [`Error::Unsound`] where the bytes are not an index, or where it names a file that cannot be beside it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let index: Self = serde_json::from_slice(&without_python_numbers(bytes))
            .map_err(|error| Error::unsound(format!("is no index: {}", quoted(&error.to_string()))))?;
        for file in index.files() {
            RelativePath::new(file)
                .map_err(|error| Error::unsound(format!("names a file that it must not: {error}")))?;
        }
        if index.weight_map.is_empty() {
            return Err(Error::unsound("names no tensor"));
        }
        Ok(index)
    }

    /// Lists the files that it names, relative to its own folder.
    pub fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Checks that each tensor is in the file that the index names, and that it names each tensor of these files.
    ///
    /// # Errors
    /// [`Error::Unsound`] naming the first tensor of which this is not true.
    pub fn check(&self, headers: &BTreeMap<&str, &Header>) -> Result<()> {
        let mut names: Vec<_> = self.weight_map.iter().collect();
        names.sort_unstable();
        for (tensor, file) in names {
            let Some(header) = headers.get(file.as_str()) else { continue };
            if header.tensor(tensor).is_none() {
                let (tensor, file) = (quoted(tensor), quoted(file));
                return Err(Error::unsound(format!(
                    "says that {file} has the tensor {tensor}, and it has not"
                )));
            }
        }
        for (file, header) in headers {
            let unnamed = |tensor: &&str| self.weight_map.get(*tensor).is_none_or(|named| named != file);
            if let Some(tensor) = header.each_name().filter(unnamed).min() {
                let (tensor, file) = (quoted(tensor), quoted(file));
                return Err(Error::unsound(format!("does not say that {file} has the tensor {tensor}")));
            }
        }
        Ok(())
    }
}
