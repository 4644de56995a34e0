//! Decides whether the provisioner may use the network.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    denial::{Denial, DenialKind},
    hint::Hint,
    policy_engine::{Decision, PolicyEngine, Question},
    reference::ModelRef,
};

/// Says whether the provisioner may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The provisioner may use the network.
    Allow,
    /// The provisioner may not use the network.
    #[default]
    Deny,
    /// The user took the network away for now.
    #[serde(skip_deserializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Offline,
}

impl Network {
    /// Returns the name that a policy and messages use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Offline => "offline",
        }
    }
}

/// Returns the denial of the network for an absent model.
pub(super) fn refuse(network: Network, reference: &ModelRef) -> Option<Denial> {
    let what = || format!("the network, and `{reference}` is not on this machine");
    let denial = || Denial::new("network", reference.id(), what());
    match network {
        Network::Allow => None,
        Network::Offline => Some(denial().of_kind(DenialKind::Offline)),
        Network::Deny => Some(denial().with_remedy(Hint::AllowNetwork)),
    }
}

/// A [`PolicyEngine`] that decides about the network and about nothing else: beside a policy that decides about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkPolicy(pub Network);

impl PolicyEngine for NetworkPolicy {
    fn decide(&self, question: &Question<'_>) -> Decision {
        match question {
            Question::Network(reference) => {
                refuse(self.0, reference).map_or(Decision::Allowed, Decision::from)
            }
            _ => Decision::Allowed,
        }
    }

    fn rules(&self) -> Map<String, Value> {
        Map::from_iter([("network".to_owned(), self.0.as_str().into())])
    }
}
