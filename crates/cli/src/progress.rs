//! Progress on standard error.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model_provisioner::{ProgressEvent, ProgressSink};

use crate::{
    args::{Common, Progress},
    escape::escaped,
};

/// Less is hashed before a person would see a bar.
const LARGE_BYTES: u64 = 256 << 20;

const BAR: &str = "{msg} {wide_bar} {percent:>3}% of {total_bytes}, {bytes_per_sec}, {eta} left";

/// Shows progress as the arguments say.
#[derive(Debug)]
pub(crate) enum Shown {
    Nothing,
    Lines,
    Bars(Mutex<Bars>),
}

/// The bars that are on screen: one for each file or model that is worked on, and one for all that is fetched.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    screen: MultiProgress,
    running: HashMap<String, ProgressBar>,
    total: Option<ProgressBar>,
    /// All that is verified, while several models are; and how much of each was.
    verified: Option<ProgressBar>,
    hashed: HashMap<String, u64>,
}

impl Shown {
    pub(crate) fn new(common: &Common) -> Self {
        match common.progress {
            Progress::Json => Self::Lines,
            Progress::Auto if !common.quiet && io::stderr().is_terminal() => Self::Bars(Mutex::default()),
            Progress::Auto | Progress::None => Self::Nothing,
        }
    }
}

impl Drop for Shown {
    /// Work that was cut off leaves no bar behind.
    fn drop(&mut self) {
        if let Self::Bars(bars) = self {
            let bars = bars.get_mut().unwrap_or_else(PoisonError::into_inner);
            bars.running
                .values()
                .chain(&bars.total)
                .chain(&bars.verified)
                .for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl ProgressSink for Shown {
    fn on_event(&self, event: &ProgressEvent) {
        match self {
            Self::Nothing => {}
            Self::Lines => {
                if let Ok(line) = serde_json::to_string(event) {
                    let _ = writeln!(io::stderr().lock(), "{line}");
                }
            }
            Self::Bars(bars) => bars.lock().unwrap_or_else(PoisonError::into_inner).draw(event),
        }
    }
}

impl Bars {
    fn draw(&mut self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Waiting { id, pid, program, done_bytes, size_bytes, .. } => {
                self.wait(id, *pid, program.as_deref(), *done_bytes, *size_bytes);
            }
            ProgressEvent::Resolving { id } => self.end(&waiting(id)),
            ProgressEvent::VerifyStarted { models, total_bytes } => {
                self.verified = Some(bar(&self.screen, format!("verifying {models} models"), *total_bytes));
            }
            ProgressEvent::VerifyEnded { .. } => {
                self.hashed.clear();
                if let Some(bar) = self.verified.take() {
                    bar.finish_and_clear();
                }
            }
            ProgressEvent::HashStarted { id, total_bytes, .. } if *total_bytes >= LARGE_BYTES => {
                self.start(id.clone(), format!("hashing {}", short(id)), *total_bytes);
            }
            ProgressEvent::Hashed { id, done_bytes, .. } => {
                self.go_on(id, *done_bytes);
                if let Some(all) = &self.verified {
                    let before = self.hashed.entry(id.clone()).or_default();
                    all.inc(done_bytes.saturating_sub(*before));
                    *before = (*before).max(*done_bytes);
                }
            }
            ProgressEvent::HashEnded { id } => self.end(id),
            ProgressEvent::FetchStarted { id, path, size_bytes } => {
                let total = self.total.get_or_insert_with(|| bar(&self.screen, "in all".to_owned(), 0));
                total.inc_length(*size_bytes);
                self.start(format!("{id} {path}"), short(path), *size_bytes);
            }
            ProgressEvent::Fetched { id, path, done_bytes, .. } => {
                self.go_on(&format!("{id} {path}"), *done_bytes);
            }
            ProgressEvent::FetchEnded { id, path } => self.end(&format!("{id} {path}")),
            ProgressEvent::Ready { id, .. } => {
                self.end(&waiting(id));
                if let Some(total) = self.total.take() {
                    total.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    /// Shows how far another process is with the same model.
    fn wait(&mut self, id: &str, pid: Option<u32>, program: Option<&str>, done_bytes: u64, size_bytes: u64) {
        let bar =
            self.running.entry(waiting(id)).or_insert_with(|| bar(&self.screen, String::new(), size_bytes));
        let pid = pid.map(|pid| format!(" {pid}")).unwrap_or_default();
        bar.set_message(format!("waiting for {}{pid}", escaped(program.unwrap_or("another process"))));
        bar.set_length(size_bytes);
        bar.set_position(done_bytes);
    }

    fn start(&mut self, key: String, message: String, total_bytes: u64) {
        let bar = bar(&self.screen, message, total_bytes);
        self.running.insert(key, bar);
    }

    /// Threads report in any order; a bar never goes back.
    fn go_on(&mut self, key: &str, done_bytes: u64) {
        let Some(bar) = self.running.get(key) else { return };
        let more = done_bytes.saturating_sub(bar.position());
        bar.inc(more);
        if let Some(total) = &self.total {
            total.inc(more);
        }
    }

    fn end(&mut self, key: &str) {
        if let Some(bar) = self.running.remove(key) {
            bar.finish_and_clear();
        }
    }
}

/// The key of the bar of a wait.
fn waiting(id: &str) -> String {
    format!("waiting {id}")
}

fn bar(screen: &MultiProgress, message: String, total_bytes: u64) -> ProgressBar {
    let bar = screen.add(ProgressBar::new(total_bytes));
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The end of an id, which tells models apart.
fn short(id: &str) -> String {
    let name = escaped(id.rsplit('/').next().unwrap_or(id));
    if name.chars().count() <= 24 {
        name.into_owned()
    } else {
        name.chars().take(21).chain("...".chars()).collect()
    }
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
}
