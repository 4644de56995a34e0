//! Reads the header that says where the next page is (RFC 8288, section 3).

/// Says that a header is not a list of links: the client must not guess whether there is a next page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidLinks;

/// Returns the address of the first link with the relation `next`, of all headers; `None` where there is none.
pub(crate) fn next_page<'a>(
    headers: impl Iterator<Item = Option<&'a str>>,
) -> Result<Option<String>, InvalidLinks> {
    let mut found = None;
    for header in headers {
        let mut rest = header.ok_or(InvalidLinks)?.trim_start_matches(is_between);
        while !rest.is_empty() {
            let (link, after) = Link::read(rest).ok_or(InvalidLinks)?;
            if link.is_next && found.is_none() {
                found = Some(link.address.to_owned());
            }
            rest = after.trim_start_matches(is_between);
        }
    }
    Ok(found)
}

fn is_between(c: char) -> bool {
    c == ',' || is_blank(c)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

struct Link<'a> {
    address: &'a str,
    is_next: bool,
}

impl<'a> Link<'a> {
    /// Reads `<address>; name=value; …`, and returns the text behind it.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (address, mut rest) = text.strip_prefix('<')?.split_once('>')?;
        let mut relations: Option<String> = None;
        loop {
            rest = rest.trim_start_matches(is_blank);
            let Some(parameter) = rest.strip_prefix(';') else { break };
            let (name, value, after) = parameter_of(parameter.trim_start_matches(is_blank))?;
            // Of several, the first counts.
            if name.eq_ignore_ascii_case("rel") && relations.is_none() {
                relations = Some(value);
            }
            rest = after;
        }
        let is_next = relations
            .unwrap_or_default()
            .split_ascii_whitespace()
            .any(|rel| rel.eq_ignore_ascii_case("next"));
        (rest.is_empty() || rest.starts_with(',')).then_some((Self { address, is_next }, rest))
    }
}

/// Reads `name`, `name=token` or `name="text"`.
fn parameter_of(text: &str) -> Option<(&str, String, &str)> {
    let end = text.find(|c: char| is_between(c) || c == ';' || c == '=').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.trim_start_matches(is_blank).strip_prefix('=') else {
        return Some((name, String::new(), rest));
    };
    let value = value.trim_start_matches(is_blank);
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find(|c: char| is_between(c) || c == ';').unwrap_or(value.len());
        let (value, rest) = value.split_at(end);
        return Some((name, value.to_owned(), rest));
    };
    let (mut text, mut is_escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !is_escaped => return Some((name, text, &quoted[at + 1..])),
            '\\' if !is_escaped => is_escaped = true,
            c => {
                is_escaped = false;
                text.push(c);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_however_it_is_written() {
        let check = |headers: &[&str], expected: Result<Option<&str>, InvalidLinks>| {
            let found = next_page(headers.iter().map(|header| Some(*header)));
            assert_eq!(
                found.as_ref().map(Option::as_deref),
                expected.as_ref().map(|found| *found),
                "{headers:?}"
            );
        };
        check(&[], Ok(None));
        check(&["<https://h/x?cursor=1>; rel=\"next\""], Ok(Some("https://h/x?cursor=1")));
        check(&["</a>; rel=\"prev\"", "</b>; rel=\"next\""], Ok(Some("/b")));
        check(&["</a>;rel=next"], Ok(Some("/a")));
        check(&["</a>; REL = \"next\""], Ok(Some("/a")));
        check(&["</a?x=1,2>; rel=\"next\""], Ok(Some("/a?x=1,2")));
        check(&["</a>; title=\"a, \\\"b\"; rel=\"last next\""], Ok(Some("/a")));
        check(&["</a>; rel=prev , </b>; crossorigin; rel=next"], Ok(Some("/b")));
        check(&["</a>; rel=prev; rel=next"], Ok(None));
        check(&["</next>; rel=\"nextpage\""], Ok(None));
        for nonsense in ["/a; rel=next", "</a; rel=next", "</a> rel=next", "</a>; rel=\"next"] {
            check(&[nonsense], Err(InvalidLinks));
        }
        assert_eq!(next_page([None].into_iter()), Err(InvalidLinks));
    }
}
