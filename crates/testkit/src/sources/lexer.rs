//! Tells code, comments and literals of Rust apart, by the rules of the language's reference (chapter "Lexical structure").

/// Says what a piece of a Rust file's prose is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProseKind {
    /// A comment that explains the code: `//` or `/*`.
    Comment,
    /// Documentation of the item that follows: `///` or `/**`.
    Doc,
    /// Documentation of the file or the item around it: `//!` or `/*!`.
    InnerDoc,
    /// The content of a string literal.
    Literal,
}

/// A comment or a string literal of a Rust file: one line of a line comment, or the whole of anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prose {
    /// Says whether it is a comment, documentation or a literal.
    pub kind: ProseKind,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// The text without the marks around it.
    pub text: String,
}

/// Splits a text into its code, with spaces for the rest, and its prose.
pub(super) fn split(text: &str) -> (String, Vec<Prose>) {
    let mut lexer =
        Lexer { chars: text.chars().collect(), at: 0, line: 1, code: String::new(), prose: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    (lexer.code, lexer.prose)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    prose: Vec<Prose>,
}

impl Lexer {
    fn step(&mut self) {
        let rest = &self.chars[self.at..];
        match rest {
            ['/', '/', ..] => self.line_comment(),
            ['/', '*', ..] => self.block_comment(),
            ['"', ..] => self.string(),
            ['\'', ..] => self.quote(),
            ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if !self.is_in_word() => self.raw_string(),
            _ => self.keep(1),
        }
    }

    /// Whether the character before this one belongs to the same word.
    fn is_in_word(&self) -> bool {
        let before = self.at.checked_sub(1).map(|before| self.chars[before]);
        before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    }

    /// Takes characters over into the code.
    fn keep(&mut self, count: usize) {
        for _ in 0..count.min(self.chars.len() - self.at) {
            let next = self.chars[self.at];
            self.code.push(next);
            self.line += usize::from(next == '\n');
            self.at += 1;
        }
    }

    /// Puts spaces into the code up to that place, and returns what stood there.
    fn blank(&mut self, end: usize) -> String {
        let end = end.min(self.chars.len());
        let text: String = self.chars[self.at..end].iter().collect();
        for next in text.chars() {
            self.code.push(if next == '\n' { '\n' } else { ' ' });
            self.line += usize::from(next == '\n');
        }
        self.at = end;
        text
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let length = self.chars[self.at..].iter().take_while(|next| **next != '\n').count();
        let text = self.blank(self.at + length);
        let (kind, marks) = match text.as_bytes() {
            [b'/', b'/', b'/', b'/', ..] => (ProseKind::Comment, 4),
            [b'/', b'/', b'/', ..] => (ProseKind::Doc, 3),
            [b'/', b'/', b'!', ..] => (ProseKind::InnerDoc, 3),
            _ => (ProseKind::Comment, 2),
        };
        self.prose.push(Prose { kind, line, text: text[marks..].to_owned() });
    }

    fn block_comment(&mut self) {
        let line = self.line;
        let (mut depth, mut end) = (0, self.at);
        while end < self.chars.len() {
            match self.chars[end..] {
                ['/', '*', ..] => (depth, end) = (depth + 1, end + 2),
                ['*', '/', ..] => (depth, end) = (depth - 1, end + 2),
                _ => end += 1,
            }
            if depth == 0 {
                break;
            }
        }
        let text = self.blank(end);
        let kind = match text.as_bytes() {
            [_, _, b'*', ..] => ProseKind::Doc,
            [_, _, b'!', ..] => ProseKind::InnerDoc,
            _ => ProseKind::Comment,
        };
        self.prose.push(Prose { kind, line, text: text.trim_matches(['/', '*', '!']).to_owned() });
    }

    fn string(&mut self) {
        self.keep(1);
        let mut end = self.at;
        while self.chars.get(end).is_some_and(|next| *next != '"') {
            end += if self.chars[end] == '\\' { 2 } else { 1 };
        }
        self.literal(end);
        self.keep(1);
    }

    fn raw_string(&mut self) {
        let start = self.chars[self.at..].iter().take_while(|next| **next != '"' && **next != '#').count();
        let hashes = self.chars[self.at + start..].iter().take_while(|next| **next == '#').count();
        if self.chars.get(self.at + start + hashes) != Some(&'"') {
            // A raw identifier.
            return self.keep(1);
        }
        self.keep(start + hashes + 1);
        let mut end = self.at;
        let closes = |end: usize| {
            let after = self.chars[end + 1..].iter().take_while(|next| **next == '#').count();
            self.chars[end] == '"' && after >= hashes
        };
        while end < self.chars.len() && !closes(end) {
            end += 1;
        }
        self.literal(end);
        self.keep(1 + hashes);
    }

    fn literal(&mut self, end: usize) {
        let line = self.line;
        let text = self.blank(end);
        self.prose.push(Prose { kind: ProseKind::Literal, line, text });
    }

    /// A character literal, or the mark of a lifetime.
    fn quote(&mut self) {
        let end = match self.chars[self.at + 1..] {
            ['\\', _, ..] => {
                let after = self.at + 3;
                self.chars[after..].iter().position(|next| *next == '\'').map(|length| after + length)
            }
            [_, '\'', ..] => Some(self.at + 2),
            _ => None,
        };
        self.keep(1);
        if let Some(end) = end {
            self.blank(end);
            self.keep(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    /// Compares the code that is left of a text, without its spaces, and the prose that was found.
    fn check(text: &str, code: &str, prose: &[&str]) {
        let (left, found) = split(text);
        assert_eq!(left.split_whitespace().collect::<String>(), code, "{text}");
        assert_eq!(found.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>(), prose, "{text}");
        assert_eq!(left.lines().count(), text.lines().count(), "{text}");
    }

    #[test]
    fn code_is_told_from_comments_and_literals() {
        check("a // b\nc", "ac", &[" b"]);
        check("/// a\n//! b\n//// c", "", &[" a", " b", " c"]);
        check("a /* b /* c */ d */ e", "ae", &[" b /* c */ d "]);
        check(r#"f("a \" // b") g"#, r#"f("")g"#, &[r#"a \" // b"#]);
        check("r#\"a \" b\"# c", "r#\"\"#c", &["a \" b"]);
        check("br\"a\\\" d", "br\"\"d", &["a\\"]);
        check("'\"' a '\\'' b '\\u{41}' 'x", "''a''b'''x", &[]);
        check("fn f<'a>(x: &'a str) {} \"b\"", "fnf<'a>(x:&'astr){}\"\"", &["b"]);
        check("r#type = 1; bar\"x\"", "r#type=1;bar\"\"", &["x"]);
        check("\"one\ntwo\" x", "\"\"x", &["one\ntwo"]);
    }
}
