//! Reads `model.safetensors.index.json`, which says in which file each tensor is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use provisioner_core::{RelativePath, without_python_numbers};
use serde::Deserialize;

use super::Header;
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

    /// Compares the index with the headers of the files that it names, and returns how they differ in ways that engines pass over:
    /// they load the tensors that a file has.
    ///
    /// # Errors
    /// [`Error::Index`] naming a file that has none of the tensors which the index places in it: it belongs to another model.
    pub fn differences(&self, headers: &BTreeMap<&str, &Header>) -> Result<Vec<String>> {
        let (mut absent, mut unnamed, mut elsewhere) = (Few::default(), Few::default(), Few::default());
        let mut all: Vec<_> = self.weight_map.iter().collect();
        all.sort_unstable();
        let mut has_one: HashSet<&str> = HashSet::new();
        let mut lacks: BTreeMap<&str, &str> = BTreeMap::new();
        for (tensor, file) in all {
            let Some(header) = headers.get(file.as_str()) else { continue };
            if header.tensor(tensor).is_some() {
                has_one.insert(file);
            } else {
                lacks.entry(file).or_insert(tensor);
                absent.add(tensor, file);
            }
        }
        if let Some((file, tensor)) = lacks.into_iter().find(|(file, _)| !has_one.contains(file)) {
            let (tensor, file) = (quoted(tensor), quoted(file));
            let reason = format!("says that {file} has the tensor {tensor}, and it has not");
            return Err(Error::Index { file: None, reason });
        }
        for (file, header) in headers {
            for tensor in header.each_name() {
                match self.weight_map.get(tensor) {
                    Some(place) if place == file => {}
                    Some(_) => elsewhere.add(tensor, file),
                    None => unnamed.add(tensor, file),
                }
            }
        }
        let told = [
            absent.told("names tensors that their files do not have"),
            unnamed.told("does not name tensors that its files have"),
            elsewhere.told("places tensors in other files than some that have them too"),
        ];
        Ok(told.into_iter().flatten().collect())
    }
}

/// Holds the first few tensors of a list, and counts the rest: a stranger may have made the list long.
#[derive(Default)]
struct Few {
    shown: Vec<String>,
    more: u64,
}

impl Few {
    const SHOWN: usize = 4;

    fn add(&mut self, tensor: &str, file: &str) {
        if self.shown.len() < Self::SHOWN {
            self.shown.push(format!("{} of {}", quoted(tensor), quoted(file)));
        } else {
            self.more += 1;
        }
    }

    fn told(self, what: &str) -> Option<String> {
        let shown = self.shown.join(", ");
        match (self.shown.is_empty(), self.more) {
            (true, _) => None,
            (false, 0) => Some(format!("{what}: {shown}")),
            (false, more) => Some(format!("{what}: {shown}, and {more} more")),
        }
    }
}
