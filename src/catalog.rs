//! Reads and writes the catalog's records, and the log of what processes did with them.
//!
//! The catalog is not a step: [`resolve`](crate::resolve) reads it first, and [`commit`](crate::commit) writes it last.

pub(crate) mod provenance;
pub(crate) mod put;
pub(crate) mod records;
pub(crate) mod relocated;
mod source_entry;
