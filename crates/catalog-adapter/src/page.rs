//! Collects a page of records.
//!
//! # Order
//! A page goes on where the one before ended, in the order of the files' names. A start is the name of the last file that a
//! page has, behind that of its folder; or the name of a folder that cannot be read, alone. A file that another process makes
//! or removes meanwhile moves no other file to another page.

use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogError, CatalogErrorKind, DamagedRecord, PageStart, RecordPage};

use crate::record_file::read_sized;

/// How many records a page has at the most.
const MAX_RECORDS: usize = 512;

/// How many bytes of files a page takes before it ends. A record has 64 MiB at the most.
const ENOUGH_BYTES: u64 = 8 << 20;

/// Holds a page in the making.
#[derive(Debug)]
pub(crate) struct Page {
    made: RecordPage,
    /// The folder behind which the page begins, or the file in it.
    after: Option<(String, Option<String>)>,
    /// The last file that the page has, or the last folder that cannot be read.
    last: Option<PageStart>,
    bytes: u64,
}

impl Page {
    /// Begins the page behind a start.
    pub(crate) fn new(start: Option<&PageStart>) -> Self {
        let after = start.map(|start| match start.0.split_once('/') {
            Some((folder, name)) => (folder.to_owned(), Some(name.to_owned())),
            None => (start.0.clone(), None),
        });
        Self { made: RecordPage::default(), after, last: None, bytes: 0 }
    }

    /// Returns whether files of a folder may be on this page or on a later one.
    pub(crate) fn reaches(&self, folder: &Path) -> bool {
        let Some((after, name)) = &self.after else { return true };
        match name_of(folder).cmp(after) {
            Ordering::Less => false,
            Ordering::Equal => name.is_some(),
            Ordering::Greater => true,
        }
    }

    /// Adds the record in a file. `path_of` returns the path of the record of an id. Returns `false` where the page has no room
    /// for the file; then it is on the next one.
    pub(crate) fn add(&mut self, path: &Path, path_of: impl Fn(&str) -> PathBuf) -> bool {
        let (folder, name) = (path.parent().map(name_of).unwrap_or_default(), name_of(path));
        let is_behind = match &self.after {
            Some((after, after_name)) if folder == *after => Some(&name) > after_name.as_ref(),
            _ => true,
        };
        if !is_behind || path.extension().is_none_or(|ending| ending != "json") {
            return true;
        }
        if self.made.records.len() + self.made.damaged.len() >= MAX_RECORDS || self.bytes >= ENOUGH_BYTES {
            self.made.next = self.last.take();
            return false;
        }
        self.last = Some(PageStart(format!("{folder}/{name}")));
        match read_sized(path) {
            Ok(Some((found, bytes))) if path_of(&found.record.id) == path => {
                self.made.records.push(found);
                self.bytes += bytes;
            }
            // Another process removed it since this one read the folder.
            Ok(None) => {}
            Ok(Some((found, _))) => {
                let reason = format!("it is the record of `{}`", found.record.id);
                self.made.damaged.push(DamagedRecord { location: path.to_owned(), reason, is_newer: false });
            }
            Err(error) => self.made.damaged.push(unreadable(path, error)),
        }
        true
    }

    /// Adds a folder that cannot be read.
    pub(crate) fn add_unreadable(&mut self, folder: &Path, error: CatalogError) {
        self.last = Some(PageStart(name_of(folder)));
        self.made.damaged.push(unreadable(folder, error));
    }

    /// Returns the page.
    pub(crate) fn finish(self) -> RecordPage {
        self.made
    }
}

/// Describes a file or a folder that cannot be read.
pub(crate) fn unreadable(location: &Path, error: CatalogError) -> DamagedRecord {
    DamagedRecord {
        location: location.to_owned(),
        is_newer: error.kind == CatalogErrorKind::Newer,
        reason: match &error.source {
            Some(source) => format!("{error}: {source}"),
            None => error.message,
        },
    }
}

/// Returns the last component of a path, as far as it is UTF-8.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
