//! Decides over how many connections a file comes: as many as its digest needs, and no more than raise the rate.
//!
//! # Model
//! A file begins with one connection. What the connection brings in the first moments says how many would bring the bytes as
//! fast as the thread hashes them. The transfer opens so many, and four times as many as before at the most: that is a trial.
//! The trial counts once every connection brings bytes: a connection that stalls proves nothing.
//!
//! Each connection more has to bring a fifth of what a connection brought before the trial, and has a second to do so: a new
//! connection begins slowly. Otherwise the transfer tries half as many, for as long as that costs nothing. A connection that
//! goes ends with its chunk. Then the count rests, for longer each time: the next trial comes after 2 seconds, and after 60
//! seconds at the most.
//!
//! Files that come at the same time share the connections, and each has its part of them at the most.
//!
//! Where the bytes come nearly as fast as the thread hashes them, or as the caller's limit allows, the transfer opens no more.
//! The same holds where this process keeps the processors busy: a second connection would only bring bytes out of order. One slow
//! interval proves nothing either, unless it is the first and a very slow one. A process may have other work, so no byte counts for more
//! than a few times its hashing.

use std::time::Duration;

use crate::connections::MOST;

/// How long the transfer looks at the first connection.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// How long an interval is at the least, over which it counts bytes.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long new connections have to raise the rate.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the count rests after a trial that changed nothing: first, before a trial of fewer connections, and at the most.
const REST: Duration = Duration::from_secs(2);
const LONG_REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How many times as many connections a trial opens at the most.
const GROWTH: usize = 4;

/// The digest's rate in bytes per second, until it is known.
const LIKELY_DIGEST_RATE: u64 = 1 << 30;

/// How many times as much processor time a byte takes as its hashing, at the least and at the most: the kernel copies it out of the
/// socket and into the page cache too, TLS decrypts it, and its sender may be on this machine. What this process takes beyond that is
/// not for the bytes.
const LEAST_COST: u64 = 3;
const MOST_COST: u64 = 6;

/// Which part of the rate that is wanted the first connection must bring at once, or it is a slow one.
const SLOW_PART: u64 = 4;

/// How many bytes must be hashed in an interval to tell the digest's rate.
const TELLING_BYTES: u64 = 1 << 20;

/// Says how far a transfer is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    /// The time since the transfer began.
    pub(crate) at: Duration,
    /// How many bytes have arrived over all connections.
    pub(crate) arrived: u64,
    /// How many bytes are hashed, and how long that took without the waiting.
    pub(crate) hashed: Hashed,
    /// How many connections brought bytes since the last observation.
    pub(crate) live: usize,
    /// The processor time of this process.
    pub(crate) busy: Duration,
}

/// Says how far the digest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) bytes: u64,
    /// How long the thread hashed, without the waiting for bytes.
    pub(crate) busy: Duration,
}

/// Decides how many connections a file has.
#[derive(Debug)]
pub(crate) struct Concurrency {
    count: usize,
    most: usize,
    processors: usize,
    /// How many files come at the same time.
    files: usize,
    /// The caller's limit, in bytes per second.
    limit: u64,
    /// The digest's rate, in bytes per second.
    digest_rate: u64,
    /// The rate at which the file would keep all processors busy, in bytes per second.
    machine_rate: u64,
    last: Option<Observed>,
    is_first: bool,
    /// Whether the bytes came more slowly in the last interval than the digest or the caller's limit allows.
    is_short: bool,
    trial: Option<Trial>,
    /// From when on a trial may open more connections, and from when on one may do with fewer.
    grows_at: Duration,
    shrinks_at: Duration,
    /// How long the count rests after the next trial that changes nothing.
    rest: Duration,
}

/// Holds what was before a trial.
#[derive(Debug)]
struct Trial {
    began: Duration,
    /// How many connections there were, and their rate in bytes per second.
    count: usize,
    rate: u64,
    /// Whether the interval before would have ended the trial too.
    is_second: bool,
}

impl Concurrency {
    /// Begins with one connection, on a machine of so many processors, where the caller allows so many bytes per second.
    pub(crate) fn new(limit: Option<u64>, processors: usize) -> Self {
        Self {
            count: 1,
            most: 1,
            processors,
            files: 1,
            limit: limit.unwrap_or(u64::MAX),
            digest_rate: LIKELY_DIGEST_RATE,
            machine_rate: u64::MAX,
            last: None,
            is_first: true,
            is_short: true,
            trial: None,
            grows_at: Duration::ZERO,
            shrinks_at: Duration::ZERO,
            rest: REST,
        }
    }

    /// Returns how many connections the file has.
    pub(crate) fn count(&self) -> usize {
        self.count.min(self.most)
    }

    /// Shares `connections` with the other files: the file has its part of them at the most.
    pub(crate) fn share(&mut self, connections: usize, files: usize) {
        self.files = files.max(1);
        self.most = connections.div_ceil(self.files).clamp(1, MOST);
    }

    /// Returns whether an interval is over.
    pub(crate) fn is_due(&self, at: Duration) -> bool {
        let interval = if self.is_first { FIRST_LOOK } else { INTERVAL };
        self.last.is_none_or(|last| at.saturating_sub(last.at) >= interval)
    }

