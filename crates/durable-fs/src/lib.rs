//! Writes files whole or not at all, opens them without following a planted symlink, and locks them with a bounded wait.
//!
//! # Crash safety
//! [`replace`] writes a new file beside the old one, syncs it, renames it over the old one and syncs the folder.
//! A reader of the name sees the old bytes or the new ones. When `replace` has returned, the new ones survive a
//! loss of power. A process that dies in the middle leaves a file named `.<name>.<random>.tmp`, which no process
//! reads, and which [`sweep`] removes.
//!
//! # Locking
//! See [`Lock`]. A lock file or a note says which process holds something: see [`ProcessIdentity`].

mod copy_on_write;
mod error;
mod folder;
mod lock;
mod open;
mod process;
mod read;
mod usage;
mod write;

pub use copy_on_write::share_blocks;
pub use error::{Error, Result};
pub use folder::{create_folders, create_folders_in, entries, list, paths_in, remove, rename, sync_folder};
pub use lock::{Lock, LockTrust, lock, lock_found, lock_shared, lock_shared_found, lock_trust};
pub use open::{is_trusted, open_append, open_found, open_own};
pub use process::{ProcessIdentity, boot_id};
pub use read::{read, read_foreign, read_regular};
pub use usage::{Usage, usage_below};
pub use write::{check_appendable, is_temporary, replace, replace_with, sweep, touch};

#[cfg(test)]
mod tests;
