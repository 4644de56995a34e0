//! Tells the system how to share the processors among threads.

/// Lets the thread that calls it interrupt no other one when it wakes up: what it has to do is long, and no other thread waits for
/// the next moment of it. Its part of the processors stays the same. Linux alone has such a policy, `SCHED_BATCH` of `sched(7)`.
///
/// Where the process has another policy than the usual one, that policy stays. Where a filter sees the system calls (`seccomp(2)`),
/// nothing is asked of the system: a filter may end the process for this call, as that of a hardened service does.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "these calls have no safe names")]
pub(crate) fn interrupt_no_other_thread() {
    if is_filtered() {
        return;
    }
    // SAFETY: the thread lives, the pointers are to values of this function, and all zeros are a value of either type. Where the
    // system refuses, the thread stays as it is.
    unsafe {
        let (thread, mut policy, mut priority) = (libc::pthread_self(), 0, std::mem::zeroed());
        let found = libc::pthread_getschedparam(thread, &raw mut policy, &raw mut priority);
        if found == 0 && policy == libc::SCHED_OTHER {
            libc::pthread_setschedparam(thread, libc::SCHED_BATCH, &raw const priority);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn interrupt_no_other_thread() {}

/// Returns whether a filter sees the system calls of this thread, as far as `proc(5)` says. A thread may get one at any time.
#[cfg(target_os = "linux")]
pub(crate) fn is_filtered() -> bool {
    let Ok(status) = fs_err::read_to_string("/proc/thread-self/status") else { return true };
    // A system without filters has no such line.
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() != "0")
}
