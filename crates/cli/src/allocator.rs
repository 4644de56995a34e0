//! Bounds what the allocator of the C library keeps of the memory that the command has freed.
//!
//! That allocator keeps a pool of free memory for each of up to eight threads a processor, and gives blocks as large as the largest
//! one that was freed before out of these pools. A command that streams hands buffers from thread to thread, so that each pool keeps
//! some, and would hold on to blocks of tens of MiB. Both cost more than the bytes that are on their way. With one pool, a step reuses
//! what an earlier one freed on another thread; with a fixed bound, a large block goes back to the system once it is free.
//!
//! Another allocator than that of the GNU C library stays as it is: builds without it leave this module out.
//!
//! A program that the command becomes begins with an allocator of its own, and a caller of the library chooses one itself.

/// How many pools all threads share. They allocate little while bytes stream, so that they seldom wait for each other.
const POOLS: i32 = 1;

/// From how many bytes on a block is the system's own, and goes back at once.
const LARGE_BYTES: i32 = 1 << 20;

/// How many free bytes a pool keeps at its end: more than comes and goes while a model streams, for memory that went back to the system
/// costs a fault for each page.
const KEPT_BYTES: i32 = 16 << 20;

/// Bounds the pools of free memory. The command calls it before it starts a thread.
pub(crate) fn bound_free_memory() {
    for (option, value) in [
        (libc::M_ARENA_MAX, POOLS),
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
    ] {
        set(option, value);
    }
}

/// Sets an option of the allocator. Where that is refused, the old value stands.
#[expect(unsafe_code, reason = "this call has no safe name")]
fn set(option: i32, value: i32) {
    // SAFETY: it takes two numbers, and locks what it changes.
    unsafe { libc::mallopt(option, value) };
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        sync::{Arc, Barrier},
        thread,
    };

    use super::*;

    const MIB: usize = 1 << 20;

    /// How many bytes of memory this process has now.
    fn resident_bytes() -> usize {
        let status = fs_err::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// Takes blocks of so many bytes each, writes to them, and frees all but the last: the memory before a block that is in use stays
    /// with its pool, unless the block was the system's own.
    fn take_and_free(count: usize, bytes: usize) -> Vec<u8> {
        let mut blocks: Vec<_> = (0..count).map(|_| vec![1; bytes]).collect();
        blocks.push(vec![1; 2000]);
        blocks.pop().unwrap()
    }

    #[test]
    #[ignore = "the test of freed memory starts it, in a process of its own"]
    fn free_much() {
        bound_free_memory();
        let before = resident_bytes();
        // Without a bound, the second block comes out of a pool, for the first one was as large.
        drop(vec![1_u8; 30 * MIB]);
        let held = take_and_free(1, 29 * MIB);
        let large = resident_bytes().saturating_sub(before);
        // All threads live until the last has freed its blocks: each has a pool of its own, where there are enough.
        let (is_over, before) = (Arc::new(Barrier::new(17)), resident_bytes());
        for _ in 0..16 {
            let is_over = Arc::clone(&is_over);
            let (tell, told) = std::sync::mpsc::channel();
            thread::spawn(move || {
                let _held = take_and_free(2000, 2000);
                tell.send(()).unwrap();
                is_over.wait();
            });
            told.recv().unwrap();
        }
        let pools = resident_bytes().saturating_sub(before);
        is_over.wait();
        drop(held);
        assert!(large < 8 * MIB && pools < 20 * MIB, "a large block kept {large}, and pools {pools}");
    }

    #[test]
    fn freed_memory_goes_back() {
        let mut test = Command::new(std::env::current_exe().unwrap());
        let test = test.args(["allocator::tests::free_much", "--exact", "--ignored"]);
        let done = test.output().unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}");
    }
}
