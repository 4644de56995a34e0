//! Finds what a program imports from its own package.

/// How many bytes of a line an import has at the most.
const MAX_IMPORT_BYTES: usize = 1024;

/// Names a module that a program imports from its own package.
pub(super) struct Import {
    /// How many folders above its own the package is.
    pub(super) above: usize,
    /// The module with dots; empty for the package itself.
    pub(super) module: String,
    /// The names that are imported, which may be modules themselves.
    pub(super) names: Vec<String>,
}

/// Returns the relative imports of a program. It reads line by line, and takes an import in a text for one: that costs a file
/// at the most.
pub(super) fn imports(text: &str) -> impl Iterator<Item = Import> + '_ {
    let mut lines = text.lines();
    let mut rest = "";
    std::iter::from_fn(move || {
        loop {
            let Some(at) = word(rest, "from") else {
                rest = lines.next()?;
                continue;
            };
            // Behind `try:` or a semicolon, one line may have several.
            rest = &rest[at..];
            if let Some(import) = parse_import(rest.trim_start(), &mut lines) {
                return Some(import);
            }
        }
    })
}

/// Returns where a text goes on behind a word that has no letter or digit at its sides.
fn word(text: &str, word: &str) -> Option<usize> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = text.match_indices(word).map(|(at, _)| (&text[..at], at + word.len()));
    found
        .find(|(before, end)| !before.ends_with(is_inside) && !text[*end..].starts_with(is_inside))
        .map(|(_, end)| end)
}

fn parse_import<'a>(rest: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<Import> {
    // A line may be as long as the file, and hold the word at every place.
    let start = |text: &str| {
        let end = (0..=text.len().min(MAX_IMPORT_BYTES)).rev().find(|end| text.is_char_boundary(*end));
        text[..end.unwrap_or_default()].to_owned()
    };
    if !rest.starts_with(['.', '\\']) {
        return None;
    }
    // A backslash at the end joins a line to the next.
    let mut joined = start(rest);
    while let Some(before) = joined.trim_end().strip_suffix('\\').filter(|text| text.len() < MAX_IMPORT_BYTES)
    {
        let Some(line) = lines.next() else { break };
        joined = format!("{before} {}", start(line));
    }
    let rest = joined.trim_start();
    let path = rest.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    // The first dot is the folder of the program itself.
    let above = rest[..rest.len() - path.len()].matches('.').count().checked_sub(1)?;
    // Without a space where a dot or a bracket parts the words: `from .import x`, `from .x import(y)`.
    let end = word(path, "import")?;
    let (module, names) = (&path[..end - "import".len()], &path[end..]);
    let is_module = |c: char| c.is_alphanumeric() || "._".contains(c);
    if !module.trim().chars().all(is_module) {
        return None;
    }
    let names = names.split([';', '#']).next().unwrap_or_default();
    let mut names = names.to_owned();
    if names.contains('(') && !names.contains(')') {
        for line in lines.by_ref().take(100) {
            names.push_str(line);
            if line.contains(')') {
                break;
            }
        }
    }
    let words = names.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    Some(Import { above, module: module.trim().to_owned(), names: words.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one line with the word at every place takes no time that grows with its square.
    #[test]
    fn a_hostile_line() {
        let text = "from . from ".repeat(80_000);
        assert_eq!(imports(&text).count(), 0);
        let text = "from .a import b; ".repeat(50_000);
        assert_eq!(imports(&text).count(), 50_000);
        let text = "from .a import \\\n".repeat(50_000);
        assert!(imports(&text).count() <= 50_000);
    }

    #[test]
    fn relative_imports_in_any_spelling() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = imports(text)
                .map(|import| {
                    format!("{}{}:{}", ".".repeat(import.above + 1), import.module, import.names.join(","))
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("from .a import b", &[".a:b"]);
        check("    from  .a  import  b, c", &[".a:b,c"]);
        check("from\t.a\timport\tb", &[".a:b"]);
        check("from .a import(b,\n  c)", &[".a:b,c"]);
        check("from .a import\\\n  b", &[".a:b"]);
        check("from .a \\\n  import b\nfrom .c import d", &[".a:b", ".c:d"]);
        check("from . import b", &[".:b"]);
        check("from .import b", &[".:b"]);
        check("from ..a.b import c", &["..a.b:c"]);
        check("try: from .a import b", &[".a:b"]);
        check("x = 1; from.a import b", &[".a:b"]);
        check("from .a import b; from .c import d", &[".a:b", ".c:d"]);
        check("from .a import (\n  b, # x\n  c)", &[".a:b,x,c"]);
        check("from .a import ( # x\n  b)", &[".a:b"]);
        check("from a import b\nimport c\n# from the .a file we import b", &[]);
    }
}
