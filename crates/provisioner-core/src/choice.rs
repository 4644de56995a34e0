//! Says which files of a source belong to a model, as what, and why the others stay out.
//!
//! A source lists more than an engine loads. A pure rule chooses; its answer goes along with the [`Manifest`](crate::Manifest),
//! so that a plan can show it and a record can keep it.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    hint::Hint,
    message::{excerpt, told},
};

/// The largest number of characters of a base model's name that a message shows.
const MOST_NAME_CHARS: usize = 200;

/// Says what a chosen file is to an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The file has weights of the model, or says which file has which.
    Weights,
    /// The file is a part of the tokenizer.
    Tokenizer,
    /// The file says how an engine builds or drives the model.
    Configuration,
    /// The file is the multimodal projector of a GGUF model.
    Projector,
    /// The file is a smaller model that drafts tokens for this one.
    Draft,
    /// The file is an adapter, which changes a base model.
    Adapter,
    /// The file is an importance matrix, which a quantizer reads and no engine does.
    Imatrix,
    /// The file is program code that an engine runs if the caller lets it.
    Code,
    /// The file is none of these, or no rule knows it.
    Other,
}

impl Role {
    /// Returns the name of the role in documents, such as `weights`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Tokenizer => "tokenizer",
            Self::Configuration => "configuration",
            Self::Projector => "projector",
            Self::Draft => "draft",
            Self::Adapter => "adapter",
            Self::Imatrix => "imatrix",
            Self::Code => "code",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Describes a file that a source lists and that does not belong to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The path as the source lists it. It need not be one that a file of this machine can have.
    pub path: String,
    /// The size of the file, in bytes.
    pub size: u64,
    /// Why the file stays out.
    pub reason: LeftOutReason,
}

/// Says why a file stays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// The file has the same weights in another format.
    OtherFormat,
    /// The file has the same weights in another precision.
    OtherPrecision,
    /// The file belongs to another model of the repository, such as another quantization or another folder.
    OtherVariant,
    /// The file is an export for another runtime, beside native weights.
    OtherRuntime,
    /// The file continues a training: an optimizer, a checkpoint, a log.
    TrainingState,
    /// The file is a pickle that no engine loads here.
    Pickle,
    /// Other files of the repository have what this file has: a checkpoint in one file beside a pipeline, shards of an older set.
    Superseded,
    /// The folder is not one of the components that the pipeline names.
    UnusedComponent,
    /// The file goes along with a model and is not one, and the caller did not ask for it.
    Companion,
    /// The file is a piece of a file that was cut, and no engine reads it as it is.
    RawPart,
    /// The file is for people: a picture, a paper, a sample.
    Document,
    /// The file is a program that no manifest of the repository names.
    Script,
    /// The policy denies the file.
    Policy,
    /// The reference names other files.
    NotAsked,
    /// The lock file does not name the file.
    NotLocked,
    /// A file of this machine cannot have the name.
    UnsafeName,
    /// The file or its folder is hidden: its name begins with a dot.
    Hidden,
}

impl LeftOutReason {
    /// Returns the stable name of the reason in documents, such as `other-format`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherFormat => "other-format",
            Self::OtherPrecision => "other-precision",
            Self::OtherVariant => "other-variant",
            Self::OtherRuntime => "other-runtime",
            Self::TrainingState => "training-state",
            Self::Pickle => "pickle",
            Self::Superseded => "superseded",
            Self::UnusedComponent => "unused-component",
            Self::Companion => "companion",
            Self::RawPart => "raw-part",
            Self::Document => "document",
            Self::Script => "script",
            Self::Policy => "policy",
            Self::NotAsked => "not-asked",
            Self::NotLocked => "not-locked",
            Self::UnsafeName => "unsafe-name",
            Self::Hidden => "hidden",
        }
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherFormat => "the same weights in another format",
            Self::OtherPrecision => "the same weights in another precision",
            Self::OtherVariant => "a part of another model of the repository",
            Self::OtherRuntime => "an export for another runtime",
            Self::TrainingState => "the state of a training",
            Self::Pickle => "a pickle that no engine loads here",
            Self::Superseded => "other files have what it has",
            Self::UnusedComponent => "not a component of the pipeline",
            Self::Companion => "a companion that was not asked for",
            Self::RawPart => "a piece of a file that was cut",
            Self::Document => "for people to read",
            Self::Script => "a program that no manifest names",
            Self::Policy => "the policy denies it",
            Self::NotAsked => "not a part of what the reference names",
            Self::NotLocked => "not in the lock file",
            Self::UnsafeName => "its name is unsafe",
            Self::Hidden => "hidden",
        })
    }
}

