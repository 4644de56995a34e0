//! Progress on standard error.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use console::truncate_str;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use model_provisioner::{ProgressEvent, ProgressSink};

use crate::{
    args::{Common, Progress},
    bar::Bar,
    escape::escaped,
    output::Output,
    pause,
    tally::Tally,
    terminal,
};

/// Less is hashed before a person would see a bar.
const LARGE_BYTES: u64 = 256 << 20;

/// How much of a file's name is shown at most.
const NAME: usize = 24;

/// How often bars are drawn while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Where progress is shown: the bars, if there are any, and how much was fetched. The command asks it what is kept when the
/// user interrupts it, and takes the bars away before it says anything more.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    tally: Tally,
    bars: Bars,
}

/// Shows progress as the arguments say.
#[derive(Debug)]
pub(crate) struct Shown {
    how: How,
    screen: Arc<Screen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Nothing,
    /// Only what is otherwise a long silence, in words.
    Words,
    Lines,
    Bars,
}

/// The bars that are on screen: one for each file or model that is worked on, and one for all that is fetched.
#[derive(Debug, Default)]
struct Bars {
    running: HashMap<String, Bar>,
    /// Lines without a bar: what is asked for, and the pauses that hubs want.
    notes: HashMap<String, ProgressBar>,
    total: Option<Bar>,
    /// All that is verified, while several models are; and how much of each was.
    verified: Option<Bar>,
    hashed: HashMap<String, u64>,
    /// Whether a thread draws them now and then.
    is_ticking: bool,
}

impl Shown {
    pub(crate) fn new(common: &Common) -> Self {
        let how = match common.progress {
            Progress::Json => How::Lines,
            Progress::Auto if !common.quiet && io::stderr().is_terminal() => How::Bars,
            Progress::Auto if !common.quiet => How::Words,
            Progress::Auto | Progress::None => How::Nothing,
        };
        if how == How::Bars {
            common.screen.bars.set_draw_target(terminal::target());
        }
        Self { how, screen: Arc::clone(&common.screen) }
    }
}

impl Screen {
    /// Takes the bars away for good: whatever still happens is not shown.
    pub(crate) fn finish(&self) {
        let mut state = self.locked();
        state.is_over = true;
        state.bars.clear();
    }

