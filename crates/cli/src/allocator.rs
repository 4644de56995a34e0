//! Bounds what the allocator of the C library keeps of the memory that the command has freed.
//!
//! That allocator keeps a pool of free memory for each of up to eight threads a processor, and gives blocks as large as the largest
//! one that was freed before out of these pools. A command that streams hands buffers from thread to thread, so that each pool keeps
//! some, and would hold on to blocks of tens of MiB. Both cost more than the bytes that are on their way. With a fixed bound, a large
//! block goes back to the system once it is free.
//!
//! Another allocator than that of the GNU C library stays as it is: builds without it leave this module out.
//!
//! A program that the command becomes begins with an allocator of its own, and a caller of the library chooses one itself.

/// How many pools all threads share.
const POOLS: i32 = 2;

/// From how many bytes on a block is the system's own, and goes back at once.
const LARGE_BYTES: i32 = 1 << 20;

/// How many free bytes a pool keeps at its end.
const KEPT_BYTES: i32 = 4 << 20;

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
