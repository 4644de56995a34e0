//! Counts how much of the models that the command fetches is here.

use std::collections::HashMap;

use model_provisioner::ProgressEvent;

/// Counts the bytes of the models that the command fetches.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    models: HashMap<String, Fetching>,
}

/// Says how far a model is.
#[derive(Debug, Default)]
struct Fetching {
    files: usize,
    total_bytes: u64,
    /// What an earlier transfer left, and what has come since.
    present_bytes: u64,
    arrived_bytes: u64,
    /// How much of each file is here.
    done: HashMap<String, u64>,
}

impl Tally {
    /// Counts an event.
    pub(crate) fn note(&mut self, event: &ProgressEvent) {
        match event {
            ProgressEvent::FetchPlanned { id, files, total_bytes, present_bytes } => {
                let (files, total_bytes, present_bytes) = (*files, *total_bytes, *present_bytes);
                let fetching = Fetching { files, total_bytes, present_bytes, ..Fetching::default() };
                self.models.insert(id.clone(), fetching);
            }
            ProgressEvent::FetchResumed { id, path, present_bytes, .. } => {
                if let Some(model) = self.models.get_mut(id) {
                    model.done.insert(path.clone(), *present_bytes);
                }
            }
            ProgressEvent::Fetched { id, path, done_bytes, .. } => {
                if let Some(model) = self.models.get_mut(id) {
                    let before = model.done.entry(path.clone()).or_default();
                    model.arrived_bytes += done_bytes.saturating_sub(*before);
                    *before = (*before).max(*done_bytes);
                }
            }
            ProgressEvent::Ready { id, .. } => {
                self.models.remove(id);
            }
            _ => {}
        }
    }

    /// Returns how many files of unfinished models the command has to fetch.
    pub(crate) fn files(&self) -> usize {
        self.models.values().map(|model| model.files).sum()
    }

    /// Returns how many bytes of unfinished models are here, and of how many.
    pub(crate) fn sum(&self) -> (u64, u64) {
        self.models.values().fold((0, 0), |(here, total), model| {
            let kept = model.present_bytes.saturating_add(model.arrived_bytes).min(model.total_bytes);
            (here + kept, total + model.total_bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use model_provisioner::ProgressEvent;

    use super::Tally;

    #[test]
    fn the_total_is_of_the_whole_model_from_its_start() {
        let mut tally = Tally::default();
        let (id, path) = ("hf:org/repo".to_owned(), "a".to_owned());
        let planned =
            ProgressEvent::FetchPlanned { id: id.clone(), files: 9, total_bytes: 900, present_bytes: 200 };
        tally.note(&planned);
        assert_eq!((tally.files(), tally.sum()), (9, (200, 900)));
        let (size_bytes, present_bytes) = (100, 60);
        tally.note(&ProgressEvent::FetchResumed {
            id: id.clone(),
            path: path.clone(),
            present_bytes,
            size_bytes,
        });
        for done_bytes in [60, 80, 70, 100] {
            let (id, path) = (id.clone(), path.clone());
            tally.note(&ProgressEvent::Fetched { id, path, done_bytes, size_bytes });
        }
        assert_eq!(tally.sum(), (240, 900), "what was here before is counted once");
        tally.note(&ProgressEvent::Ready { id, cached: false });
        assert_eq!((tally.files(), tally.sum()), (0, (0, 0)));
    }
}
