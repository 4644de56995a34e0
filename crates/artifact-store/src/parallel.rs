//! Works on many files, several at once.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::error::Result;

/// Works on each item, on at most so many threads, and returns the outcomes in the order of the items. After a failure no
/// thread begins another item.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            match work(item) {
                Ok(outcome) => done.push((index, outcome)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let done: Result<Vec<_>> = thread::scope(|scope| {
        // Where the system starts no more threads, this thread does all the work.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads.min(items.len())).filter_map(spawn).collect();
        let own = run();
        let panicked = |_| Err(io::Error::other("the work with a file ended early").into());
        others.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).chain([own]).collect()
    });
    let mut done: Vec<_> = done?.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Returns how many files the store hashes at once: as many as there are cores.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
