//! Reads which classes a document names, and passes over the rest while it reads.
//!
//! A tree of all values would take a hundred times as many bytes as the text, and a stranger wrote the text.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::python_json::without_python_numbers;

/// How many names one configuration has at the most. A model has some dozens of classes.
const MAX_NAMES: usize = 1 << 12;

/// How deep in a configuration the configurations of its parts lie, at the most.
const MAX_PARTS: u8 = 8;

/// Holds what a configuration names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The classes, such as `modeling_x.XModel`.
    pub(super) classes: Vec<String>,
    /// The components of a pipeline of diffusers, each with the module of its class.
    pub(super) components: Vec<(String, String)>,
}

/// Says which kind of document a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// A configuration of Transformers: `auto_map` and `custom_pipelines` name classes.
    Configuration,
    /// A list of the modules of Sentence Transformers, each with a class.
    Modules,
    /// An index of diffusers: each key is a component.
    PipelineIndex,
}

/// Returns what a document names. `None` where it is not JSON as Python reads it, or names too much.
pub(super) fn read(text: &str, document: Document) -> Option<Named> {
    let text = without_python_numbers(text.as_bytes());
    let mut json = serde_json::Deserializer::from_slice(&text);
    let found = RefCell::default();
    Part { found: &found, at: At::Top(document) }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found.into_inner())
}

/// Says where in a document a value is.
#[derive(Clone, Copy)]
enum At<'a> {
    /// The document itself.
    Top(Document),
    /// The configuration of a part, such as `text_config`, and how deep it lies.
    Inner(u8),
    /// A module of a list of modules.
    Module,
    /// `auto_map`.
    Map,
    /// `custom_pipelines`.
    Pipelines,
    /// One of the custom pipelines.
    Pipeline,
    /// A class, or several.
    Class,
    /// What the index of a pipeline says of the component of that name.
    Component(&'a str),
    /// The module of the component of that name.
    ModuleOf(&'a str),
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Part<'a> {
    found: &'a RefCell<Named>,
    at: At<'a>,
}

impl Part<'_> {
    /// Returns where the value of a key is. `None` where it names nothing.
    fn below(self, key: &str) -> Option<At<'_>> {
        match (self.at, key) {
            (At::Top(Document::Configuration) | At::Inner(_), "auto_map") => Some(At::Map),
            (At::Top(Document::Configuration), "custom_pipelines") => Some(At::Pipelines),
            (At::Top(Document::Configuration), _) => Some(At::Inner(1)),
            (At::Inner(depth), _) if depth < MAX_PARTS => Some(At::Inner(depth + 1)),
            (At::Top(Document::PipelineIndex), name) => Some(At::Component(name)),
            (At::Map, _) | (At::Module, "type") | (At::Pipeline, "impl") => Some(At::Class),
            (At::Pipelines, _) => Some(At::Pipeline),
            _ => None,
        }
    }

    /// Adds a name, of which there must not be too many.
    fn add<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.at, At::Class | At::ModuleOf(_)) {
            return Ok(());
        }
        let mut found = self.found.borrow_mut();
        if found.classes.len() + found.components.len() == MAX_NAMES {
            return Err(E::custom("it names too much"));
        }
        match self.at {
            At::Class => found.classes.push(text.to_owned()),
            At::ModuleOf(component) => found.components.push((component.to_owned(), text.to_owned())),
            _ => {}
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.add(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        match self.at {
            At::Top(Document::Modules) => {
                while elements.next_element_seed(Part { at: At::Module, ..self })?.is_some() {}
            }
            At::Class => while elements.next_element_seed(self)?.is_some() {},
            // As older configurations of tokenizers list them.
            At::Map => while elements.next_element_seed(Part { at: At::Class, ..self })?.is_some() {},
            At::Component(name) => {
                elements.next_element_seed(Part { at: At::ModuleOf(name), ..self })?;
            }
            _ => {}
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            match self.below(&key) {
                Some(at @ At::Inner(_)) => {
                    let value: &RawValue = entries.next_value()?;
                    // Other values are passed over, whatever they are.
                    if value.get().starts_with('{') {
                        let mut part = serde_json::Deserializer::from_str(value.get());
                        Part { found: self.found, at }.deserialize(&mut part).map_err(A::Error::custom)?;
                    }
                }
                Some(at) => entries.next_value_seed(Part { found: self.found, at })?,
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> Option<Vec<String>> {
        Some(read(text, Document::Configuration)?.classes)
    }

    #[test]
    fn classes_are_what_a_configuration_names() {
        let check = |text: &str, expected: &[&str]| assert_eq!(classes(text).unwrap(), expected, "{text}");
        check(r#"{"auto_map": {"AutoModel": "a.B", "AutoTokenizer": ["c.D", null, 5]}}"#, &["a.B", "c.D"]);
        check(r#"{"custom_pipelines": {"x": {"impl": "p.X", "type": "t.T"}}}"#, &["p.X"]);
        check(
            r#"{"type": "a.B", "x": {"auto_map": {"AutoModel": "a.C"}, "y": [{"auto_map": 1}]}}"#,
            &["a.C"],
        );
        check(r#"{"auto_map": ["a.B", null]}"#, &["a.B"]);
        check(r#"{"auto_map": "a.B"}"#, &[]);
        check("[1]", &[]);
        let modules = read(r#"[{"type": "m.M", "path": "x"}, 5, {"type": 7}]"#, Document::Modules).unwrap();
        assert_eq!(modules.classes, ["m.M"]);
        let text = r#"{"_class_name": ["p", "P"], "unet": ["u", 5], "vae": [[["v"]]], "x": "y", "z": []}"#;
        let index = read(text, Document::PipelineIndex).unwrap();
        let expected =
            [("_class_name", "p"), ("unet", "u")].map(|(name, module)| (name.into(), module.into()));
        assert_eq!((index.classes.len(), index.components), (0, expected.to_vec()));
    }

    /// What Python reads, this reads, as far as it names nothing.
    #[test]
    fn other_values_are_passed_over_whatever_they_are() {
        let with = |more: &str| classes(&format!(r#"{{"more": {more}, "auto_map": {{"A": "b.C"}}}}"#));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_parts = format!("{}{}", "{\"x\":".repeat(100_000) + "1", "}".repeat(100_000));
        for more in [&deep_parts, "NaN", "-Infinity", "1e999", r#""\ud800""#, &deep, &"9".repeat(500)] {
            assert_eq!(with(more).unwrap(), ["b.C"], "{}", &more[..more.len().min(20)]);
        }
        assert_eq!(classes(r#"{"auto_map": {"A": "a.B"}, "auto_map": {}}"#).unwrap(), ["a.B"]);
        for text in ["", "{", "{} {}", "\u{feff}{}", r#"{"auto_map": {"A": "\ud800"}}"#] {
            assert_eq!(classes(text), None, "{text}");
        }
    }

    #[test]
    fn what_names_too_much_is_not_read() {
        let of = |count: usize| format!(r#"{{"auto_map": {{"A": [{}null]}}}}"#, "\"a.B\",".repeat(count));
        assert_eq!(classes(&of(MAX_NAMES)).unwrap().len(), MAX_NAMES);
        assert_eq!(classes(&of(MAX_NAMES + 1)), None);
    }
}
