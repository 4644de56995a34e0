//! What is done with bytes that other tools keep on this machine.

use serde::{Deserialize, Serialize};

/// How a file that lies elsewhere on this machine is taken in, instead of fetching it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AdoptMode {
    /// By a hard link: both have the same bytes, which take no space twice. Where there can be no link, by a copy.
    #[default]
    Link,
    /// By a copy, which nobody else can change. Where the file system can share blocks, it does.
    Copy,
    /// Not at all.
    Off,
}

impl AdoptMode {
    /// Its name in configs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Copy => "copy",
            Self::Off => "off",
        }
    }
}
