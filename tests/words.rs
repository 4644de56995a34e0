//! The words of the sources and of the documents: each sentence names who does something.
//!
//! The tests read comments, string literals and Markdown. They read no code: a test may call its people what it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use testkit::sources::{Prose, ProseKind, Source, files};

/// Words that stand in the place of an actor: another process, the caller, the fetcher, the operator.
const HIDING: [&str; 18] = [
    "nobody",
    "somebody",
    "everybody",
    "anybody",
    "nobody's",
    "somebody's",
    "everybody's",
    "anybody's",
    "someone",
    "anyone",
    "everyone",
    "someone's",
    "anyone's",
    "everyone's",
    "whoever",
    "whomever",
    "whosever",
    "whoever's",
];

/// This file names the words, and the log of changes has the sentences of its time.
const LEFT_OUT: [&str; 2] = ["tests/words.rs", "CHANGELOG.md"];

/// A first line of documentation with this many words or fewer says too little.
const FEW_WORDS: usize = 3;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads all files with that ending, but for those that are left out.
fn texts(ending: &str) -> Vec<(PathBuf, String)> {
    let is_read = |path: &PathBuf| !LEFT_OUT.iter().any(|left_out| path == Path::new(left_out));
    let paths = files(root(), ending).into_iter().filter(is_read);
    paths.map(|path| (path.clone(), fs_err::read_to_string(root().join(path)).unwrap())).collect()
}

/// Finds the words that hide an actor, with the number of their line.
fn hiding(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words = line.split(|next: char| !next.is_alphanumeric() && !"'’-".contains(next));
        let words = words.map(|word| word.trim_matches(['\'', '’', '-']).replace('’', "'").to_lowercase());
        found.extend(words.filter(|word| HIDING.contains(&word.as_str())).map(|word| (number + 1, word)));
    }
    found
}

/// Finds them in the comments and the string literals of a Rust file.
fn hiding_in_source(text: &str) -> Vec<(usize, String)> {
    let prose = Source::of(text).prose.into_iter();
    let found = prose.flat_map(|Prose { line, text, .. }| {
        hiding(&text).into_iter().map(move |(number, word)| (line + number - 1, word)).collect::<Vec<_>>()
    });
    found.collect()
}

/// Words with which a first line begins that has no verb of its own.
const WITHOUT_VERB: [&str; 3] = ["What", "Where", "Whether"];

/// Finds the first lines of the documentation of public items that say too little: they have too few words, or begin with a
/// word that leaves out what the item does.
fn poor_first_lines(text: &str) -> Vec<(usize, String)> {
    let is_poor = |doc: &str| {
        let mut words = doc.split_whitespace();
        words.next().is_some_and(|word| WITHOUT_VERB.contains(&word)) || words.count() < FEW_WORDS
    };
    first_lines(text).into_iter().filter(|(_, doc)| is_poor(doc)).collect()
}

/// Finds the first lines of the documentation of public items, with the number of their line.
fn first_lines(text: &str) -> Vec<(usize, String)> {
    let source = Source::of(text);
    let docs: BTreeMap<usize, &str> = source
        .prose
        .iter()
        .filter(|piece| piece.kind == ProseKind::Doc)
        .map(|piece| (piece.line, piece.text.trim()))
        .collect();
    let (mut found, mut first, mut depth) = (Vec::new(), None, 0_usize);
    // The depth at which a public enum or trait began: all in it is public too.
    let mut public: Option<usize> = None;
    for (number, line) in (1..).zip(source.code.lines()) {
        let line = line.trim();
        if let Some(doc) = docs.get(&number) {
            first = first.or(Some((number, *doc)));
        } else if !line.is_empty() && !line.starts_with("#[") {
            let is_public = line.starts_with("pub ") || public.is_some_and(|began| depth > began);
            let of_public = first.take().filter(|_| is_public);
            found.extend(of_public.map(|(number, doc)| (number, doc.to_owned())));
        }
        if line.starts_with("pub enum ") || line.starts_with("pub trait ") {
            public = public.or(Some(depth));
        }
        depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
        if line.contains('}') && public.is_some_and(|began| depth <= began) {
            public = None;
        }
    }
    found
}

/// Names the part of the repository that a file belongs to: a crate, or a folder of the root.
fn part(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    match parts.as_slice() {
        [first, second, _, ..] if first == "crates" => format!("crates/{second}"),
        [first, _, ..] => first.to_string(),
        _ => "documents".to_owned(),
    }
}

/// Fails with each place and its words, and with how many there are in each part of the repository.
fn none(found: &[(PathBuf, usize, String)], rule: &str) {
    let mut counts = BTreeMap::<String, usize>::new();
    for (path, _, _) in found {
        *counts.entry(part(path)).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(part, count)| format!("{count:>5}  {part}")).collect();
    let lines: Vec<_> =
        found.iter().map(|(path, line, words)| format!("{}:{line}: {words}", path.display())).collect();
    assert!(found.is_empty(), "{rule}:\n{}\n{}\n", lines.join("\n"), counts.join("\n"));
}