    /// What of unfinished transfers is kept, for a person; `None` where nothing is.
    pub(crate) fn kept(&self) -> Option<String> {
        let (kept, total) = self.locked().tally.sum();
        let percent = u128::from(kept.min(total)) * 100 / u128::from(total.max(1));
        (kept > 0).then(|| {
            format!(
                "what has arrived is kept ({percent}% of {}): the same command goes on with it",
                HumanBytes(total)
            )
        })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the bars now and then, on a thread of its own. Without one, they are drawn where something happens.
    fn keep_ticking(self: &Arc<Self>, state: &mut State) {
        if state.bars.is_ticking || state.bars.is_empty() {
            return;
        }
        let screen = Arc::downgrade(self);
        let tick = move || {
            loop {
                thread::sleep(TICK);
                let Some(screen) = Weak::upgrade(&screen) else { return };
                let mut state = screen.locked();
                if state.is_over || state.bars.is_empty() {
                    state.bars.is_ticking = false;
                    return;
                }
                state.bars.tick();
            }
        };
        state.bars.is_ticking = thread::Builder::new().name("bars".to_owned()).spawn(tick).is_ok();
    }
}

impl ProgressSink for Shown {
    fn on_event(&self, event: &ProgressEvent) {
        let mut state = self.screen.locked();
        if state.is_over {
            return;
        }
        let State { tally, bars, .. } = &mut *state;
        tally.note(event);
        match self.how {
            How::Nothing => {}
            How::Words => {
                if let ProgressEvent::PauseStarted { pause_ms, .. } = event
                    && let Some(line) = pause::line(Duration::from_millis(*pause_ms))
                {
                    Output::new(false, false).warning(line);
                }
            }
            How::Lines => {
                if let Ok(line) = serde_json::to_string(event) {
                    let _ = writeln!(io::stderr().lock(), "{line}");
                }
            }
            How::Bars => {
                bars.draw(&self.screen.bars, event, tally);
                self.screen.keep_ticking(&mut state);
            }
        }
    }
}

/// Writes to standard error above the bars.
#[derive(Debug)]
pub(crate) struct AboveBars(pub(crate) Arc<Screen>);

impl Write for AboveBars {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.bars.suspend(|| io::stderr().lock().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl Bars {
    fn draw(&mut self, screen: &MultiProgress, event: &ProgressEvent, tally: &Tally) {
        match event {
            ProgressEvent::Waiting { id, pid, program, done_bytes, size_bytes, .. } => {
                let pid = pid.map(|pid| format!(" {pid}")).unwrap_or_default();
                let name =
                    format!("waiting for {}{pid}", escaped(program.as_deref().unwrap_or("another process")));
                self.wait(screen, waiting(id), name, *done_bytes, *size_bytes);
            }
            ProgressEvent::Resolving { id } => {
                self.end(&waiting(id));
                self.note(resolving(id), note(screen, format!("resolving {}", short(id))));
            }
            ProgressEvent::PauseStarted { id, pause_ms, .. } => {
                self.note(paused(id), pause::bar(screen, Duration::from_millis(*pause_ms)));
            }
            ProgressEvent::PauseEnded { id } => {
                self.end(&paused(id));
                self.all().for_each(Bar::restart);
            }
            ProgressEvent::FetchPlanned { id, .. } => self.end(&resolving(id)),
            ProgressEvent::VerifyStarted { models, total_bytes } => {
                self.verified = Some(Bar::add(screen, format!("verifying {models} models"), 0, *total_bytes));
            }
            ProgressEvent::VerifyEnded { .. } => {
                self.hashed.clear();
                if let Some(bar) = self.verified.take() {
                    bar.finish();
                }
            }
            ProgressEvent::HashStarted { id, total_bytes, .. } if *total_bytes >= LARGE_BYTES => {
                self.end(&resolving(id));
                let bar = Bar::add(screen, format!("hashing {}", short(id)), 0, *total_bytes);
                self.running.insert(id.clone(), bar);
            }
            ProgressEvent::Hashed { id, done_bytes, .. } => self.hash(id, *done_bytes),
            ProgressEvent::HashEnded { id } => self.end(id),
            ProgressEvent::FetchStarted { id, path, size_bytes } => {
                let bar = Bar::add(screen, short(path), 0, *size_bytes);
                self.running.insert(format!("{id} {path}"), bar);
            }
            ProgressEvent::FetchResumed { id, path, present_bytes, .. } => {
                if let Some(bar) = self.running.get(&format!("{id} {path}")) {
                    bar.begin_at(*present_bytes);
                }
            }
            ProgressEvent::Fetched { id, path, done_bytes, .. } => {
                if let Some(bar) = self.running.get(&format!("{id} {path}")) {
                    bar.go_on(*done_bytes);
                }
            }
            ProgressEvent::FetchEnded { id, path } => self.end(&format!("{id} {path}")),
            ProgressEvent::Ready { id, .. } => {
                self.end(&waiting(id));
                self.end(&resolving(id));
            }
            _ => {}
        }
        self.show_total(screen, tally);
    }

    /// Shows how far all that is fetched is, where that is more than one file.
    fn show_total(&mut self, screen: &MultiProgress, tally: &Tally) {
        let (kept, total) = tally.sum();
        if tally.files() < 2 {
            if let Some(bar) = self.total.take() {
                bar.finish();
            }
            return;
        }
        let bar = self.total.get_or_insert_with(|| Bar::add(screen, "in all".to_owned(), kept, total));
        bar.resize(total);
        bar.go_on(kept);
    }

    /// Shows how far another process is with the same model: what came before this one looked is no part of the speed.
    fn wait(&mut self, screen: &MultiProgress, key: String, name: String, done_bytes: u64, size_bytes: u64) {
        let add = || Bar::add(screen, String::new(), done_bytes, size_bytes);
        let bar = self.running.entry(key).or_insert_with(add);
        bar.rename(name);
        bar.resize(size_bytes);
        bar.go_on(done_bytes);
    }

    fn hash(&mut self, id: &str, done_bytes: u64) {
        if let Some(bar) = self.running.get(id) {
            bar.go_on(done_bytes);
        }
        if let Some(all) = &self.verified {
            let before = self.hashed.entry(id.to_owned()).or_default();
            all.advance(done_bytes.saturating_sub(*before));
            *before = (*before).max(done_bytes);
        }
    }

    fn end(&mut self, key: &str) {
        if let Some(bar) = self.running.remove(key) {
            bar.finish();
        }
        if let Some(line) = self.notes.remove(key) {
            line.finish_and_clear();
        }
    }

    /// Shows a line in the place of the one with the same key.
    fn note(&mut self, key: String, line: ProgressBar) {
        if let Some(before) = self.notes.insert(key, line) {
            before.finish_and_clear();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Bar> {
        self.running.values().chain(&self.total).chain(&self.verified)
    }

    fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.all().next().is_none()
    }

    fn tick(&self) {
        self.all().for_each(Bar::tick);
        self.notes.values().for_each(ProgressBar::tick);
    }

    fn clear(&mut self) {
        self.all().for_each(Bar::finish);
        self.notes.values().for_each(ProgressBar::finish_and_clear);
        *self = Self::default();
    }
}

/// The key of the bar of a wait.
fn waiting(id: &str) -> String {
    format!("waiting {id}")
}

/// The key of the line of what a source is asked for.
fn resolving(id: &str) -> String {
    format!("resolving {id}")
}

/// The key of the line of a pause.
fn paused(id: &str) -> String {
    format!("paused {id}")
}

/// A line without a bar.
fn note(screen: &MultiProgress, text: String) -> ProgressBar {
    let line = screen.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        line.set_style(style);
    }
    line.set_message(text);
    line
}

/// The end of an id, which tells models apart.
fn short(id: &str) -> String {
    truncate_str(&escaped(id.rsplit('/').next().unwrap_or(id)), NAME, "...").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_the_end_of_a_name_and_moves_nothing_else() {
        assert_eq!(short("hf:org/repo/a.gguf"), "a.gguf");
        assert_eq!(short("x/a\u{202e}\u{1b}b"), "a\\u{202e}\\u{1b}b");
        assert_eq!(short(&"x".repeat(25)), format!("{}...", "x".repeat(21)));
    }

    #[test]
    fn nothing_is_shown_after_the_end() {
        let screen = Arc::<Screen>::default();
        let shown = Shown { how: How::Bars, screen: Arc::clone(&screen) };
        let (id, path) = ("hf:org/repo".to_owned(), "a.gguf".to_owned());
        shown.on_event(&ProgressEvent::FetchStarted { id: id.clone(), path: path.clone(), size_bytes: 10 });
        assert!(!screen.locked().bars.is_empty());
        screen.finish();
        shown.on_event(&ProgressEvent::FetchStarted { id, path, size_bytes: 10 });
        assert!(screen.locked().bars.is_empty(), "work that was cut off leaves no bar behind");
    }
}
