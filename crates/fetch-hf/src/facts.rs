//! Reads what the Hub says of a repository, beside its files.
//!
//! An answer of the Hub has these fields (`GET /api/models/{id}/revision/{revision}`): `cardData.license`, `tags`, `gated`, `private`
//! and `disabled`. A field that is missing or odd says nothing, and fails nothing.

use provisioner_core::SourceFacts;
use serde::Deserialize;
use serde_json::Value;

/// The largest number of tags that are kept.
const MAX_TAGS: usize = 100;

/// The largest number of bytes of a tag or a licence.
const MAX_TEXT_BYTES: usize = 128;

/// The beginning of the tag that names the licence.
const LICENSE_TAG: &str = "license:";

/// Holds the Hub's answer about a revision: its commit, and what describes the repository. The rest of the answer is passed over.
#[derive(Deserialize)]
pub(crate) struct Revision {
    pub(crate) sha: String,
    #[serde(rename = "cardData", default)]
    pub(crate) card_data: Value,
    #[serde(default)]
    pub(crate) tags: Value,
    #[serde(default)]
    pub(crate) gated: Value,
    #[serde(default)]
    pub(crate) private: Value,
    #[serde(default)]
    pub(crate) disabled: Value,
}

impl Revision {
    /// Returns what the fields say.
    pub(crate) fn facts(&self) -> SourceFacts {
        let mut facts = SourceFacts::default();
        facts.tags = self.tags();
        facts.license = self.license();
        facts.gated = match &self.gated {
            Value::Bool(is_gated) => Some(*is_gated),
            // It says how access is granted.
            Value::String(_) => Some(true),
            _ => None,
        };
        facts.private = self.private.as_bool();
        facts.disabled = self.disabled.as_bool();
        facts
    }

    /// Returns the licence of the card, and otherwise that of the tags. A card with several names none, and neither do several tags.
    fn license(&self) -> Option<String> {
        let of_card = match self.card_data.get("license") {
            Some(Value::String(license)) => Some(license.as_str()),
            Some(Value::Array(several)) if several.len() == 1 => several[0].as_str(),
            Some(Value::Array(_)) => return None,
            _ => None,
        };
        let mut tagged = self.all_tags().filter_map(|tag| tag.strip_prefix(LICENSE_TAG));
        let of_tags = || tagged.next().filter(|first| tagged.all(|other| other == *first));
        of_card.or_else(of_tags).filter(|text| is_sound(text)).map(str::to_lowercase)
    }

    fn all_tags(&self) -> impl Iterator<Item = &str> {
        self.tags.as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn tags(&self) -> Vec<String> {
        self.all_tags().filter(|tag| is_sound(tag)).take(MAX_TAGS).map(str::to_owned).collect()
    }
}

/// Returns whether a text may be kept: it is short, and has no control characters.
pub(crate) fn is_sound(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn facts(mut answer: Value) -> SourceFacts {
        answer["sha"] = json!("0");
        serde_json::from_value::<Revision>(answer).unwrap().facts()
    }

    #[test]
    fn the_licence_is_that_of_the_card_or_of_a_tag() {
        let license = |answer| facts(answer).license;
        assert_eq!(
            license(json!({ "cardData": { "license": "Apache-2.0" } })).as_deref(),
            Some("apache-2.0")
        );
        assert_eq!(license(json!({ "cardData": { "license": ["mit"] } })).as_deref(), Some("mit"));
        assert_eq!(license(json!({ "tags": ["gguf", "license:mit"] })).as_deref(), Some("mit"));
        let two = json!({ "cardData": { "license": ["mit", "gpl-3.0"] }, "tags": ["license:mit"] });
        assert_eq!(license(two), None, "the stricter of two is not known");
        let tags = |tags: &[&str]| license(json!({ "tags": tags }));
        assert_eq!(tags(&["license:mit", "license:gpl-3.0"]), None);
        assert_eq!(tags(&["license:mit", "license:mit"]).as_deref(), Some("mit"));
        let far = [vec!["t"; MAX_TAGS], vec!["license:mit", "license:gpl-3.0"]].concat();
        assert_eq!(tags(&far), None);
        for odd in [json!({}), json!({ "cardData": null }), json!({ "cardData": [1] }), json!({ "tags": {} })]
        {
            assert_eq!(license(odd), None);
        }
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        for hostile in ["", "a\nb", long.as_str()] {
            assert_eq!(license(json!({ "cardData": { "license": hostile } })), None, "{hostile:?}");
        }
    }

    #[test]
    fn odd_fields_say_nothing() {
        let told =
            facts(json!({ "gated": "manual", "private": false, "disabled": true, "tags": ["a", 1, "b"] }));
        assert_eq!((told.gated, told.private, told.disabled), (Some(true), Some(false), Some(true)));
        assert_eq!(told.tags, ["a", "b"]);
        let odd = facts(json!({ "gated": 1, "private": "no", "disabled": null, "tags": vec!["t"; 1000] }));
        assert_eq!((odd.gated, odd.private, odd.disabled, odd.tags.len()), (None, None, None, MAX_TAGS));
    }
}
