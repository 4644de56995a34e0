//! Says how the provisioner takes in files that other tools keep on this machine.

use serde::{Deserialize, Serialize};

/// Says how the provisioner adopts a file that lies elsewhere on this machine, instead of fetching it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AdoptMode {
    /// The store links the file, so that the bytes take no space twice. Where there can be no link, the store copies it.
    #[default]
    Link,
    /// The store copies the file, so that no other tool can change its copy. Where the file system can share blocks, it does.
    Copy,
    /// The provisioner adopts no file.
    Off,
}

impl AdoptMode {
    /// Returns the name of the mode in configs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Copy => "copy",
            Self::Off => "off",
        }
    }
}
