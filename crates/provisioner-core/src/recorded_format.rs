//! Keeps a format in a record so that an older release reads it too.
//!
//! `format` has a word of the first releases. `contents` has the format itself, where those had no word for it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{format::Format, lenient};

#[derive(Serialize, Deserialize)]
struct RecordedFormat {
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::value")]
    contents: Option<Format>,
}

/// Writes a format as the two fields.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn serialize<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
    let first = format.as_first_told();
    RecordedFormat { format: first, contents: (first != *format).then_some(*format) }.serialize(serializer)
}

/// Reads a format from the two fields. A word of a newer release in `contents` says nothing to this one.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    let read = RecordedFormat::deserialize(deserializer)?;
    Ok(read.contents.unwrap_or(read.format))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct File {
        #[serde(flatten, with = "super")]
        format: Format,
    }

    #[test]
    fn the_first_releases_read_a_word_that_they_know() {
        let first = ["gguf", "safetensors", "pickle", "python", "other"];
        let later = ["text", "onnx", "torchscript", "keras", "hdf5", "archive"];
        for word in first {
            let format = serde_json::from_value(json!(word)).unwrap();
            assert_eq!(serde_json::to_value(File { format }).unwrap(), json!({ "format": word }));
        }
        for word in later {
            let format: Format = serde_json::from_value(json!(word)).unwrap();
            let written = serde_json::to_value(File { format }).unwrap();
            assert!(
                first.contains(&written["format"].as_str().unwrap()) && written["contents"] == word,
                "{written}"
            );
            assert_eq!(serde_json::from_value::<File>(written).unwrap(), File { format });
        }
    }

    #[test]
    fn a_word_of_a_newer_release_is_passed_over() {
        let newer = json!({ "format": "pickle", "contents": "tomorrow" });
        assert_eq!(serde_json::from_value::<File>(newer).unwrap(), File { format: Format::Pickle });
        assert!(serde_json::from_value::<File>(json!({ "contents": "text" })).is_err());
    }
}
