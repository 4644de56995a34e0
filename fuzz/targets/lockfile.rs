//! Any text as a lock file. What is read is written, and read again as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(lock) = lockfile::read(text) else { return };
    let written = lockfile::write(&lock);
    assert_eq!(lockfile::read(&written).as_ref(), Ok(&lock));
});
