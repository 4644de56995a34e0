//! Staging: bytes that are not verified yet, in partials.
//!
//! `partial` has the folders and who owns them, `partial_file` the files in them, `resumable` what dead processes left, `adopt`
//! the taking in of a file that another tool has, and `space` what the disk still has room for.

pub(crate) mod adopt;
pub(crate) mod kind;
pub(crate) mod partial;
pub(crate) mod partial_file;
pub(crate) mod partial_meta;
pub(crate) mod resumable;
pub(crate) mod space;
pub(crate) mod sweep;