fn all(
    texts: &[(PathBuf, String)],
    find: impl Fn(&str) -> Vec<(usize, String)>,
) -> Vec<(PathBuf, usize, String)> {
    let found = texts.iter().flat_map(|(path, text)| {
        find(text).into_iter().map(move |(line, words)| (path.clone(), line, words)).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn no_sentence_hides_who_does_it() {
    let mut found = all(&texts(".rs"), hiding_in_source);
    found.extend(all(&texts(".md"), hiding));
    none(&found, "words that hide the actor");
}

#[test]
fn the_first_line_of_a_public_item_says_something() {
    let mut sources = texts(".rs");
    sources.retain(|(path, _)| path.iter().any(|part| part == "src"));
    let rule =
        format!("first lines of {FEW_WORDS} words or fewer, or that begin with one of {WITHOUT_VERB:?}");
    none(&all(&sources, poor_first_lines), &rule);
}

#[test]
fn words_that_hide_the_actor_are_found_in_prose_alone() {
    let text = "/// Nobody is here.\nfn somebody() -> &'static str {\n    // Someone’s, or\n    \"for whoever asks\"\n}\n";
    let found = hiding_in_source(text);
    let expected = [(1, "nobody"), (3, "someone's"), (4, "whoever")];
    assert_eq!(found, expected.map(|(line, word)| (line, word.to_owned())));
    assert_eq!(hiding("a body, no one, anybody-\nsomeones").len(), 1);
}

#[test]
fn short_first_lines_of_public_items_are_found() {
    let text = "/// A type.\npub struct A {\n    /// Why.\n    pub a: u8,\n    /// Where.\n    b: u8,\n}\n\
                /// Says what to do next.\n///\n/// More.\npub enum E {\n    /// One.\n    #[serde]\n    V {\n        \
                /// Id.\n        id: u8,\n    },\n}\n/// Own.\nenum F {\n    /// Own.\n    V,\n}\n\
                /// Own.\npub(crate) fn f() {}\n/// Go on.\n#[must_use]\npub fn g() {}\n";
    let found: Vec<_> = poor_first_lines(text).into_iter().map(|(_, doc)| doc).collect();
    assert_eq!(found, ["A type.", "Why.", "One.", "Id.", "Go on."]);
    let text = "/// Whether it has gone on.\npub fn a() {}\n/// Returns where it is.\npub fn b() {}\n\
                /// Where it is by now.\nfn c() {}\n";
    let found: Vec<_> = poor_first_lines(text).into_iter().map(|(_, doc)| doc).collect();
    assert_eq!(found, ["Whether it has gone on."]);
}

/// Reads the names in the command's table of environment variables. `PATH` is left out, for it is a word of every shell, and
/// `SSL_CERT_FILE` comes along, which a crate of the HTTP client reads.
fn variables() -> Vec<String> {
    let table = fs_err::read_to_string(root().join("crates/cli/src/environment/variable.rs")).unwrap();
    let names = Source::of(&table).prose.into_iter().filter(|piece| piece.kind == ProseKind::Literal);
    let names = names.map(|piece| piece.text).filter(|name| name.contains('_'));
    let is_name = |name: &String| name.chars().all(|next| next.is_ascii_uppercase() || next == '_');
    names.filter(is_name).chain(["SSL_CERT_FILE".to_owned()]).collect()
}

/// The files that write the environment of another program, and so name its variables. No message of theirs does.
const WRITE_ENVIRONMENTS: [&str; 2] =
    ["crates/fetch-hf/src/command/environment.rs", "crates/fetch-hf/src/command/variables.rs"];

/// Finds the string literals that name a variable of the environment, with the number of their line.
fn named_variables(text: &str, variables: &[String]) -> Vec<(usize, String)> {
    let literals = Source::of(text).prose.into_iter().filter(|piece| piece.kind == ProseKind::Literal);
    let found = literals.flat_map(|Prose { line, text, .. }| {
        let words = text.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
        let named = words.filter(|word| variables.iter().any(|name| name == word));
        named.map(|word| (line, word.to_owned())).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn a_library_names_no_variable_of_the_environment() {
    let variables = variables();
    assert!(variables.len() > 15 && variables.iter().any(|name| name == "HF_TOKEN"), "{variables:?}");
    let mut sources = texts(".rs");
    sources.retain(|(path, _)| {
        let part = part(path);
        let writes = WRITE_ENVIRONMENTS.iter().any(|file| path == Path::new(file));
        let is_library = part != "crates/cli" && part != "crates/testkit" && !writes;
        path.iter().any(|part| part == "src") && is_library
    });
    let found = all(&sources, |text| named_variables(text, &variables));
    none(&found, "variables that the command reads, in a literal of a library");
    let text = "/// HF_TOKEN.\nfn a() -> &'static str {\n    \"set HF_TOKEN, or\"\n}\nconst B: &str = \"HF_TOKENS\";\n";
    assert_eq!(named_variables(text, &variables), [(3, "HF_TOKEN".to_owned())]);
}
