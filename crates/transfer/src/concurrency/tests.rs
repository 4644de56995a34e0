use super::*;

const MB: u64 = 1_000_000;
const STEP: Duration = Duration::from_millis(25);

/// Describes a server, and the machine that fetches from it.
#[derive(Clone, Copy)]
struct Server {
    /// The rate of one connection, and of all together, in MB/s.
    each: u64,
    all: u64,
    /// The rate of the digest, in MB/s. The transfer takes no more.
    digest: u64,
    /// How long an answer takes to come.
    answer: Duration,
    /// How many files come at the same time.
    files: usize,
    /// How many processors the machine has, and how many times as much of their time a byte takes as its hashing.
    processors: usize,
    cost: u64,
    /// Whether the process keeps all of them busy with other work.
    is_busy: bool,
    /// Which connection brings nothing, and from when on.
    stalls: Option<(usize, Duration)>,
}

const FAST: Server = Server {
    each: 3000,
    all: 3000,
    digest: 1500,
    answer: Duration::ZERO,
    files: 1,
    processors: 16,
    cost: 3,
    is_busy: false,
    stalls: None,
};

/// Runs the rule against a server for so long, and returns the count of connections after each step.
fn counts(server: Server, limit: Option<u64>, time: Duration) -> Vec<(Duration, usize)> {
    let mut rule = Concurrency::new(limit, server.processors);
    rule.share(8, server.files);
    let (mut now, mut counts) = (Observed::default(), Vec::new());
    let mut opened = vec![Duration::ZERO];
    let mut live = [false; 8];
    while now.at < time {
        now.at += STEP;
        opened.resize(rule.count(), now.at);
        let brings = |(n, since): (usize, &Duration)| {
            let is_stalled = server.stalls.is_some_and(|(which, from)| n == which && now.at >= from);
            *since + server.answer < now.at && !is_stalled
        };
        let working: Vec<_> = opened.iter().enumerate().map(brings).collect();
        live.iter_mut().zip(&working).for_each(|(live, working)| *live |= working);
        let working = working.iter().filter(|working| **working).count() as u64;
        let rate =
            (working * server.each).min(server.all).min(limit.unwrap_or(u64::MAX) / MB).min(server.digest);
        let bytes = rate * MB / 1000 * 25;
        now.arrived += bytes;
        now.hashed.bytes += bytes;
        now.hashed.busy += Duration::from_micros(bytes / server.digest);
        now.busy += Duration::from_micros(bytes / server.digest * server.cost * server.files as u64);
        if server.is_busy {
            now.busy += STEP * u32::try_from(server.processors).unwrap();
        }
        now.live = live.iter().filter(|live| **live).count();
        if rule.is_due(now.at) {
            rule.observe(now);
            live = [false; 8];
        }
        counts.push((now.at, rule.count()));
    }
    counts
}

