//! Writes and reads sizes as people do.

/// Returns a size in bytes as people read it, such as `19 KiB`: at least two digits past the first unit, rounded down.
pub fn readable_size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 10 * 1024 {
            break;
        }
        (value, unit) = (value / 1024, next);
    }
    format!("{value} {unit}")
}

/// Reads a number of bytes, at least one: plain, or with K, M, G or T, and `i` for the powers of two, such as `24GiB`.
///
/// # Errors
/// What is wrong with the text, for a person.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim_end_matches(['b', 'B']).to_ascii_uppercase();
    let scale = match unit.as_str() {
        "" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "KI" => 1 << 10,
        "MI" => 1 << 20,
        "GI" => 1 << 30,
        "TI" => 1 << 40,
        _ => return Err("a size is written 500K, 50M or 2GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is written 500K, 50M or 2GiB".to_owned())?;
    match number.checked_mul(scale) {
        Some(0) => Err("it must be more than nothing".to_owned()),
        size => size.ok_or_else(|| "it is more than can be counted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_two_digits() {
        let check = |bytes: u64, expected: &str| assert_eq!(readable_size(bytes), expected);
        check(0, "0 B");
        check(10_239, "10239 B");
        check(10_240, "10 KiB");
        check(20_000, "19 KiB");
        check(1 << 40, "1024 GiB");
        check(u64::MAX, "16777215 TiB");
    }
}
