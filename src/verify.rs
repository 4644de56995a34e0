//! Goes from a [`StagedModel`](provisioner_core::StagedModel) to a [`VerifiedModel`](provisioner_core::VerifiedModel), or
//! to the reason of a refusal.

pub(crate) mod judge;
mod signatures;
