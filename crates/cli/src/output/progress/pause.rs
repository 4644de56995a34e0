//! Shows a pause that a hub asks for: counting down on a terminal, and in a line elsewhere.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// The shortest pause that is worth a line: a shorter one ends before a person has read it.
const WORTH_A_LINE: Duration = Duration::from_secs(5);

/// Returns the line for a log, where the pause is worth one.
pub(crate) fn line(pause: Duration) -> Option<String> {
    (pause >= WORTH_A_LINE).then(|| format!("the hub asks to wait {} s", seconds(pause)))
}

/// Puts a line on the screen that counts down, each time the screen draws it.
pub(crate) fn bar(screen: &MultiProgress, pause: Duration) -> ProgressBar {
    let began = Instant::now();
    let left = move |_: &ProgressState, text: &mut dyn Write| {
        let _ = write!(text, "{} s", seconds(pause.saturating_sub(began.elapsed())));
    };
    let bar = screen.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("the hub asks to wait {left}") {
        bar.set_style(style.with_key("left", left));
    }
    bar
}

/// Returns whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::line;

    #[test]
    fn a_pause_that_is_worth_it_is_told() {
        let check = |ms, expected: Option<&str>| {
            assert_eq!(line(Duration::from_millis(ms)).as_deref(), expected);
        };
        check(4999, None);
        check(5000, Some("the hub asks to wait 5 s"));
        check(54_001, Some("the hub asks to wait 55 s"));
    }
}