/// Tells what an engine or a person may miss in what was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Notice {
    /// The repository has no tokenizer, and an engine of such a model needs one.
    NoTokenizer,
    /// The model comes with program code that an engine runs only if the caller lets it.
    RemoteCode {
        /// The files of code that were chosen.
        files: Vec<String>,
        /// The repositories from which an engine would take more code.
        elsewhere: Vec<String>,
    },
    /// The policy leaves program code out that the model's configuration names.
    CodeLeftOut {
        /// The files of code that stay out.
        files: Vec<String>,
    },
    /// The model is an adapter, and an engine needs its base model too.
    BaseModel {
        /// The base model as the adapter names it. It may be a path of the machine on which the adapter was trained.
        name: String,
    },
    /// Folders of the repository have adapters that the model's configuration names or that lie beside its weights.
    AdapterFolders {
        /// Names the folders that have adapters.
        folders: Vec<String>,
    },
    /// An engine may run program code that the model's signature does not cover.
    UnsignedCode {
        /// The files of code that came along, and that the signer left out.
        files: Vec<String>,
        /// The repositories from which an engine would take more code.
        elsewhere: Vec<String>,
    },
    /// Pickles lie beside the weights, and stay out.
    PicklesLeftOut {
        /// Names the pickles that stay out.
        files: Vec<String>,
    },
    /// The policy leaves pickles out that an engine may need beside the weights.
    PicklesDenied {
        /// Names the pickles that stay out.
        files: Vec<String>,
    },
    /// Some weights come in one variant alone, which an engine loads only if it is told.
    Variant {
        /// The names of the variants, such as `fp16`.
        names: Vec<String>,
    },
    /// Files are pointers of Git LFS, and not what these stand for.
    LfsPointers {
        /// Names the pointers of Git LFS.
        files: Vec<String>,
    },
    /// The repository has more manifests than are read before the choice.
    ManifestsLeftUnread {
        /// How many of them are not read.
        count: usize,
    },
    /// The policy allows files that it left out when the model was fetched. No record has this notice.
    AllowedNow {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Names the files that the policy allows now.
        files: Vec<String>,
    },
    /// An earlier release chose the files, by rules that knew fewer layouts. No record has this notice.
    ChosenEarlier {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
}

