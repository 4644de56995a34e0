//! Leases that other processes carry on.
//!
//! They start programs, and for a moment each program that is being started has a copy of every descriptor of the process
//! that starts it, every lock of another test's too. So they are not among the unit tests, and wait for what must come free.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use artifact_store::Store;

struct Bench {
    _dir: tempfile::TempDir,
    store: Store,
    root: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, root) = (Store::new(dir.path().join("store-v1")), dir.path().join("store-v1/models/a"));
        Self { _dir: dir, store, root }
    }

    fn lease(&self) -> artifact_store::Lease {
        self.store.lease(&self.root, "a", Duration::ZERO).unwrap()
    }

    /// Whether nobody has a lease any more, within a moment.
    fn comes_free(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            if self.store.block_leases(&self.root, "a").is_ok() {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

/// A program that is being started has a copy of every descriptor of this process for a moment, and so of the other test's lease.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("60");
    command
}

#[test]
fn strangers_that_are_started_meanwhile_get_no_lease() {
    let _alone = alone();
    let bench = Bench::new();
    let strangers =
        thread::spawn(|| std::iter::repeat_with(|| sleep().spawn().unwrap()).take(60).collect::<Vec<_>>());
    let mut ended = 0;
    while !strangers.is_finished() {
        let mut lease = bench.lease();
        lease.spawn(Command::new("true")).unwrap().wait().unwrap();
        drop(lease);
        ended += 1;
    }
    let strangers = strangers.join().unwrap();
    assert!(bench.comes_free(), "{ended} leases have ended");
    for mut stranger in strangers {
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn a_child_carries_a_lease_on_and_ends_it() {
    let _alone = alone();
    let bench = Bench::new();
    let mut lease = bench.lease();
    let mut child = lease.spawn(sleep()).unwrap();
    let mut stranger = sleep().spawn().unwrap();
    drop(lease);
    let holders = bench.store.holders(&bench.root, "a").unwrap();
    assert_eq!(holders.iter().map(|holder| holder.owner.pid).collect::<Vec<_>>(), [child.id()]);
    assert_eq!(holders[0].owner.is_alive(), Some(true));
    assert!(bench.store.block_leases(&bench.root, "a").is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(holders[0].owner.is_alive(), Some(false), "only its remains are there");
    assert!(bench.comes_free());
    assert!(bench.store.holders(&bench.root, "a").unwrap().is_empty());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
