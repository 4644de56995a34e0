//! Reads the repository's own files, for tests about them.
//!
//! [`files`] lists them. [`Source`] tells the code of a Rust file from its comments and its string literals, so that a test
//! about one of them never trips over a word in another.

mod lexer;

use std::path::{Path, PathBuf};

pub use lexer::{Prose, ProseKind};

/// Names the folders that hold what a tool made.
const MADE: [&str; 4] = ["target", "corpus", "artifacts", "node_modules"];

/// Lists the files below a folder whose names have that ending, as paths relative to it, in their order. It leaves out hidden
/// folders, and those in which tools put what they made.
///
/// # Panics
/// Where a folder cannot be read.
pub fn files(root: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).expect("a folder of the sources can be read") {
            let entry = entry.expect("a folder of the sources can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if !is_folder && name.ends_with(ending) {
                found.extend(entry.path().strip_prefix(root).map(Path::to_owned));
            }
        }
    }
    found.sort();
    found
}

/// A Rust file, split into its code and its prose.
///
/// ```
/// use testkit::sources::{ProseKind, Source};
///
/// let source = Source::of("let text = \"use a::b;\"; // use c::d;\n");
/// assert!(source.code.starts_with("let text = \"") && !source.code.contains("use"));
/// assert_eq!(source.prose[1].kind, ProseKind::Comment);
/// assert_eq!(source.prose[1].text, " use c::d;");
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    /// The text with spaces in the place of comments and of what stands in literals. Each line keeps its number.
    pub code: String,
    /// The comments and the string literals, in their order.
    pub prose: Vec<Prose>,
}

impl Source {
    /// Splits the text of a Rust file.
    pub fn of(text: &str) -> Self {
        let (code, prose) = lexer::split(text);
        Self { code, prose }
    }
}
