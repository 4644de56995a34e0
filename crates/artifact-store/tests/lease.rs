//! Leases that other processes keep.
//!
//! These tests start programs. For a moment, each program that is being started has a copy of every descriptor of the process
//! that starts it, and so of every lock of another test. So they are not unit tests, and they wait for a lock to come free.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use artifact_store::Store;

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    root: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, root) = (Store::new(dir.path().join("store-v1")), dir.path().join("store-v1/models/a"));
        Self { _dir: dir, store, root }
    }

    fn lease(&self) -> artifact_store::Lease {
        self.store.lease(&self.root, "a", Duration::ZERO).unwrap()
    }

    /// Returns whether no process has a lease any more, within a moment.
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

/// Lets one test at a time start programs: for a moment, a program that is being started has a copy of the other test's lease.
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
    let fixture = Fixture::new();
    let strangers =
        thread::spawn(|| std::iter::repeat_with(|| sleep().spawn().unwrap()).take(60).collect::<Vec<_>>());
    let mut ended = 0;
    while !strangers.is_finished() {
        let mut lease = fixture.lease();
        lease.spawn(Command::new("true")).unwrap().wait().unwrap();
        drop(lease);
        ended += 1;
    }
    let strangers = strangers.join().unwrap();
    assert!(fixture.comes_free(), "{ended} leases have ended");
    for mut stranger in strangers {
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn a_child_carries_a_lease_on_and_ends_it() {
    let _alone = alone();
    let fixture = Fixture::new();
    let mut lease = fixture.lease();
    let mut child = lease.spawn(sleep()).unwrap();
    let mut stranger = sleep().spawn().unwrap();
    drop(lease);
    let holders = fixture.store.holders(&fixture.root, "a").unwrap();
    assert_eq!(holders.iter().map(|holder| holder.process.pid).collect::<Vec<_>>(), [child.id()]);
    assert_eq!(holders[0].process.is_alive(), Some(true));
    assert!(fixture.store.block_leases(&fixture.root, "a").is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(holders[0].process.is_alive(), Some(false), "only its remains are there");
    assert!(fixture.comes_free());
    assert!(fixture.store.holders(&fixture.root, "a").unwrap().is_empty());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
