//! Draws one bar on the screen: how fast its bytes come, in a line that fits the terminal.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use console::{Term, measure_text_width, truncate_str};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use model_provisioner::readable_size;

/// The time over which a bar measures its speed.
const WINDOW: Duration = Duration::from_secs(10);

/// The shortest time whose speed says something.
const SHORTEST: Duration = Duration::from_millis(500);

/// The shortest time between two moments that a bar remembers.
const GRAIN: Duration = Duration::from_millis(100);

/// The fewest columns of a name beside figures.
const SHORT_NAME: usize = 8;

/// The fewest columns of a bar that shows something.
const SHORTEST_BAR: usize = 8;

/// Measures how many bytes came within the last seconds. Bytes that were here before do not count.
#[derive(Clone, Debug)]
struct Rate {
    arrived: u64,
    /// How many had come at some moments, of which at most the first one is older than the window.
    seen: VecDeque<(Instant, u64)>,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { arrived: 0, seen: VecDeque::from([(now, 0)]) }
    }

    fn add(&mut self, bytes: u64, now: Instant) {
        self.arrived += bytes;
        match self.seen.back_mut() {
            Some((at, arrived)) if now.duration_since(*at) < GRAIN => *arrived = self.arrived,
            _ => self.seen.push_back((now, self.arrived)),
        }
        while self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Forgets how fast bytes came, as after a pause.
    fn restart(&mut self, now: Instant) {
        self.seen = VecDeque::from([(now, self.arrived)]);
    }

    /// Returns the bytes in a second; `None` where it is too early to tell.
    fn per_second(&self, now: Instant) -> Option<u64> {
        let before = self.seen.iter().rev().find(|(at, _)| now.duration_since(*at) >= WINDOW);
        let (at, arrived) = before.or(self.seen.front())?;
        let time = now.duration_since(*at).min(WINDOW);
        let millis = u64::try_from(time.as_millis()).ok().filter(|_| time >= SHORTEST)?;
        Some((self.arrived - arrived).saturating_mul(1000) / millis)
    }
}

/// Holds what a line shows beside its position.
#[derive(Debug)]
struct Face {
    name: String,
    rate: Rate,
}

/// Shows a bar on the screen until it is finished.
#[derive(Debug)]
pub(crate) struct Bar {
    shown: ProgressBar,
    face: Arc<Mutex<Face>>,
}

impl Bar {
    /// Puts a bar below the others, with so many bytes here already.
    pub(crate) fn add(screen: &MultiProgress, name: String, present_bytes: u64, total_bytes: u64) -> Self {
        let face = Arc::new(Mutex::new(Face { name, rate: Rate::new(Instant::now()) }));
        let shown = screen.add(ProgressBar::new(total_bytes).with_position(present_bytes));
        let drawn = Arc::clone(&face);
        let draw = move |state: &ProgressState, to: &mut dyn fmt::Write| {
            let Face { name, rate } = &*locked(&drawn);
            let width = usize::from(Term::stderr().size().1);
            let rate = rate.per_second(Instant::now());
            let _ = to.write_str(&line(width, name, state.pos(), state.len().unwrap_or_default(), rate));
        };
        if let Ok(style) = ProgressStyle::with_template("{line}") {
            shown.set_style(style.with_key("line", draw));
        }
        Self { shown, face }
    }

    /// Changes the name.
    pub(crate) fn rename(&self, name: String) {
        locked(&self.face).name = name;
    }

    /// Changes how many bytes the bar is of.
    pub(crate) fn resize(&self, total_bytes: u64) {
        self.shown.set_length(total_bytes);
    }

    /// Measures the speed from now on: the time of a pause does not count.
    pub(crate) fn restart(&self) {
        locked(&self.face).rate.restart(Instant::now());
    }

    /// Moves to what was here before, which does not count for the speed.
    pub(crate) fn begin_at(&self, present_bytes: u64) {
        self.shown.set_position(present_bytes);
    }

    /// Moves to the bytes that are here now. Threads report in any order, and a bar never goes back.
    pub(crate) fn go_on(&self, done_bytes: u64) {
        let more = done_bytes.saturating_sub(self.shown.position());
        if more > 0 {
            locked(&self.face).rate.add(more, Instant::now());
            self.shown.inc(more);
        }
    }

    /// Moves on by so many bytes.
    pub(crate) fn advance(&self, bytes: u64) {
        self.go_on(self.shown.position() + bytes);
    }

    /// Draws it anew: time passes, though no byte comes.
    pub(crate) fn tick(&self) {
        self.shown.tick();
    }

    /// Takes it from the screen.
    pub(crate) fn finish(&self) {
        self.shown.finish_and_clear();
    }
}

fn locked(face: &Mutex<Face>) -> MutexGuard<'_, Face> {
    face.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a line of at most so many columns: a name, a bar where there is room for one, and as many figures as fit.
