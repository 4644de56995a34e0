//! Waits out the pauses that sources ask for.
//!
//! Each file of a model has connections of its own, and a source that asks for a pause says so to each of them. They wait for
//! the same moment, so progress tells of one pause.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use provisioner_core::{ProgressEvent, ProgressSink};
use tokio::time::Instant;

use crate::lock::lock;

/// A pause that ends later by less than this is the same pause: answers arrive one after the other.
const SAME: Duration = Duration::from_secs(1);

/// How long a pause is at the most, so that its end is a time that the clock has.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Holds the pauses that are under way, by model.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<String, UnderWay>>);

#[derive(Debug)]
struct UnderWay {
    waiting: usize,
    ends: Instant,
}

/// Holds one connection's part in a pause. The pause of a model ends when the last of its parts is dropped.
pub(crate) struct Pause<'a> {
    pauses: &'a Pauses,
    id: &'a str,
    progress: &'a dyn ProgressSink,
}

impl Pauses {
    /// Begins to wait, and tells progress of the pause unless another connection of the same model did.
    pub(crate) fn begin<'a>(
        &'a self,
        id: &'a str,
        reason: &str,
        length: Duration,
        progress: &'a dyn ProgressSink,
    ) -> Pause<'a> {
        let ends = Instant::now() + length.min(LONGEST);
        let is_news = match self.lock().entry(id.to_owned()) {
            Entry::Vacant(none) => {
                none.insert(UnderWay { waiting: 1, ends });
                true
            }
            Entry::Occupied(mut pause) => {
                let pause = pause.get_mut();
                pause.waiting += 1;
                let is_longer = ends > pause.ends + SAME;
                pause.ends = pause.ends.max(ends);
                is_longer
            }
        };
        if is_news {
            let pause_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            let (id, reason) = (id.to_owned(), reason.to_owned());
            progress.on_event(&ProgressEvent::PauseStarted { id, reason, pause_ms });
        }
        Pause { pauses: self, id, progress }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, UnderWay>> {
        lock(&self.0)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let is_last = {
            let mut under_way = self.pauses.lock();
            let waiting = under_way.get_mut(self.id).map_or(0, |pause| {
                pause.waiting -= 1;
                pause.waiting
            });
            waiting == 0 && under_way.remove(self.id).is_some()
        };
        if is_last {
            self.progress.on_event(&ProgressEvent::PauseEnded { id: self.id.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<String>>);

    impl ProgressSink for Told {
        fn on_event(&self, event: &ProgressEvent) {
            let told = match event {
                ProgressEvent::PauseStarted { id, pause_ms, .. } => format!("{id} {pause_ms}"),
                ProgressEvent::PauseEnded { id } => format!("{id} ended"),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(told);
        }
    }

    #[tokio::test]
    async fn those_that_wait_for_one_model_are_one_pause() {
        let (pauses, told) = (Pauses::default(), Told::default());
        let begin = |id, seconds| pauses.begin(id, "busy", Duration::from_secs(seconds), &told);
        let (first, second, other) = (begin("a", 55), begin("a", 55), begin("b", 7));
        drop(first);
        let longer = begin("a", 90);
        drop((second, longer, other));
        drop(begin("a", 1));
        let all = ["a 55000", "b 7000", "a 90000", "a ended", "b ended", "a 1000", "a ended"];
        assert_eq!(*told.0.lock().unwrap(), all);
        drop(pauses.begin("a", "busy", Duration::MAX, &told));
    }
}
