//! Says what a model is and what ensuring it would do: these calls read, and keep nothing.

pub(crate) mod choose;
mod headers;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod plan;
mod policy_answers;
pub(crate) mod variants;