fn line(width: usize, name: &str, done_bytes: u64, total_bytes: u64, rate: Option<u64>) -> String {
    let done = done_bytes.min(total_bytes);
    let hundredths = u128::from(done) * 100 / u128::from(total_bytes.max(1));
    let of = format!("{hundredths:>3}% of {}", readable_size(total_bytes));
    let speed = rate.map(|rate| format!(", {}/s", readable_size(rate))).unwrap_or_default();
    let left = rate.and_then(|rate| (total_bytes - done).checked_div(rate)).map(Duration::from_secs);
    let left = left.map(|left| format!("{:#} left", HumanDuration(left)));
    let and_left = left.as_ref().map(|left| format!(", {left}")).unwrap_or_default();
    let figures = [
        format!("{of}{speed}{and_left}"),
        format!("{of}{and_left}"),
        left.map_or_else(|| of.clone(), |left| format!("{hundredths}%, {left}")),
        format!("{hundredths}%"),
    ];
    let fits = |beside: usize| figures.iter().find(|text| text.len() + beside <= width);
    let figures =
        fits(measure_text_width(name).min(SHORT_NAME) + 1).or_else(|| fits(0)).unwrap_or(&figures[3]);
    let room = width.saturating_sub(figures.len());
    if room < 4 {
        return truncate_str(figures.trim_start(), width, "").into_owned();
    }
    let name = truncate_str(name, room - 1, "...");
    let gap = room - measure_text_width(&name);
    if gap < SHORTEST_BAR + 2 {
        return format!("{name}{:gap$}{figures}", "");
    }
    let full = usize::try_from(hundredths).unwrap_or_default() * (gap - 2) / 100;
    let head = if full < gap - 2 { ">" } else { "" };
    let rest = gap - 2 - full - head.len();
    format!("{name} {}{head}{:rest$} {figures}", "=".repeat(full), "")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use console::measure_text_width;
    use indicatif::{MultiProgress, ProgressDrawTarget};

    use super::{Bar, Rate, line, locked};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_line_fits_whatever_the_terminal() {
        let check = |width, expected: &str| {
            let line = line(width, "model-00001-of-00009....", 230 * MIB, 960 * MIB, Some(40 * MIB));
            assert_eq!(line, expected, "{width} columns");
        };
        check(
            100,
            "model-00001-of-00009.... =======>                           23% of 960.00 MiB, 40.00 MiB/s, 18s left",
        );
        check(80, "model-00001-of-00009.... ==>            23% of 960.00 MiB, 40.00 MiB/s, 18s left");
        check(60, "model-00001-of-...  23% of 960.00 MiB, 40.00 MiB/s, 18s left");
        check(40, "model-00...  23% of 960.00 MiB, 18s left");
        check(20, "model-00001-o... 23%");
        check(12, "model... 23%");
        check(3, "23%");
        check(0, "");
    }

    #[test]
    fn no_line_is_too_long_for_any_name_and_figures() {
        for name in [
            "a",
            "in all",
            "waiting for model-provisioner 12345",
            "模型模型模型模型模型模型模型",
            "e\u{301}.gguf",
        ] {
            for (done, total) in [(0, 0), (0, 1), (5, 3), (u64::MAX, u64::MAX), (1 << 40, 3 << 40)] {
                for rate in [None, Some(0), Some(1), Some(u64::MAX)] {
                    for width in 0..200 {
                        let line = line(width, name, done, total, rate);
                        assert!(measure_text_width(&line) <= width, "{width}: {line:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_speed_is_that_of_what_came_and_falls_when_nothing_comes() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut rate = Rate::new(began);
        assert_eq!(rate.per_second(at(100)), None, "it is too early");
        for second in 1..=20 {
            rate.add(1000, at(second * 1000));
        }
        assert_eq!(rate.per_second(at(20_000)), Some(1000));
        assert_eq!(rate.per_second(at(25_000)), Some(500));
        assert_eq!(rate.per_second(at(31_000)), Some(0));
        assert!(rate.seen.len() < 15, "{}", rate.seen.len());
        rate.restart(at(40_000));
        assert_eq!(rate.per_second(at(40_100)), None);
        rate.add(1000, at(41_000));
        assert_eq!(rate.per_second(at(41_000)), Some(1000), "the pause before it does not count");
    }

    #[test]
    fn what_was_here_before_is_no_speed() {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let bar = Bar::add(&screen, "a".to_owned(), 500, 1000);
        bar.begin_at(600);
        assert_eq!((bar.shown.position(), locked(&bar.face).rate.arrived), (600, 0));
        bar.go_on(700);
        bar.go_on(650);
        bar.advance(10);
        assert_eq!((bar.shown.position(), locked(&bar.face).rate.arrived), (710, 110));
    }
}
