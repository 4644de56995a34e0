//! Says how a transfer behaves.

use std::time::Duration;

/// Configures a [`Transfer`](crate::Transfer). The defaults suit a hub behind a CDN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many ranges are open at once at the most, over all files. One that ends soon does not count.
    pub connections: usize,
    /// The size of a chunk, in bytes. A smaller file is one chunk.
    pub chunk_bytes: u64,
    /// How far past the hashed bytes a chunk may begin, in bytes.
    pub window_bytes: u64,
    /// How long a connection may be silent before the transfer gives it up, and how long it may bring less than
    /// [`MIN_BYTES_PER_S`](provisioner_core::MIN_BYTES_PER_S).
    pub stall: Duration,
    /// How often a source may fail in a row, without a byte in between.
    pub retries: usize,
    /// The first pause before a retry; each next one is twice as long.
    pub pause: Duration,
    /// The longest pause that a source may ask for; a longer one is an error at once.
    pub max_wait: Duration,
    /// The most bytes in a second, over all files.
    pub bytes_per_second: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 16,
            chunk_bytes: 16 << 20,
            window_bytes: 256 << 20,
            stall: Duration::from_secs(30),
            // 4.5 to 9 seconds of pauses in all: enough for a server that restarts, and not too long for a person who waits.
            retries: 4,
            pause: Duration::from_millis(300),
            // The Hub counts requests in windows of five minutes.
            max_wait: Duration::from_secs(330),
            bytes_per_second: None,
        }
    }
}
