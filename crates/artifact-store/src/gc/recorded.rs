//! Keeps what an inventory needs of the recorded models.
//!
//! A record has all that is known of a model. An inventory needs the id of a model of this machine, and of a fetched one its
//! view and the names of its files. So a caller reads records a page at a time, and holds no more of them than this.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use provisioner_core::{CatalogRecord, Digest, Lifecycle, RecordedFile, RelativePath, Timestamp};

use crate::layout::Store;

/// Holds what an inventory needs of the recorded models.
#[derive(Clone, Debug, Default)]
pub struct RecordedModels {
    local: Vec<Arc<str>>,
    /// The models of each view, by the path of the view below the folder of all views.
    stored: BTreeMap<Box<Path>, Vec<RecordedModel>>,
}

/// Holds what an inventory needs of one model in the store.
#[derive(Clone, Debug)]
pub(crate) struct RecordedModel {
    pub(crate) id: Arc<str>,
    pub(crate) is_retired: bool,
    pub(crate) created_at: Timestamp,
    /// The files, with the SHA-256 of those that a process has read.
    pub(crate) files: Box<[(RelativePath, Option<[u8; 32]>)]>,
}

impl RecordedModel {
    pub(crate) fn of(record: CatalogRecord) -> Self {
        let sha256 = |file: &RecordedFile| file.sha256.as_ref().and_then(Digest::sha256_bytes);
        Self {
            id: record.id.into(),
            is_retired: record.lifecycle == Lifecycle::Retired,
            created_at: record.created_at,
            files: record.files.iter().map(|file| (file.path.clone(), sha256(file))).collect(),
        }
    }
}

impl RecordedModels {
    /// Adds a record, in any order.
    pub fn add(&mut self, store: &Store, record: CatalogRecord) {
        if store.holds(record.root()) {
            let view = store.below_models(record.root()).into();
            let model = RecordedModel::of(record);
            match self.stored.entry(view) {
                Entry::Occupied(models) => models.into_mut().push(model),
                Entry::Vacant(vacant) => {
                    // Almost every view has one model: a vector that grows would begin with room for four.
                    vacant.insert(vec![model]);
                }
            }
        } else {
            self.local.push(record.id.into());
        }
    }

    /// Returns how many models are not in the store.
    pub fn count_local(&self) -> usize {
        self.local.len()
    }

    /// Returns whether a record names a view.
    pub(crate) fn has_view(&self, view: &Path) -> bool {
        self.stored.contains_key(view)
    }

    /// Takes the models out whose files lie in a view. An inventory holds them from then on.
    pub(crate) fn take(&mut self, view: &Path) -> Vec<RecordedModel> {
        self.stored.remove(view).unwrap_or_default()
    }

    /// Returns the ids of the models that are not in the store, sorted, and the models whose views were not taken out, in the
    /// order of the views.
    pub(crate) fn into_rest(self) -> (Vec<Arc<str>>, impl Iterator<Item = RecordedModel>) {
        let mut local = self.local;
        local.sort_unstable();
        (local, self.stored.into_values().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn an_inventory_is_the_same_in_whatever_order_the_records_come() {
        let fixture = Fixture::new();
        let mut records: Vec<_> = ["hf:org/b", "hf:org/a"]
            .map(|id| fixture.commit(&fixture.model(id, "abc", &[("a", "one"), ("b", id)])))
            .into();
        let gone = fixture.commit(&fixture.model("hf:org/gone", "abc", &[("a", "two")]));
        fs_err::remove_dir_all(gone.root()).unwrap();
        // Another id of the same view, and two models of this machine.
        records.push(CatalogRecord { id: "hf:org/0".to_owned(), ..records[0].clone() });
        let local = |id: &str| CatalogRecord { id: id.to_owned(), local_path: "/a".into(), ..gone.clone() };
        records.extend([local("local:/b"), gone.clone(), local("local:/a")]);
        let inventory = |records: &[CatalogRecord]| fixture.store.inventory(records, &[]).unwrap();
        let found = inventory(&records);
        assert_eq!(
            (&found.local[..], &found.missing[..]),
            (&["local:/a".into(), "local:/b".into()][..], &["hf:org/gone".into()][..])
        );
        assert_eq!(found.views[1].ids, ["hf:org/0".into(), "hf:org/b".into()]);
        records.reverse();
        assert_eq!(inventory(&records), found);
    }
}
