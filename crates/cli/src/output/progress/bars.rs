//! Draws the bars: one for each file or model that the command works on, and one for all that it fetches.

use std::{collections::HashMap, time::Duration};

use console::truncate_str;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model_provisioner::ProgressEvent;

use super::{bar::Bar, pause, tally::Tally};
use crate::output::escape::escaped;

/// The fewest bytes that are worth a bar: less is hashed before a person would see it.
const LARGE_BYTES: u64 = 256 << 20;

/// The most columns that a file's name takes.
const NAME: usize = 24;

/// Holds the bars that are on screen: one for each file or model that the command works on, and one for all that it fetches.
#[derive(Debug, Default)]
pub(super) struct Bars {
    running: HashMap<String, Bar>,
    /// Lines without a bar: what the command asks a source for, and the pauses that hubs want.
    notes: HashMap<String, ProgressBar>,
    total: Option<Bar>,
    /// The bar of all models that are being verified, and how many bytes of each are done.
    verified: Option<Bar>,
    hashed: HashMap<String, u64>,
    /// Whether a thread draws them now and then.
    pub(super) is_ticking: bool,
}

impl Bars {
    /// Draws what an event changes.
    pub(super) fn draw(&mut self, screen: &MultiProgress, event: &ProgressEvent, tally: &Tally) {
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
            event => self.draw_hashing(screen, event),
        }
        self.show_total(screen, tally);
    }

    fn draw_hashing(&mut self, screen: &MultiProgress, event: &ProgressEvent) {
        match event {
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
            _ => {}
        }
    }

    /// Shows the sum of all files, where the command fetches more than one.
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

    /// Shows how far another process is with the same model. Bytes that came before this process looked do not count for the speed.
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

    /// Returns whether nothing is on screen.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.all().next().is_none()
    }

    /// Draws all anew: time passes, though no byte comes.
    pub(super) fn tick(&self) {
        self.all().for_each(Bar::tick);
        self.notes.values().for_each(ProgressBar::tick);
    }

    /// Takes all from the screen.
    pub(super) fn clear(&mut self) {
        self.all().for_each(Bar::finish);
        self.notes.values().for_each(ProgressBar::finish_and_clear);
        *self = Self::default();
    }
}

/// Returns the key of the bar of a wait.
fn waiting(id: &str) -> String {
    format!("waiting {id}")
}

/// Returns the key of the line of a question to a source.
fn resolving(id: &str) -> String {
    format!("resolving {id}")
}

/// Returns the key of the line of a pause.
fn paused(id: &str) -> String {
    format!("paused {id}")
}

/// Returns a line without a bar.
fn note(screen: &MultiProgress, text: String) -> ProgressBar {
    let line = screen.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        line.set_style(style);
    }
    line.set_message(text);
    line
}

/// Returns the end of an id, which tells models apart.
fn short(id: &str) -> String {
    truncate_str(&escaped(id.rsplit('/').next().unwrap_or(id)), NAME, "...").into_owned()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_bar_has_the_end_of_a_name_and_moves_nothing_else() {
        assert_eq!(short("hf:org/repo/a.gguf"), "a.gguf");
        assert_eq!(short("x/a\u{202e}\u{1b}b"), "a\\u{202e}\\u{1b}b");
        assert_eq!(short(&"x".repeat(25)), format!("{}...", "x".repeat(21)));
    }
}
