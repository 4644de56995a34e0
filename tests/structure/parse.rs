//! Reads from one file what its modules declare, import and name.

use std::collections::{BTreeMap, BTreeSet};

use testkit::sources::Source;

/// A module as one file has it: the file's own, or one that is written out between braces in it.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// The items that it declares, by name.
    pub(crate) items: BTreeSet<String>,
    /// The modules that it declares as files of their own: `mod name;`.
    pub(crate) files: BTreeSet<String>,
    /// The modules that it writes out.
    pub(crate) blocks: BTreeMap<String, Block>,
    /// What its `use` lines bring in.
    pub(crate) uses: Vec<Use>,
    /// The other paths in its code that begin at a module: `super::name(…)`.
    pub(crate) paths: Vec<Use>,
}

/// One name that a `use` line brings in, or one path in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// The name that it has from there on. `None` for everything of a module: `*`.
    pub(crate) name: Option<String>,
}

/// Parses a file. It leaves out what is there for unit tests alone (`#[cfg(test)]`): a test looks at a module from outside.
pub(crate) fn parse(text: &str) -> Block {
    let mut block = Block::default();
    Parser { tokens: tokens(&Source::of(text).code), at: 0 }.block(&mut block);
    block
}

#[derive(Debug)]
struct Token {
    line: usize,
    text: String,
}

/// Words, `::`, and other characters one by one.
fn tokens(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_word = |next: char| next.is_alphanumeric() || next == '_';
            let length = match first {
                ':' if rest.starts_with("::") => 2,
                first if is_word(first) => rest.find(|next| !is_word(next)).unwrap_or(rest.len()),
                first => first.len_utf8(),
            };
            if !first.is_whitespace() {
                tokens.push(Token { line: line + 1, text: rest[..length].to_owned() });
            }
            rest = &rest[length..];
        }
    }
    tokens
}

/// The words before the name of an item.
const ITEMS: [&str; 9] = ["struct", "enum", "union", "fn", "trait", "type", "const", "static", "macro_rules"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn is_word(&self, at: usize) -> bool {
        self.text(at).starts_with(|first: char| first.is_alphabetic() || first == '_')
    }

    /// Reads up to the brace that closes the module, or to the end of the file.
    fn block(&mut self, block: &mut Block) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                "}" if depth == 0 => return,
                "{" => depth += 1,
                "}" => depth -= 1,
                "#" if self.is_for_tests() => {
                    self.skip_item();
                    continue;
                }
                "mod" if self.is_word(self.at + 1) => {
                    self.module(block);
                    continue;
                }
                "use" if self.text(self.at.wrapping_sub(1)) != "+" && self.text(self.at + 1) != "<" => {
                    self.at += 1;
                    self.tree(&mut Vec::new(), &mut block.uses);
                    continue;
                }
                word if depth == 0 && ITEMS.contains(&word) => {
                    let name = self.at + if self.text(self.at + 1) == "!" { 2 } else { 1 };
                    block.items.insert(self.text(name).to_owned());
                }
                _ if self.begins_path() => {
                    self.path(block);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Whether an attribute begins here that leaves the next item out of every build but that of the unit tests.
    fn is_for_tests(&self) -> bool {
        let inside = ["#", "[", "cfg", "(", "test", ")", "]"];
        inside.iter().enumerate().all(|(offset, text)| self.text(self.at + offset) == *text)
    }

    /// Passes over an item with all its attributes.
    fn skip_item(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            let text = self.text(self.at);
            let is_end = depth == 0 && text == ";" || depth == 1 && text == "}";
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if is_end {
                return;
            }
        }
    }

    fn module(&mut self, block: &mut Block) {
        let name = self.text(self.at + 1).to_owned();
        self.at += 3;
        if self.text(self.at - 1) == "{" {
            let mut inner = Block::default();
            self.block(&mut inner);
            self.at += 1;
            block.blocks.insert(name, inner);
        } else {
            block.files.insert(name);
        }
    }

    /// Reads a tree of a `use` line, up to the `;`, the `,` or the brace that ends it.
    fn tree(&mut self, prefix: &mut Vec<String>, uses: &mut Vec<Use>) {
        let (begin, line) = (prefix.len(), self.tokens.get(self.at).map_or(0, |token| token.line));
        let mut name = None;
        let mut is_all = false;
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                ";" | "," | "}" => break,
                "::" => {}
                "*" => is_all = true,
                "as" => {
                    self.at += 1;
                    name = Some(self.text(self.at).to_owned());
                }
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.text(self.at) != "}" {
                        self.tree(prefix, uses);
                        self.at += usize::from(self.text(self.at) == ",");
                    }
                    self.at += 1;
                    prefix.truncate(begin);
                    return;
                }
                word => prefix.push(word.to_owned()),
            }
            self.at += 1;
        }
        let mut path = prefix.clone();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if path.len() > begin || is_all || prefix.len() > begin {
            let name = name.or_else(|| path.last().cloned()).filter(|_| !is_all);
            uses.push(Use { line, path, name });
        }
        prefix.truncate(begin);
    }

    fn begins_path(&self) -> bool {
        self.is_word(self.at)
            && self.text(self.at + 1) == "::"
            && self.at.checked_sub(1).is_none_or(|before| !["::", "."].contains(&self.text(before)))
    }

    fn path(&mut self, block: &mut Block) {
        let line = self.tokens[self.at].line;
        let mut path = vec![self.text(self.at).to_owned()];
        self.at += 1;
        while self.text(self.at) == "::" && self.is_word(self.at + 1) {
            path.push(self.text(self.at + 1).to_owned());
            self.at += 2;
        }
        block.paths.push(Use { line, path, name: None });
    }
}
