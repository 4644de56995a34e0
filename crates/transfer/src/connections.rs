//! Counts the connections of one file, and what they bring.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{Notify, SemaphorePermit},
    time::Instant,
};

/// An answer that comes sooner is not worth a request ahead of time: the hashing thread has bytes for so long.
const SHORT_ANSWER: Duration = Duration::from_millis(5);

/// How long a connection must have brought bytes before its own pace counts.
const TELLING_TIME: Duration = Duration::from_millis(20);

/// How many connections a file has at the most.
pub(crate) const MOST: usize = u64::BITS as usize;

/// Counts the connections of one file.
#[derive(Debug)]
pub(crate) struct Connections {
    /// A bit for each that brings a chunk that does not end soon. The next one takes the lowest bit that is free.
    under_way: AtomicU64,
    arrived: AtomicU64,
    /// The bits of those that brought bytes in this interval.
    live: AtomicU64,
    /// How many more end soon.
    ending: AtomicUsize,
    /// How long the quickest answer took to come, in nanoseconds. Others may have waited for this machine.
    answer_ns: AtomicU64,
    /// How long a MiB of the last chunk took to come, in nanoseconds.
    mib_ns: AtomicU64,
    news: Notify,
}

/// Holds a connection that brings a chunk.
pub(crate) struct Connection<'a> {
    of: &'a Connections,
    /// Its bit, for as long as it counts: until its chunk ends soon.
    bit: u64,
    bytes: u64,
    first_byte: Option<Instant>,
    permit: Option<SemaphorePermit<'a>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            under_way: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            live: AtomicU64::new(0),
            ending: AtomicUsize::new(0),
            answer_ns: AtomicU64::new(u64::MAX),
            mib_ns: AtomicU64::new(0),
            news: Notify::new(),
        }
    }
}

impl Connections {
    /// Begins a chunk.
    pub(crate) fn begin(&self) -> Connection<'_> {
        let lowest = |bits: u64| !bits & bits.wrapping_add(1);
        let taken = self.under_way.fetch_update(Relaxed, Relaxed, |bits| Some(bits | lowest(bits)));
        let bit = lowest(taken.unwrap_or_default());
        Connection { of: self, bit, bytes: 0, first_byte: None, permit: None }
    }

    /// Returns how many bring a chunk that does not end soon.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Relaxed).count_ones() as usize
    }

    /// Returns how many bytes have arrived, and over how many connections since the last call.
    pub(crate) fn observe(&self) -> (u64, usize) {
        (self.arrived.load(Relaxed), self.live.swap(0, Relaxed).count_ones() as usize)
    }

    /// Returns how many bytes a connection brings in the time that an answer takes to come; 0 until that is known.
    pub(crate) fn bytes_of_answer(&self) -> u64 {
        let (answer_ns, mib_ns) = (self.answer_ns.load(Relaxed), self.mib_ns.load(Relaxed));
        if mib_ns == 0 {
            return 0;
        }
        u64::try_from((u128::from(answer_ns) << 20) / u128::from(mib_ns)).unwrap_or(u64::MAX)
    }

    /// Waits until another chunk may begin.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Tells that another chunk may begin.
    pub(crate) fn tell(&self) {
        self.news.notify_one();
    }
}

impl<'a> Connection<'a> {
    /// Begins a request, with its permit.
    pub(crate) fn ask(&mut self, permit: Option<SemaphorePermit<'a>>) {
        (self.permit, self.bytes, self.first_byte) = (permit, 0, None);
    }

    /// Gives the permit back until the next request.
    pub(crate) fn rest(&mut self) {
        self.permit = None;
    }

    /// Notes how long the answer took to come.
    pub(crate) fn answered(&self, took: Duration) {
        self.of.answer_ns.fetch_min(nanoseconds(took), Relaxed);
    }

