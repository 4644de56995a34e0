//! Reads the provenance log: its last line, the lines about a model, and the whole chain with the handoffs that rest on it.

mod check;
mod handoffs;
mod lines;
mod position;

pub use self::{
    check::{ProvenanceCheck, ProvenanceReport},
    handoffs::{HandoffCounts, HandoffFault},
    lines::{ProvenanceLine, ProvenanceLines},
    position::PositionFault,
};
pub(crate) use self::{
    check::{head, verify},
    lines::lines,
};