impl Notice {
    /// Returns the stable name of the notice in documents, such as `no-tokenizer`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoTokenizer => "no-tokenizer",
            Self::RemoteCode { .. } => "remote-code",
            Self::CodeLeftOut { .. } => "code-left-out",
            Self::BaseModel { .. } => "base-model",
            Self::AdapterFolders { .. } => "adapter-folders",
            Self::UnsignedCode { .. } => "unsigned-code",
            Self::PicklesLeftOut { .. } => "pickles-left-out",
            Self::PicklesDenied { .. } => "pickles-denied",
            Self::Variant { .. } => "variant",
            Self::LfsPointers { .. } => "lfs-pointers",
            Self::ManifestsLeftUnread { .. } => "manifests-left-unread",
            Self::AllowedNow { .. } => "allowed-now",
            Self::ChosenEarlier { .. } => "chosen-earlier",
        }
    }

    /// Returns whether the notice is about a model that was present before: it says what a refresh would change.
    pub const fn is_of_present(&self) -> bool {
        matches!(self, Self::AllowedNow { .. } | Self::ChosenEarlier { .. })
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::NoTokenizer => {
                Hint::text("an engine that needs one takes it from the model that this one was made from")
            }
            Self::RemoteCode { .. } => Hint::text(
                "read the code before an engine is told to trust it; the engine runs it with the rights of its process",
            ),
            Self::CodeLeftOut { .. } => Hint::AllowCode,
            Self::BaseModel { name } => {
                let name = base_name(name);
                Hint::text(format!("ensure the base model too, and give both to the engine: `{name}`"))
            }
            Self::AdapterFolders { .. } => {
                Hint::text("an engine loads each of them by its folder, beside the model")
            }
            Self::UnsignedCode { .. } => Hint::text(
                "no signature says who wrote that code; read it before an engine is told to trust it",
            ),
            Self::PicklesLeftOut { .. } => return None,
            Self::PicklesDenied { .. } => Hint::AllowPickles,
            Self::Variant { names } => {
                let first = names.first().map(|name| printable(name)).unwrap_or_default();
                Hint::text(format!("tell the engine, such as with `variant=\"{first}\"`"))
            }
            Self::LfsPointers { .. } => Hint::text(
                "the repository's authors did not upload these files: take another revision, or another repository",
            ),
            Self::ManifestsLeftUnread { .. } => Hint::text(
                "if the engine misses a file, name a folder of the repository, or files with patterns",
            ),
            Self::AllowedNow { id, .. } | Self::ChosenEarlier { id } => Hint::Refresh { id: id.clone() },
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokenizer => f.write_str("the repository has no tokenizer"),
            Self::RemoteCode { files, elsewhere } => {
                match files.as_slice() {
                    [] => f.write_str("the model needs program code")?,
                    files => write!(f, "the model comes with program code: {}", quoted(files))?,
                }
                match elsewhere.as_slice() {
                    [] => Ok(()),
                    repos => write!(f, "; an engine takes more of it from {}", quoted(repos)),
                }
            }
            Self::CodeLeftOut { files } => {
                write!(f, "the model names program code, which the policy leaves out: {}", quoted(files))
            }
            Self::BaseModel { name } => write!(f, "an adapter of `{}`", base_name(name)),
            Self::AdapterFolders { folders } => {
                write!(f, "the repository has adapters in folders: {}", quoted(folders))
            }
            Self::UnsignedCode { files, elsewhere } => {
                f.write_str("the signature does not cover all code that an engine may run")?;
                let elsewhere: Vec<_> = elsewhere.iter().map(|repo| format!("code of {repo}")).collect();
                write!(f, ": {}", quoted(&[files.as_slice(), elsewhere.as_slice()].concat()))
            }
            Self::PicklesLeftOut { files } => {
                write!(f, "pickles that no engine loads here stay out: {}", quoted(files))
            }
            Self::PicklesDenied { files } => {
                write!(
                    f,
                    "the policy leaves pickles out, which the engine may need beside the weights: {}",
                    quoted(files)
                )
            }
            Self::Variant { names } => {
                write!(
                    f,
                    "some weights come in a variant alone, which an engine does not load by itself: {}",
                    quoted(names)
                )
            }
            Self::LfsPointers { files } => {
                write!(f, "pointers of Git LFS lie in the place of files: {}", quoted(files))
            }
            Self::ManifestsLeftUnread { count } => {
                write!(
                    f,
                    "the repository has too many manifests: {count} more were not read before the choice"
                )
            }
            Self::AllowedNow { files, .. } => {
                write!(f, "the policy left out what it allows now: {}", quoted(files))
            }
            Self::ChosenEarlier { .. } => {
                f.write_str("an earlier release chose its files, and the engine may miss some")
            }
        }
    }
}

/// Returns names as a message shows them.
fn quoted(names: &[String]) -> String {
    told(names.iter().map(|name| format!("`{}`", printable(name))))
}

/// Returns the beginning of a base model's name as one line.
fn base_name(name: &str) -> String {
    excerpt(&printable(&excerpt(name, MOST_NAME_CHARS)), MOST_NAME_CHARS)
}

/// Returns a name from outside as one line.
fn printable(name: &str) -> Cow<'_, str> {
    if name.chars().any(char::is_control) { name.escape_debug().to_string().into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_documents_is_the_name_of_the_variant() {
        for role in [Role::Weights, Role::Configuration, Role::Code, Role::Other] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        for reason in [LeftOutReason::OtherFormat, LeftOutReason::RawPart, LeftOutReason::UnsafeName] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        let notice = Notice::BaseModel { name: "o/base".into() };
        let document = serde_json::to_value(&notice).unwrap();
        assert_eq!(document, serde_json::json!({ "kind": notice.as_str(), "name": "o/base" }));
        assert_eq!(serde_json::from_value::<Notice>(document).unwrap(), notice);
    }

    #[test]
    fn a_notice_is_one_line() {
        let notice = Notice::RemoteCode { files: vec!["a\n.py".into()], elsewhere: vec!["o/r".into()] };
        assert_eq!(
            notice.to_string(),
            "the model comes with program code: `a\\n.py`; an engine takes more of it from `o/r`"
        );
        let notice = Notice::BaseModel { name: format!("a\nb\u{1b}[2J{}", "x".repeat(1 << 20)) };
        for text in [notice.to_string(), notice.hint().unwrap().to_string()] {
            assert!(
                !text.contains(char::is_control) && text.len() < 500,
                "{} bytes: {text:.300}",
                text.len()
            );
        }
    }
}
