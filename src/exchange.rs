//! Models that a person carries between machines, as files and folders.

pub(crate) mod export;
mod exported_folder;
mod found;
pub(crate) mod import;
mod plain_files;
mod take_in;
