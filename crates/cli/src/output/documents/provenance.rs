//! Defines the documents of the provenance log.

pub(crate) mod checked;
pub(crate) mod head;
pub(crate) mod shown;
