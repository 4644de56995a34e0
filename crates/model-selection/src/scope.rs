//! Holds the files among which a layout chooses: those of the repository, or of one folder of it.

use std::collections::{HashMap, HashSet};

use provisioner_core::{LeftOutReason, Notice, RelativePath, Role};

use crate::{
    listing::Listing,
    names::{self, FolderKind, Format, Kind, split},
};

/// Describes one file.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) path: &'a RelativePath,
    /// The path below the folder of the scope.
    pub(crate) rel: &'a str,
    /// The same in lower case.
    pub(crate) lower: String,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
}

impl File<'_> {
    /// Returns the folder below that of the scope, with its slash.
    pub(crate) fn folder(&self) -> &str {
        split(self.rel).0
    }

    /// Returns the name in lower case.
    pub(crate) fn name(&self) -> &str {
        split(&self.lower).1
    }

    pub(crate) fn is_weights(&self, format: Format) -> bool {
        self.kind == Kind::Weights(format)
    }
}

/// Holds the files below a folder, in the order of their paths, without those whose names are unsafe.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// The folder with its slash; empty for the whole repository.
    pub(crate) folder: String,
    pub(crate) files: Vec<File<'a>>,
    by_rel: HashMap<&'a str, usize>,
}

/// Says what becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Take(Role),
    Leave(LeftOutReason),
}

/// Holds what a layout decided: one verdict for each file of the scope.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) notices: Vec<Notice>,
    /// The path of the projector among what was taken.
    pub(crate) projector: Option<RelativePath>,
    /// The folder below the scope that an engine loads, where it is not the scope's own.
    pub(crate) inner: Option<String>,
}

impl Decided {
    pub(crate) fn new(verdicts: Vec<Verdict>) -> Self {
        Self { verdicts, notices: Vec::new(), projector: None, inner: None }
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn of(listing: &'a Listing, folder: &str) -> Self {
        let lower = |name: &str| name.to_ascii_lowercase();
        let listed: Vec<(&RelativePath, &str, String, u64)> = listing
            .below(folder)
            .filter_map(|(name, file)| {
                let rel = name.strip_prefix(folder)?;
                Some((file.path.as_ref()?, rel, lower(rel), file.size))
            })
            .collect();
        let names: HashSet<&str> = listed.iter().map(|(_, _, lower, _)| lower.as_str()).collect();
        let is_in_package = names::ml_package(&lower(folder)).is_some();
        let kind = |name: &str| match names::kind(name, |name| names.contains(name)) {
            Kind::Hidden => Kind::Hidden,
            _ if is_in_package => Kind::Weights(Format::CoreMl),
            kind => kind,
        };
        let kinds: Vec<_> = listed.iter().map(|(_, _, lower, _)| kind(lower)).collect();
        drop(names);
        let files = listed.into_iter().zip(kinds).map(|((path, rel, lower, size), kind)| File {
            path,
            rel,
            lower,
            size,
            kind,
        });
        let files: Vec<_> = files.collect();
        let by_rel = files.iter().enumerate().map(|(at, file)| (file.rel, at)).collect();
        Self { folder: folder.to_owned(), files, by_rel }
    }

    /// Returns the number of a file by its path below the scope.
    pub(crate) fn find(&self, rel: &str) -> Option<usize> {
        self.by_rel.get(rel).copied()
    }

    /// Returns the path in the repository of a path below the scope.
    pub(crate) fn full(&self, rel: &str) -> String {
        format!("{}{rel}", self.folder)
    }

    /// Returns whether a file of a format lies at the top of the scope.
    pub(crate) fn has_at_top(&self, format: Format) -> bool {
        self.files.iter().any(|file| file.is_weights(format) && file.folder().is_empty())
    }

    /// Returns the size of some files, in bytes.
    pub(crate) fn size(&self, files: impl IntoIterator<Item = usize>) -> u64 {
        files.into_iter().fold(0, |sum, at| sum.saturating_add(self.files[at].size))
    }
}

/// Returns why a file stays out whatever the layout is; `None` where the layout decides.
pub(crate) fn always_out(kind: Kind) -> Option<LeftOutReason> {
    match kind {
        Kind::Hidden => Some(LeftOutReason::Hidden),
        Kind::Document => Some(LeftOutReason::Document),
        Kind::Training => Some(LeftOutReason::TrainingState),
        Kind::Archive => Some(LeftOutReason::OtherFormat),
        Kind::Weights(Format::ImportanceMatrix) => Some(LeftOutReason::Companion),
        Kind::Weights(Format::RawPart) => Some(LeftOutReason::RawPart),
        _ => None,
    }
}

/// Returns the role of a file that is neither weights nor code.
pub(crate) fn plain_role(kind: Kind) -> Role {
    match kind {
        Kind::Tokenizer => Role::Tokenizer,
        Kind::Configuration => Role::Configuration,
        Kind::Weights(_) | Kind::Index(_) => Role::Weights,
        _ => Role::Other,
    }
}

/// Returns why weights of a format stay out where an engine loads others.
fn beside_others(format: Format) -> LeftOutReason {
    match format {
        Format::Pickle => LeftOutReason::Pickle,
        Format::Onnx
        | Format::OnnxData
        | Format::OpenVino
        | Format::CoreMl
        | Format::LiteRt
        | Format::Paddle
        | Format::Compiled => LeftOutReason::OtherRuntime,
        Format::ImportanceMatrix => LeftOutReason::Companion,
        Format::RawPart => LeftOutReason::RawPart,
        _ => LeftOutReason::OtherFormat,
    }
}

/// Below this size, arrays and bytes that no rule knows come along beside the weights: filters and voices. Bytes.
pub(crate) const SMALL_BYTES: u64 = 16 << 20;

/// Returns what becomes of weights of a format where an engine loads others.
pub(crate) fn beside(file: &File<'_>, format: Format) -> Verdict {
    match format {
        Format::Npz if file.size <= SMALL_BYTES => Verdict::Take(Role::Other),
        _ => Verdict::Leave(beside_others(format)),
    }
}

/// Returns why a file stays out that lies in a folder of this kind.
pub(crate) fn in_folder(kind: FolderKind) -> LeftOutReason {
    match kind {
        FolderKind::Training => LeftOutReason::TrainingState,
        FolderKind::OtherFormat => LeftOutReason::OtherFormat,
        FolderKind::OtherPrecision => LeftOutReason::OtherPrecision,
        FolderKind::OtherRuntime => LeftOutReason::OtherRuntime,
    }
}
