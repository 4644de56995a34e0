//! Checks that shards are of one model.
//!
//! Source: `llama-gguf-split`. Each shard has `split.no` (from zero), `split.count` and `split.tensors.count` (of all
//! shards together); only the first has the other keys. So only these numbers and the names of its tensors tell
//! whether a shard is of the same model. They do not tell it from a shard of another quantization of the same model, with the
//! same numbers: only a digest does.

use std::collections::HashSet;

use super::Header;
use crate::{Error, Result, error::quoted};

/// Names the keys that tell the place of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    number: Option<u64>,
    count: u64,
    tensors: Option<u64>,
}

/// Checks the shards of a set, in their order.
#[derive(Debug)]
pub(crate) struct Shards {
    expected: u64,
    seen: u64,
    tensors: Option<u64>,
    names: HashSet<String>,
    architecture: Option<String>,
}

impl Shards {
    /// Begins a set of so many files, by their names.
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

    /// Checks that the shards together have all tensors.
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
