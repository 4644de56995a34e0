//! Reads the names of shards, such as `model-00002-of-00003.gguf`.

use std::ops::RangeInclusive;

/// Holds the name of one file of a set, as `llama-gguf-split` and Transformers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardName {
    stem: String,
    number: u32,
    count: u32,
    /// The ending with its dot, in the letter case of the name.
    ending: String,
}

impl ShardName {
    /// Reads a file name. Returns `None` for a name that is not one of a shard.
    ///
    /// ```
    /// use provisioner_core::reference::ShardName;
    ///
    /// let shard = ShardName::parse("x-00002-of-00003.gguf").unwrap();
    /// assert_eq!(shard.sibling(1), "x-00001-of-00003.gguf");
    /// assert_eq!(ShardName::parse("x-00002-of-00003.GGUF").unwrap().sibling(1), "x-00001-of-00003.GGUF");
    /// assert!(ShardName::parse("x-00004-of-00003.gguf").is_none());
    /// ```
    pub fn parse(file_name: &str) -> Option<Self> {
        let (rest, ending) = file_name.split_at(file_name.rfind('.')?);
        if !["gguf", "safetensors"].iter().any(|known| ending[1..].eq_ignore_ascii_case(known)) {
            return None;
        }
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (1..=count).contains(&number).then(|| Self {
            stem: stem.to_owned(),
            number,
            count,
            ending: ending.to_owned(),
        })
    }

    /// Returns the number of the shard, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns how many shards the set has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the numbers of the shards that must be there for this one: all for the first shard, and the first for any
    /// other. So a caller looks for a set once, and not once for each of its shards.
    pub fn needs(&self) -> RangeInclusive<u32> {
        1..=if self.number == 1 { self.count } else { 1 }
    }

    /// Returns the file name of another shard of the set.
    pub fn sibling(&self, number: u32) -> String {
        format!("{}-{number:05}-of-{:05}{}", self.stem, self.count, self.ending)
    }
}

fn five_digits(text: &str) -> Option<u32> {
    (text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Returns the path of the first shard, which all shards of one set have in common. Returns `None` for a path that is not
/// one of a shard.
pub fn set_of(path: &str) -> Option<String> {
    let (folder, name) = match path.rfind('/') {
        Some(slash) => path.split_at(slash + 1),
        None => ("", path),
    };
    ShardName::parse(name).map(|shard| format!("{folder}{}", shard.sibling(1)))
}

/// Returns the same path, with the name of the first shard in place of the name of any other.
pub(super) fn at_first_shard(path: &str) -> String {
    set_of(path).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shards_are_shards() {
        for name in [
            "x.gguf",
            "x-1-of-3.gguf",
            "x-00000-of-00003.gguf",
            "x-00004-of-00003.gguf",
            "x-00001-of-00003.txt",
            "x-+0001-of-00003.gguf",
        ] {
            assert_eq!(ShardName::parse(name), None, "{name}");
        }
        let shard = ShardName::parse("-00002-of-00002.safetensors").unwrap();
        assert_eq!(
            (shard.number(), shard.count(), shard.sibling(1)),
            (2, 2, "-00001-of-00002.safetensors".into())
        );
        assert_eq!(
            at_first_shard("/a-00002-of-00002.gguf/x-00003-of-00003.gguf"),
            "/a-00002-of-00002.gguf/x-00001-of-00003.gguf"
        );
    }
}