    /// Learns how far the transfer is at the end of an interval.
    pub(crate) fn observe(&mut self, now: Observed) {
        let Some(last) = self.last else {
            // The first look begins with the first byte.
            self.last = Some(now).filter(|now| now.arrived > 0);
            return;
        };
        let is_first = std::mem::replace(&mut self.is_first, false);
        self.last = Some(now);
        let rate = per_second(now.arrived - last.arrived, now.at.saturating_sub(last.at));
        let busy = now.busy.saturating_sub(last.busy);
        self.machine_rate =
            per_second((now.arrived - last.arrived).saturating_mul(self.processors as u64), busy);
        let hashed = now.hashed.bytes.saturating_sub(last.hashed.bytes);
        if hashed >= TELLING_BYTES {
            self.digest_rate = per_second(hashed, now.hashed.busy.saturating_sub(last.hashed.busy));
        }
        if now.live == 0 {
            return;
        }
        if is_first {
            // A connection begins slowly, so a fast one is looked at once more.
            self.is_short = rate < self.bound() / SLOW_PART;
        }
        match self.trial.take() {
            Some(trial) => self.judge(trial, now, rate),
            None => self.consider(now, rate),
        }
    }

    /// Begins a trial where another count may be better.
    fn consider(&mut self, now: Observed, rate: u64) {
        let bound = self.bound();
        // The second connection may cost as much processor time as it brings; the others cost little beside it. Where several files
        // come, the processors work for another one while this one waits.
        let enough = match (self.count, self.files) {
            (1, 1) => bound / 5 * 4,
            (1, _) => bound / 3 * 2,
            _ => bound / 10 * 9,
        };
        let was_short = std::mem::replace(&mut self.is_short, rate < enough);
        if !self.is_short && self.count > 2 && now.at >= self.shrinks_at {
            self.attempt(self.count / 2, now, rate);
        } else if self.is_short && was_short && self.count < self.most && now.at >= self.grows_at {
            let needed = u128::from(bound) * now.live as u128 / u128::from(rate.max(1)) + 1;
            let needed = usize::try_from(needed).unwrap_or(usize::MAX);
            let most = self.most.min(self.count * GROWTH);
            self.attempt(needed.clamp(self.count + 1, most), now, rate);
        }
    }

    /// Returns the rate, in bytes per second, beyond which more connections bring nothing: that of the digest, of the caller's
    /// limit, or of what the processors can do.
    fn bound(&self) -> u64 {
        let of_machine =
            |cost| self.digest_rate.saturating_mul(self.processors as u64) / (cost * self.files as u64);
        let machine_rate = self.machine_rate.clamp(of_machine(MOST_COST), of_machine(LEAST_COST));
        self.digest_rate.min(machine_rate).min(self.limit)
    }

    /// Begins a trial with so many connections.
    fn attempt(&mut self, count: usize, now: Observed, rate: u64) {
        self.trial = Some(Trial { began: now.at, count: self.count, rate, is_second: false });
        self.count = count;
    }

    /// Ends a trial once its connections are at work.
    fn judge(&mut self, mut trial: Trial, now: Observed, rate: u64) {
        if self.count > trial.count {
            self.judge_more(trial, now, rate);
        } else if std::mem::replace(&mut trial.is_second, now.live <= self.count) && trial.is_second {
            self.judge_fewer(&trial, now, rate);
        } else {
            self.trial = Some(trial);
        }
    }

    /// Keeps the connections of a trial where they pay.
    fn judge_more(&mut self, mut trial: Trial, now: Observed, rate: u64) {
        let live = now.live.min(self.count);
        // New connections begin slowly, and never make the others slower for that.
        let harms = live == self.count && rate < trial.rate;
        let is_over = std::mem::replace(&mut trial.is_second, harms) && harms
            || now.at.saturating_sub(trial.began) >= PATIENCE;
        let has_paid = live > trial.count && pays((trial.count, trial.rate), (live, rate));
        if has_paid && (live == self.count || is_over) {
            // Those that came before were too few, so a short interval now is not the first.
            (self.rest, self.is_short) = (REST, true);
            self.shrinks_at = now.at + LONG_REST;
            // Some were at work for a part of the interval alone.
            let expected = u128::from(trial.rate) * live as u128 / trial.count as u128;
            self.consider(now, rate.max(u64::try_from(expected).unwrap_or(u64::MAX)));
        } else if !is_over {
            self.trial = Some(trial);
        } else if live > trial.count {
            self.attempt(trial.count.max(self.count / 2), now, rate);
        } else {
            // Those that brought nothing in all that time neither paid nor failed to.
            self.rest(now.at);
        }
    }

    /// Brings back the connections that a trial took away, where they paid.
    fn judge_fewer(&mut self, trial: &Trial, now: Observed, rate: u64) {
        if pays((self.count, rate), (trial.count, trial.rate)) {
            self.count = trial.count;
            self.rest(now.at);
        } else if self.count > 1 {
            self.attempt(self.count / 2, now, rate);
        } else {
            self.rest(now.at);
        }
    }

    fn rest(&mut self, at: Duration) {
        (self.grows_at, self.shrinks_at) = (at + self.rest, at + self.rest.max(LONG_REST));
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }
}

/// Returns whether each connection that the second count has more brings a fifth of what one of the first brings.
fn pays((fewer, before): (usize, u64), (more, rate): (usize, u64)) -> bool {
    let fifths = 5 * fewer + more.saturating_sub(fewer);
    u128::from(rate) * 5 * fewer as u128 >= u128::from(before) * fifths as u128
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