/// Returns the part of the time, in percent, for which `is_good` holds.
fn share(counts: &[(Duration, usize)], is_good: impl Fn(usize) -> bool) -> usize {
    counts.iter().filter(|(_, count)| is_good(*count)).count() * 100 / counts.len()
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_server_that_outruns_the_digest_gets_one_or_two() {
    let counts_of = counts(FAST, None, MINUTE);
    assert!(
        counts_of.iter().all(|(_, count)| *count == 1),
        "it is as fast as the digest from the first moment"
    );
    let nearly = Server { each: 1000, all: 1100, ..FAST };
    assert!(
        share(&counts(nearly, None, MINUTE), |count| count == 1) > 85,
        "a second one brings a tenth more"
    );
    let half = Server { each: 800, ..FAST };
    assert!(share(&counts(half, None, MINUTE), |count| count == 2) > 95);
}

#[test]
fn a_machine_of_few_processors_does_not_try_for_more_than_it_can_do() {
    let of = |server| share(&counts(server, None, MINUTE), |count| count > 1);
    let two = |processors| of(Server { processors, each: 900, ..FAST });
    assert_eq!([1, 2, 3, 16].map(two), [0, 0, 99, 99], "it keeps nine tenths of two processors busy");
    let dear = |cost| of(Server { processors: 2, each: 600, cost, ..FAST }) > 95;
    assert_eq!([2, 3, 4].map(dear), [true, true, false], "some sources take more of their time");
    let cheap = Server { processors: 2, each: 850, cost: 1, ..FAST };
    assert_eq!(of(cheap), 0, "its sender may be on this machine");
    let with_four = |processors| of(Server { files: 4, processors, each: 225, ..FAST });
    assert_eq!([2, 16].map(with_four), [0, 99], "four files share the processors");
    let tries = |files, each| of(Server { files, processors: 2, each, ..FAST }) > 0;
    assert_eq!(
        [180, 150].map(|each| tries(4, each)),
        [false, true],
        "where one file waits, another one comes"
    );
    assert_eq!([840, 720].map(|each| tries(1, each)), [false, true], "one alone has no other");
    let slow = Server { each: 50, all: u64::MAX, processors: 2, ..FAST };
    for is_busy in [false, true] {
        let counts = counts(Server { is_busy, ..slow }, None, MINUTE);
        assert!(share(&counts, |count| count == 8) > 97, "a slow server needs none of that: {is_busy}");
    }
}

#[test]
fn a_fast_connection_that_begins_slowly_is_looked_at_once_more() {
    let counts_after = |first: u64| {
        let mut rule = Concurrency::new(None, 16);
        rule.share(8, 1);
        let rates = [first, 1400, 1400, 1400].map(|rate| rate * MB / 10);
        let (mut now, mut counts) = (Observed { arrived: 1, live: 1, ..Observed::default() }, Vec::new());
        rule.observe(now);
        for bytes in rates {
            now.at += INTERVAL;
            now.arrived += bytes;
            now.hashed.bytes += bytes;
            now.hashed.busy += Duration::from_micros(bytes / 1500);
            now.busy = now.hashed.busy;
            rule.observe(now);
            counts.push(rule.count());
        }
        counts
    };
    assert_eq!(counts_after(500), [1; 4]);
    assert_eq!(counts_after(100)[0], 4, "a slow one is known at once");
}

#[test]
fn a_server_that_limits_each_connection_gives_all_within_a_second() {
    for (each, answer) in [(50, 0), (50, 100), (1, 100), (100, 250)] {
        let slow = Server { each, all: u64::MAX, answer: Duration::from_millis(answer), ..FAST };
        let counts = counts(slow, None, MINUTE);
        let all = counts.iter().find(|(_, count)| *count == 8).map(|(at, _)| *at);
        assert!(all.is_some_and(|at| at < slow.answer + Duration::from_secs(1)), "{each} MB/s: {all:?}");
        assert!(share(&counts, |count| count == 8) > 97, "{each} MB/s: and keeps them");
    }
}

#[test]
fn a_server_that_limits_all_together_gets_few() {
    for all in [1, 50, 500] {
        let shared = Server { each: all, all, ..FAST };
        let share = share(&counts(shared, None, MINUTE), |count| count == 1);
        assert!(share > 80, "{all} MB/s in all: one connection for {share} % of the time");
    }
    let of_four = Server { each: 50, all: 200, ..FAST };
    let counts = counts(of_four, None, MINUTE);
    let share = [2, 3, 4, 8].map(|wanted| share(&counts, |count| count == wanted));
    assert!(share[2] > 80, "four connections bring all that there is: {share:?}");
}

#[test]
fn a_connection_that_stalls_proves_nothing() {
    let whole = Server { each: 50, all: u64::MAX, ..FAST };
    for which in [3, 7] {
        let stalls = Server { stalls: Some((which, Duration::from_millis(50))), ..whole };
        assert!(share(&counts(stalls, None, MINUTE), |count| count == 8) > 95, "connection {which}");
    }
    let none_more = Server { stalls: Some((1, Duration::ZERO)), each: 1000, all: 1000, ..FAST };
    let counts = counts(none_more, None, Duration::from_millis(900));
    assert_eq!(counts.last().map(|(_, count)| *count), Some(2), "the second one has brought nothing yet");
}

#[test]
fn a_limit_of_the_caller_needs_no_more_connections() {
    let slow = Server { each: 50, all: u64::MAX, ..FAST };
    assert!(counts(slow, Some(40 * MB), MINUTE).iter().all(|(_, count)| *count == 1));
    assert!(share(&counts(slow, Some(100 * MB), MINUTE), |count| (2..=3).contains(&count)) > 90);
}

#[test]
fn files_that_come_at_the_same_time_share_the_connections() {
    let slow = Server { each: 50, all: u64::MAX, ..FAST };
    for (files, most) in [(2, 4), (3, 3), (8, 1), (20, 1)] {
        let counts = counts(Server { files, ..slow }, None, MINUTE);
        assert_eq!(counts.iter().map(|(_, count)| *count).max(), Some(most), "{files} files");
    }
    let mut rule = Concurrency::new(None, 16);
    rule.share(usize::MAX, 0);
    assert_eq!(rule.most, MOST);
}
