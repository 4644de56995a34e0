//! Keeps verified bytes at rest, addressed by content.
//!
//! ```text
//! store-v1/
//!   blobs/sha256/ab/cdef…           verified bytes, read-only; the name is the content
//!   blobs/sha256/ab/cdef….stamp     what `stat` said of them when they were verified: the blob's stamp
//!   partial/<key>.<process>/        an unfinished transfer: `data`, `journal`, `about`, `lock`; or those of many `small`
//!                                   files; or an unfinished `view` with the draft of its seal; or a file of another tool
//!                                   that is being adopted: `linked`; or the `scratch` folder of a program that downloads
//!   models/<scheme>/<name>/<revision>/<selection>/
//!                                   a view: hard links to blobs under the names that an engine expects,
//!                                   sealed with `.model.json`, or, while it is removed, marked with `.removed.json`
//!   locks/gate                      the store lock: shared by processes that commit, exclusive for one that removes
//!   locks/<key>                     the model lock: held while one process makes a model present
//!   leases/<key>                    shared by the live processes that use a model
//!   leases/<key>.<random>           names one of them
//!   used/<key>                      when a caller last used a model: the file's modification time
//!   quarantine/                     files whose contents are wrong
//! ```
//!
//! # Order
//! A final name means verified. Bytes arrive in `partial`, and the verdict comes before anything else. Then the store drafts
//! the seal, aside. It syncs the data, makes it read-only and renames it to its blob. It syncs the blob's folder. It builds
//! a view around the draft, from links. It seals the view, syncs it, renames it into place whole, and syncs its folder. Only
//! then does the caller write to a catalog.
//!
//! # Crash safety
//! Before the rename of a blob there is a partial, which the next transfer resumes. Between blob and view there is a blob
//! that no view names. The next transfer finds it, by its digest or by the draft, and the next commit reuses it. Before the
//! rename of a view there is a folder in `partial`, which the next commit of that view takes over. After it, the model is
//! whole, and its seal tells a catalog that does not have its record.
//!
//! # Trust
//! A blob's name is a claim. The store believes it while the blob has the stamp that was recorded when it was verified.
//! Otherwise the store reads the blob again, and moves a blob with other bytes to `quarantine`. The stamp leaves out the
//! time that a link changes. The store sets a blob's modification time to a moment before it was verified, so that any later
//! write changes it. A blob that is a link to another tool's file keeps all its times, and its stamp has them all: see the
//! module `blobs::externally_linked`.
//!
//! # Locks
//! A lock saves work, and guards nothing that could be wrong: see the module `locks`. Where locks lie, a process may
//! download a model that another one downloads too. The store refuses to remove there, for it cannot tell what is in use.
//!
//! # Modules
//! `layout` has every name on disk, `staging` the bytes on their way in, `blobs` and `views` the verified ones, `locks` how
//! processes exclude each other, `gc` how the store evicts, and `repair` how it finds and repairs problems.

pub(crate) mod blobs;
mod error;
mod files;
#[cfg(test)]
mod fixture;
pub(crate) mod gc;
mod layout;
pub(crate) mod locks;
mod parallel;
mod quarantine;
mod repair;
pub(crate) mod staging;
pub(crate) mod views;

pub use blobs::{blob::Blob, git_ids::GitIdIndex};
pub use error::{Error, Result};
pub use file_hashing::SharedWatch;
pub use files::free_bytes;
pub use gc::{
    eviction::{Evicted, EvictionPlan, Kept, Swept, USED_SINCE},
    inventory::{BlobEntry, Claim, EvictionUnit, Inode, StoreInventory},
    leftover::{Leftover, LeftoverEntry, LeftoverKind, PARTIAL_LIMIT, QUARANTINE_LIMIT, UNFINISHED_LIMIT},
    limits::{DEFAULT_GRACE, EvictionLimits, EvictionRequest},
    recorded::RecordedModels,
    removal::{Removal, Removals},
};
pub use layout::Store;
pub use locks::{
    holder::LeaseHolder,
    lease::{Lease, LeaseBlock},
    model_lock::{LockWait, ModelLock, Waiting},
    store_lock::{STORE_LOCK_WAIT, StoreLock},
};
pub use repair::{Problem, ProblemKind};
pub use staging::{
    adopt::{AdoptedFile, AdoptionTarget, BegunAdoption},
    partial::Partial,
    partial_file::PartialFile,
    resumable::ResumableTransfers,
    take::TakenFile,
};
pub use views::view::SealedView;
