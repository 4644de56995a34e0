//! Stages bytes that are not verified yet, in partials.
//!
//! `partial` has the folders and the processes that work on them, `partial_file` the files in them, `resumable` what dead
//! processes left, `adopt` how the store takes in another tool's file, `take` how it takes what a
//! program of a source downloaded, and `space` what the disk still has room for.

pub(crate) mod adopt;
pub(crate) mod kind;
pub(crate) mod partial;
pub(crate) mod partial_file;
pub(crate) mod partial_meta;
pub(crate) mod resumable;
pub(crate) mod space;
pub(crate) mod sweep;
pub(crate) mod take;
