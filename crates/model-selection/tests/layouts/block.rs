//! Reads a block of a fixture, and compares the choice with it.

use std::collections::BTreeMap;

use model_selection::{Choice, Listing, Manifests, manifests_to_read, select};
use provisioner_core::{Entry, ModelRef, reference::RepoRef};

/// A repository of a fixture.
#[derive(Default)]
struct Block<'a> {
    reference: &'a str,
    /// The files by their paths: role or reason.
    files: BTreeMap<&'a str, &'a str>,
    listing: Listing,
    manifests: Vec<(&'a str, &'a str)>,
    expected: Vec<&'a str>,
    failure: Option<&'a str>,
}

/// Checks all blocks of a fixture, which has so many.
pub(crate) fn check(fixture: &str, count: usize) {
    let blocks: Vec<_> = fixture.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    assert_eq!(blocks.len(), count);
    let faults: Vec<String> = blocks.iter().flat_map(|block| faults(&read(block))).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn read(text: &str) -> Block<'_> {
    let mut block = Block::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            _ if rest.is_empty() && word.starts_with("hf:") => block.reference = word,
            "=" => block.manifests.extend(rest.split_once(' ')),
            ">" => block.expected.push(rest),
            "!" => block.failure = Some(rest),
            verdict => {
                for file in rest.split_whitespace() {
                    let (path, size) = file.split_once('@').unwrap_or((file, "2000"));
                    block.listing.add(path, size.parse().unwrap());
                    assert_eq!(block.files.insert(path, verdict), None, "{path} stands twice");
                }
            }
        }
    }
    block
}

fn faults(block: &Block<'_>) -> Vec<String> {
    let ModelRef::Repo(repo) = block.reference.parse().unwrap() else { panic!("{}", block.reference) };
    let mut manifests = Manifests::default();
    let mut unread: BTreeMap<&str, &str> = block.manifests.iter().copied().collect();
    loop {
        let to_read = manifests_to_read(&block.listing, repo.target(), &manifests);
        if to_read.is_empty() {
            break;
        }
        for path in to_read {
            match unread.remove(path.as_str()) {
                Some(text) => manifests.insert(path, text.replace("\\n", "\n").into_bytes()),
                None => manifests.give_up(path),
            }
        }
    }
    assert!(unread.is_empty(), "{}: {:?} are not read", block.reference, unread.keys());
    let faults = match select(&repo, &block.listing, &manifests) {
        Ok(choice) => compare(block, &repo, &choice),
        Err(error) => {
            let hint = error.hint.map(|hint| hint.to_string()).unwrap_or_default();
            let told = format!("{:?} {}; {hint}", error.kind, error.message);
            let is_expected = block.failure.is_some_and(|text| {
                text.replacen(' ', " & ", 1).split(" & ").all(|part| told.contains(part))
            });
            if is_expected { Vec::new() } else { vec![format!("fails: {told}")] }
        }
    };
    faults.into_iter().map(|fault| format!("{}: {fault}", block.reference)).collect()
}

fn compare(block: &Block<'_>, repo: &RepoRef, choice: &Choice) -> Vec<String> {
    let mut faults = Vec::new();
    let chosen = choice.files.iter().map(|file| (file.path.to_string(), file.role.to_string()));
    let left = choice.left_out.iter().map(|file| (file.path.clone(), format!("-{}", file.reason.as_str())));
    let got: BTreeMap<String, String> = chosen.chain(left).collect();
    for (path, expected) in &block.files {
        let got = got.get(*path).map(String::as_str);
        // `+` says that a file comes, whatever its role is.
        let is_right =
            got == Some(expected) || (*expected == "+" && got.is_some_and(|got| !got.starts_with('-')));
        if !is_right {
            faults.push(format!("`{path}` is {got:?}, and not {expected}"));
        }
    }
    let mut facts: Vec<String> =
        choice.notices.iter().map(|notice| format!("notice {}", notice.as_str())).collect();
    facts.extend(choice.projector.iter().map(|path| format!("projector {path}")));
    facts.extend(match &choice.entry {
        Entry::File(path) => Some(format!("file {path}")),
        Entry::Subfolder(path) => Some(format!("folder {path}")),
        Entry::Folder => None,
    });
    let (mut expected, mut got) =
        (block.expected.clone(), facts.iter().map(String::as_str).collect::<Vec<_>>());
    expected.sort_unstable();
    got.sort_unstable();
    if got != expected {
        faults.push(format!("it says {got:?}, and not {expected:?}"));
    }
    if let Some(failure) = block.failure {
        faults.push(format!("{repo} does not fail with {failure}"));
    }
    faults
}