    /// Notes bytes that arrived, of an answer of which so many are left.
    pub(crate) fn arrived(&mut self, bytes: u64, left: u64) {
        self.of.arrived.fetch_add(bytes, Relaxed);
        self.of.live.fetch_or(self.bit, Relaxed);
        if self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
        self.bytes += bytes;
        // Each leaves its place to one other at a time.
        if self.bit != 0 && self.of.ending.load(Relaxed) < self.of.under_way() && self.ends_soon(left) {
            self.of.ending.fetch_add(1, Relaxed);
            self.leave();
        }
    }

    /// Returns whether the rest comes in less time than the next answer takes.
    fn ends_soon(&self, left: u64) -> bool {
        let answer_ns = self.of.answer_ns.load(Relaxed);
        if answer_ns < nanoseconds(SHORT_ANSWER) {
            return false;
        }
        let mib_ns = match self.first_byte.map(|first| first.elapsed()) {
            Some(time) if time >= TELLING_TIME => per_mib(time, self.bytes),
            _ => self.of.mib_ns.load(Relaxed),
        };
        mib_ns > 0 && u128::from(left) * u128::from(mib_ns) <= u128::from(answer_ns) << 20
    }

    /// Lets the next chunk begin.
    fn leave(&mut self) {
        self.permit = None;
        let bit = std::mem::take(&mut self.bit);
        if bit != 0 {
            self.of.under_way.fetch_and(!bit, Relaxed);
            self.of.tell();
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if let Some(first) = self.first_byte {
            self.of.mib_ns.store(per_mib(first.elapsed(), self.bytes), Relaxed);
        }
        if self.bit == 0 {
            self.of.ending.fetch_sub(1, Relaxed);
        }
        self.leave();
    }
}

fn per_mib(time: Duration, bytes: u64) -> u64 {
    let per_mib = (time.as_nanos() << 20) / u128::from(bytes.max(1));
    u64::try_from(per_mib).unwrap_or(u64::MAX)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::{sync::Semaphore, time::advance};

    use super::*;

    const SLOW: Duration = Duration::from_millis(100);
    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_ends_before_the_next_answer_comes_leaves_its_place() {
        let (connections, permits) = (Connections::default(), Semaphore::new(1));
        let mut connection = connections.begin();
        connection.ask(permits.acquire().await.ok());
        connection.answered(SLOW);
        connection.arrived(1, 16 * MIB);
        for left in (10..16).rev() {
            advance(SLOW / 10).await;
            connection.arrived(MIB, left * MIB);
            let leaves = left == 10;
            assert_eq!(connections.under_way(), usize::from(!leaves), "{left} MiB take {left} times 10 ms");
            assert_eq!(permits.available_permits(), usize::from(leaves));
        }
        // The next one has to wait until the first one has ended.
        let mut next = connections.begin();
        next.ask(permits.acquire().await.ok());
        next.arrived(1, MIB);
        advance(SLOW).await;
        next.arrived(MIB, 1);
        assert_eq!((connections.under_way(), permits.available_permits()), (1, 0));
        drop(connection);
        next.arrived(1, 0);
        assert_eq!((connections.under_way(), permits.available_permits()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_the_time_of_an_answer_is_known_after_a_chunk() {
        let connections = Connections::default();
        let mut connection = connections.begin();
        connection.answered(SLOW);
        connection.arrived(0, 4 * MIB);
        advance(2 * SLOW).await;
        connection.arrived(4 * MIB, 0);
        assert_eq!(connections.bytes_of_answer(), 0);
        drop(connection);
        assert_eq!(connections.bytes_of_answer(), 2 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_is_not_asked_for_ahead() {
        let connections = Connections::default();
        let mut connection = connections.begin();
        // The slow one had to wait for this machine.
        for took in [SLOW, SHORT_ANSWER / 2, SLOW] {
            connection.answered(took);
        }
        connection.arrived(1, MIB);
        advance(SLOW).await;
        connection.arrived(MIB, 1);
        assert_eq!(connections.under_way(), 1);
        let other = connections.begin();
        assert_eq!((connections.under_way(), connections.observe()), (2, (MIB + 1, 1)));
        drop((connection, other));
        assert_eq!((connections.under_way(), connections.observe()), (0, (MIB + 1, 0)));
    }
}
