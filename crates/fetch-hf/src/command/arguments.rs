//! Writes the arguments of the command. They are the same for every release from 0.34 to 2.x.
//!
//! - Every option is one argument with its value (`--revision=…`), and `--` stands before the names, so that no name is read as an
//!   option.
//! - One name is the name of a file. Several names are patterns of Python's `fnmatch`, so they are written as patterns that fit
//!   themselves alone.
//! - The token is no argument: every user of a machine may read those.

use std::{ffi::OsString, path::Path};

/// How many files one run downloads at the most: the command compares each file of the repository with each name.
const MAX_NAMES: usize = 500;

/// How many bytes the names of one run have at the most. Systems allow 128 KiB for one argument, and a few hundred for all.
const MAX_NAME_BYTES: usize = 64 << 10;

/// The pattern that fits no file: no path in a repository begins with a slash.
const NOTHING: &str = "/*";

/// Returns the arguments that make the command ask for a revision, and download nothing.
pub(super) fn to_list(repo: &str, revision: &str) -> Vec<OsString> {
    let revision = format!("--revision={revision}");
    let include = format!("--include={NOTHING}");
    ["download", &revision, &include, "--quiet", "--", repo].map(OsString::from).to_vec()
}

/// Returns the arguments that download files of a commit into the command's own cache, or into a folder.
pub(super) fn to_download(
    repo: &str,
    commit: &str,
    folder: Option<&Path>,
    names: &[String],
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["download".into(), format!("--revision={commit}").into()];
    if let Some(folder) = folder {
        let mut option = OsString::from("--local-dir=");
        option.push(folder);
        arguments.push(option);
    }
    arguments.extend(["--quiet", "--", repo].map(OsString::from));
    arguments.extend(names.iter().map(OsString::from));
    arguments
}

/// Splits paths into the names of one run each.
pub(super) fn runs<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    let (mut runs, mut run, mut bytes) = (Vec::new(), Vec::<&str>::new(), 0);
    for path in paths {
        if run.len() == MAX_NAMES || (!run.is_empty() && bytes + path.len() > MAX_NAME_BYTES) {
            runs.push(std::mem::take(&mut run));
            bytes = 0;
        }
        bytes += path.len();
        run.push(path);
    }
    runs.push(run);
    runs.into_iter().filter(|run| !run.is_empty()).map(|run| names(&run)).collect()
}

/// Returns paths as the command reads them.
fn names(paths: &[&str]) -> Vec<String> {
    match paths {
        [only] => vec![(*only).to_owned()],
        several => several.iter().map(|path| pattern_of(path)).collect(),
    }
}

/// Returns the pattern that fits one path alone.
pub(super) fn pattern_of(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut pattern, c| {
        match c {
            '[' | '*' | '?' => pattern.extend(['[', c, ']']),
            _ => pattern.push(c),
        }
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: Vec<OsString>) -> String {
        let words: Vec<_> = arguments.into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn no_name_is_read_as_an_option_or_a_pattern() {
        let names = runs(["-x.gguf", "a[1]*.json", "b?.json"]);
        assert_eq!(names, [["-x.gguf", "a[[]1][*].json", "b[?].json"]]);
        assert_eq!(runs(["a[1].json"]), [["a[1].json"]], "one name is no pattern");
        assert_eq!(
            words(to_download("org/repo", "0123", Some(Path::new("/s/files")), &names[0])),
            "download --revision=0123 --local-dir=/s/files --quiet -- org/repo -x.gguf a[[]1][*].json b[?].json"
        );
        assert_eq!(
            words(to_list("org/repo", "-main")),
            "download --revision=-main --include=/* --quiet -- org/repo"
        );
    }

    #[test]
    fn the_grammar_knows_no_repository_whose_name_is_an_option() {
        for reference in ["hf:--token/x", "hf:-o/x", "hf:-x"] {
            assert!(reference.parse::<provisioner_core::ModelRef>().is_err(), "{reference}");
        }
    }

    #[test]
    fn many_names_are_split_into_runs() {
        let many: Vec<_> = (0..1201).map(|n| format!("{n}.json")).collect();
        let split = runs(many.iter().map(String::as_str));
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 201]);
        let long = "x".repeat(40 << 10);
        assert_eq!(runs([long.as_str(); 3]).len(), 3);
        assert_eq!(runs([] as [&str; 0]).len(), 0);
    }
}
