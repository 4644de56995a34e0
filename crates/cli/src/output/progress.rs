//! Shows progress on standard error.

mod bar;
mod bars;
mod pause;
mod tally;
mod terminal;

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use indicatif::MultiProgress;
use model_provisioner::{ProgressEvent, ProgressSink, readable_size};

use self::{bars::Bars, tally::Tally};
use super::printer::Printer;
use crate::args::ProgressMode;

/// The time between two drawings while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Holds the bars, if there are any, and how many bytes came. When the user interrupts the command, the screen tells what is
/// kept; the command takes the bars away before it says anything more.
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
pub(crate) struct ProgressView {
    style: ProgressStyle,
    screen: Arc<Screen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressStyle {
    Nothing,
    /// In words, what would otherwise be a long silence.
    Words,
    Lines,
    Bars,
}

impl ProgressView {
    /// Makes the view that the options ask for.
    pub(crate) fn new(mode: ProgressMode, is_quiet: bool, screen: &Arc<Screen>) -> Self {
        let style = match mode {
            ProgressMode::Json => ProgressStyle::Lines,
            ProgressMode::Auto if !is_quiet && io::stderr().is_terminal() => ProgressStyle::Bars,
            ProgressMode::Auto if !is_quiet => ProgressStyle::Words,
            ProgressMode::Auto | ProgressMode::None => ProgressStyle::Nothing,
        };
        if style == ProgressStyle::Bars {
            screen.bars.set_draw_target(terminal::target());
        }
        Self { style, screen: Arc::clone(screen) }
    }
}

impl Screen {
    /// Takes the bars away for good: the screen shows no later event.
    pub(crate) fn finish(&self) {
        let mut state = self.locked();
        state.is_over = true;
        state.bars.clear();
    }

    /// Returns how much of unfinished transfers is kept, for a person; `None` where nothing is.
    pub(crate) fn kept(&self) -> Option<String> {
        let (kept, total) = self.locked().tally.sum();
        let percent = u128::from(kept.min(total)) * 100 / u128::from(total.max(1));
        (kept > 0).then(|| {
            format!(
                "what has arrived is kept ({percent}% of {}): the same command goes on with it",
                readable_size(total)
            )
        })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the bars now and then, on a thread of its own. Where the system gives no thread, only events draw them.
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

impl ProgressSink for ProgressView {
    fn on_event(&self, event: &ProgressEvent) {
        let mut state = self.screen.locked();
        if state.is_over {
            return;
        }
        let State { tally, bars, .. } = &mut *state;
        tally.note(event);
        match self.style {
            ProgressStyle::Nothing => {}
            ProgressStyle::Words => {
                if let ProgressEvent::PauseStarted { pause_ms, .. } = event
                    && let Some(line) = pause::line(Duration::from_millis(*pause_ms))
                {
                    Printer::new(false, false).warning(line);
                }
            }
            ProgressStyle::Lines => {
                if let Ok(line) = serde_json::to_string(event) {
                    let _ = writeln!(io::stderr().lock(), "{line}");
                }
            }
            ProgressStyle::Bars => {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model_provisioner::{ProgressEvent, ProgressSink};

    use super::{ProgressStyle, ProgressView, Screen};

    #[test]
    fn nothing_is_shown_after_the_end() {
        let screen = Arc::<Screen>::default();
        let shown = ProgressView { style: ProgressStyle::Bars, screen: Arc::clone(&screen) };
        let (id, path) = ("hf:org/repo".to_owned(), "a.gguf".to_owned());
        shown.on_event(&ProgressEvent::FetchStarted { id: id.clone(), path: path.clone(), size_bytes: 10 });
        assert!(!screen.locked().bars.is_empty());
        screen.finish();
        shown.on_event(&ProgressEvent::FetchStarted { id, path, size_bytes: 10 });
        assert!(screen.locked().bars.is_empty(), "work that was cut off leaves no bar behind");
    }
}
