//! Limits the bytes in a second.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::lock::lock;

/// Holds a limit that all connections share.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_second: Option<u64>,
    /// Until when the bytes so far use the limit up.
    paid_until: Mutex<Option<Instant>>,
}

impl Rate {
    /// Returns a limit in bytes in a second; `None` and 0 limit nothing.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second: bytes_per_second.filter(|rate| *rate > 0), paid_until: Mutex::default() }
    }

    /// Waits until the limit allows these bytes.
    pub(crate) async fn pay(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let until = {
            let mut paid = lock(&self.paid_until);
            let now = Instant::now();
            let until = paid.map_or(now, |until| until.max(now)) + cost;
            *paid = Some(until);
            until
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_callers_share_one_limit() {
        let rate = Rate::new(Some(1000));
        let start = Instant::now();
        futures_util::future::join_all((0..4).map(|_| rate.pay(500))).await;
        assert_eq!(start.elapsed().as_secs(), 2);
        Rate::new(None).pay(u64::MAX).await;
    }
}
