//! Names the means by which models of the Hub are fetched.

use serde::{Deserialize, Serialize};

/// Names the means by which models of the Hub are fetched. It is data: a caller who builds the provisioner adds the fetcher that it
/// names, `HubFetcher` or `HubCommandFetcher`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The native client fetches, and the `hf` command where a build has no native client.
    #[default]
    Auto,
    /// The native client fetches.
    Native,
    /// The `hf` command fetches, or `huggingface-cli` where there is no `hf`.
    HfCli,
}
