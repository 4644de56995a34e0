//! Reads files that another process may write to, and returns a digest with the stamp that belongs to it.
//!
//! # A digest and its stamp
//! The digest of such a file is worth something only with a stamp that every later write changes. Kernels keep a file's
//! times in ticks, and a write in the tick of the stamp leaves the stamp as it is. So a stamp counts once it has settled:
//! two ticks later the file still has it. Then the process reads the bytes. They count when the stamp, its `ctime` included,
//! is the same after the last byte. Neither step needs a clock that agrees with that of the file system.
//!
//! # One loop
//! The store, an export and a model that is used in place all read a file in the same steps, one file through [`read`] and several through
//! [`hash_all`]. All read again at most [`MAX_READS`] times.

mod error;
mod read;
mod settle;
mod several;

pub use error::{Error, Result};
pub use read::{Contents, Watch, git_id, open, read, read_own};
pub use settle::{FreshStamp, MAX_READS, TICKS, read_settled, settled_stamp};
pub use several::{FileToHash, SharedWatch, hash_all};
