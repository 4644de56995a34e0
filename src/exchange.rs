//! Copies models between machines, as files and folders that a person carries.

pub(crate) mod export;
mod exported_folder;
mod found;
pub(crate) mod import;
mod plain_files;
mod take_in;
