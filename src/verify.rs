//! From a [`StagedModel`](provisioner_core::StagedModel) to a [`VerifiedModel`](provisioner_core::VerifiedModel), or the reason
//! why not.

pub(crate) mod judge;
