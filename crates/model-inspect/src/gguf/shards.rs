//! The shards of one model.
//!
//! Source: `llama-gguf-split`. Each shard has `split.no` (from zero), `split.count` and `split.tensors.count` (of all
//! shards together); only the first has the other keys. So whether a shard is of the same model can be told from these
//! numbers and from the names of its tensors alone. A shard of another quantization of the same model, with the same
//! numbers, goes unseen: only a digest finds it.

use std::collections::HashSet;

use super::Header;
use crate::{Error, Result, error::quoted};

/// Where a shard has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    number: Option<u64>,
    count: u64,
    tensors: Option<u64>,
}

/// The shards of a set, as they come.
#[derive(Debug)]
pub(crate) struct Shards {
    expected: u64,
    seen: u64,
    tensors: Option<u64>,
    names: HashSet<String>,
    architecture: Option<String>,
}

impl Shards {
    /// A set of so many files, by their names.
    pub(crate) fn new(files: usize) -> Self {
        Self { expected: files as u64, seen: 0, tensors: None, names: HashSet::new(), architecture: None }
    }

    /// Checks that the next file is the next shard.
    pub(crate) fn add(&mut self, header: &Header) -> Result<()> {
        let count = header.count("split.count").unwrap_or(0).max(1);
        let place =
            Place { number: header.count("split.no"), count, tensors: header.count("split.tensors.count") };
        let number = self.seen;
        self.seen += 1;
        if place.count != self.expected {
            return Err(wrong_count(place, self.expected));
        }
        if self.expected == 1 {
            return Ok(());
        }
        if place.number != Some(number) {
            let says = place.number.map_or("none".to_owned(), |found| (found.saturating_add(1)).to_string());
            return Err(Error::unsound(format!(
                "is shard {} by its name, and {says} by its header",
                number + 1
            )));
        }
        if place.tensors.is_none()
            || *self.tensors.get_or_insert(place.tensors.unwrap_or(0)) != place.tensors.unwrap_or(0)
        {
            return Err(Error::unsound("is no shard of this model: `split.tensors.count` is another one"));
        }
        self.same_model(header)
    }

    fn same_model(&mut self, header: &Header) -> Result<()> {
        if let Some(found) = header.text("general.architecture") {
            let first = self.architecture.get_or_insert_with(|| found.to_owned());
            if first != found {
                let (found, first) = (quoted(found), quoted(first));
                return Err(Error::unsound(format!(
                    "is of the architecture {found}, and the first shard of {first}"
                )));
            }
        }
        for tensor in header.tensors() {
            if !self.names.insert(tensor.name.clone()) {
                let name = quoted(&tensor.name);
                return Err(Error::unsound(format!("has the tensor {name}, and so has another shard")));
            }
        }
        Ok(())
    }

    /// Checks that the shards have all tensors together.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.tensors {
            Some(told) if told != self.names.len() as u64 => {
                let found = self.names.len();
                Err(Error::unsound(format!("tells of {told} tensors in all shards, and they have {found}")))
            }
            _ => Ok(()),
        }
    }
}

fn wrong_count(place: Place, expected: u64) -> Error {
    let Place { number, count, .. } = place;
    if expected > 1 {
        return Error::unsound(format!(
            "is one of {expected} shards by its name, and of {count} by its header"
        ));
    }
    let number = number.map_or(0, |number| number.saturating_add(1));
    Error::unsound(format!(
        "is shard {number} of {count}, and its name does not say so, so that the others are not found"
    ))
}
