//! Writes the environment variables, and sees that no other file of the product reads one.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::CommandFactory;

use super::at_root;
use crate::{args::Args, environment::Variable};

/// What the libraries below the command read by themselves.
const OF_LIBRARIES: [(&str, &str); 10] = [
    ("HOME", "names the user's home folder"),
    ("XDG_DATA_HOME", "names the folder of the user's data, otherwise `~/.local/share`"),
    ("HTTPS_PROXY", "names the proxy for `https:` addresses"),
    ("HTTP_PROXY", "names the proxy for `http:` addresses"),
    (
        "ALL_PROXY",
        "names the proxy for both. Any of the three may be at `http:`, `https:`, `socks5:` or `socks5h:`, where the proxy resolves names; \
         with another value no request is sent",
    ),
    (
        "NO_PROXY",
        "lists the hosts that need no proxy. Each of these four may be in lower case too, which comes first, and an empty one \
         counts as unset",
    ),
    ("REQUEST_METHOD", "keeps the command from every proxy: a web server sets it for its scripts"),
    ("NO_COLOR", "keeps colours out of messages"),
    ("CLICOLOR", "`0` keeps colours out of messages"),
    ("CLICOLOR_FORCE", "other than `0` puts colours into messages that do not go to a terminal"),
];

/// Returns the part of the page on environment variables.
pub(super) fn section() -> String {
    let mut text = String::from("\n## Environment\n\n| variable | what it does |\n| --- | --- |\n");
    let own = Variable::ALL.iter().map(|variable| (variable.name(), variable.meaning()));
    for (name, meaning) in own.chain(OF_LIBRARIES) {
        writeln!(text, "| `{name}` | {meaning} |").unwrap();
    }
    text
}

/// Returns the source files of a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn every_variable_that_the_product_reads_is_on_the_page() {
    let page = section();
    let mut folders = vec![at_root("src")];
    for entry in fs_err::read_dir(at_root("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("src").is_dir() && path.file_name().is_some_and(|name| name != "testkit") {
            folders.push(path.join("src"));
        }
    }
    let reads = ["env::var", "var_os(", "env::vars"];
    let this = Path::new("reference/environment.rs");
    let readers: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|path| !path.ends_with(this))
        .filter(|path| {
            let text = fs_err::read_to_string(path).unwrap();
            reads.iter().any(|read| text.contains(read))
        })
        .collect();
    // The rows of the proxies' variables are among `OF_LIBRARIES`.
    let known = ["crates/cli/src/environment/variable.rs", "crates/source-http/src/proxies.rs"];
    let known = known.map(|path| at_root(path).canonicalize().unwrap());
    let mut readers: Vec<_> = readers.iter().map(|path| path.canonicalize().unwrap()).collect();
    readers.sort();
    assert_eq!(readers, known, "a variable that is read elsewhere is not on the page");
    let command = Args::command();
    let all = command.get_subcommands().chain([&command]).flat_map(clap::Command::get_arguments);
    for name in all.filter_map(clap::Arg::get_env) {
        let row = format!("| `{}` |", name.to_str().unwrap());
        assert!(page.contains(&row), "{row}");
    }
}
