//! Reads the names of files in a statement.

/// The longest name, in bytes.
const MAX_BYTES: usize = 4096;

/// Returns whether a name is a path that stays below the model: with `/` between components, none of which is empty, `.` or `..`.
pub(super) fn is_safe(name: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    name.len() <= MAX_BYTES && !name.contains(['\0', '\\']) && name.split('/').all(is_plain)
}

/// Splits the name of a piece, `<path>:<begin>:<end>`, at its last two colons: a path may have some too.
pub(super) fn split_range(name: &str) -> Option<(&str, u64, u64)> {
    let (rest, end) = name.rsplit_once(':')?;
    let (path, begin) = rest.rsplit_once(':')?;
    let number = |text: &str| {
        let is_plain =
            text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if is_plain { text.parse().ok() } else { None }
    };
    Some((path, number(begin)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_the_model() {
        for good in ["a", "a/b.json", "...", "a b/ü:1", ".gitignore"] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["", ".", "..", "/a", "a/", "a//b", "a/../b", "./a", "a\\b", "a\0b", &"x".repeat(4097)] {
            assert!(!is_safe(bad), "{bad:.80}");
        }
    }

    #[test]
    fn a_piece_is_told_by_the_last_two_numbers() {
        assert_eq!(split_range("a:b:0:3"), Some(("a:b", 0, 3)));
        assert_eq!(split_range("a:10:20:30"), Some(("a:10", 20, 30)));
        for bad in ["a", "a:1", "a:x:1", "a:1:x", "a::1", "a:01:2", "a:+1:2", "a:0:99999999999999999999"] {
            assert_eq!(split_range(bad), None, "{bad}");
        }
    }
}
