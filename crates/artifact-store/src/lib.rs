//! Bytes at rest, verified, addressed by content; taking in what other tools have of them, and giving them out.
//!
//! ```text
//! store-v1/
//!   blobs/sha256/ab/cdef…           verified bytes, read-only; the name is the content
//!   blobs/sha256/ab/cdef….stamp     what `stat` said of them when they were verified
//!   partial/<key>.<owner>/          an unfinished transfer: `data`, `journal`, `about`, `lock`; or those of many `small`
//!                                   files; or an unfinished `view` with the draft of its seal; or a file of another tool
//!                                   that is being taken in: `linked`
//!   models/<scheme>/<name>/<revision>/<selection>/
//!                                   a view: hard links to blobs under the names that an engine expects,
//!                                   sealed with `.model.json`, or, while it is removed, marked with `.removed.json`
//!   locks/gate                      shared by those who put models in, closed by those who take some away
//!   locks/<key>                     held while a model is being made present
//!   leases/<key>                    shared by the live processes that use a model
//!   leases/<key>.<random>           who one of them is
//!   used/<key>                      when a model was last asked for: the file's modification time
//!   quarantine/                     what was found to be wrong
//! ```
//!
//! # Order
//! A final name means verified. Bytes arrive in `partial`; a verdict comes before anything else; then the seal is drafted,
//! aside; then the data is synced, made read-only and renamed to its blob, and the blob's folder is synced; then a view is
//! built around the draft, from links, sealed, synced, and renamed into place whole; then its folder is synced. Only then
//! does anybody write to a catalog.
//!
//! # Crash safety
//! Before the rename of a blob there is a partial, which the next transfer adopts. Between blob and view there is a blob
//! that no view names, which the next transfer finds, by its digest or by the draft, and the next commit reuses. Before the
//! rename of a view there is a folder in `partial`, which the next commit of that view takes over. After it, the model is
//! here, and a catalog that does not know it can be told by the seal.
//!
//! # Trust
//! A blob's name is a claim. It is believed while the blob has the stamp that was recorded when it was verified; else
//! it is read again, and what does not fit goes to `quarantine`. The stamp leaves out the time that linking changes. A
//! blob's modification time is set to a moment before it was verified, so that any later write must change it.
//! A blob that is somebody else's file too keeps all its times, and its stamp has them all: see the module `shared`.
//!
//! # Locks
//! They save work, and guard nothing that could be wrong: see the modules `model_lock`, `partial`, `lease` and `store_lock`. Where locks lie, the
//! worst is a second download; and what must not be guessed, taking models away, is refused.

mod adopt;
mod aside;
mod beneath;
mod blob;
mod error;
pub mod eviction;
mod export;
mod foreign;
mod git_ids;
mod lease;
mod leftover;
mod model_lock;
mod partial;
mod partial_file;
mod partial_meta;
mod process;
mod reading;
mod removal;
mod repair;
mod scan;
mod shared;
mod space;
mod store;
mod store_lock;
mod threads;
mod used;
mod view;

pub use adopt::{Adopted, Taking, Wanted};
pub use blob::Blob;
pub use error::{Error, Result};
pub use eviction::{Claim, Evicted, EvictionUnit, Kept, Plan, StoreInventory, Swept, Terms};
pub use export::{SUMS, export, exported};
pub use foreign::{Adoption, Candidate, Foreign};
pub use git_ids::GitIdIndex;
pub use lease::{Lease, LeaseBlock, LeaseHolder};
pub use leftover::{LeftoverEntry, LeftoverKind};
pub use model_lock::{LockWait, ModelLock, Waiting};
pub use partial::{Partial, ResumableTransfers};
pub use partial_file::PartialFile;
pub use process::ProcessIdentity;
pub use reading::{Watch, git_id, settled_stamp};
pub use removal::{Removal, Removals, USED_SINCE};
pub use repair::{Problem, ProblemKind};
pub use shared::GoOn;
pub use space::free_bytes;
pub use store::Store;
pub use store_lock::{STORE_LOCK_WAIT, StoreLock};
pub use view::SealedView;
