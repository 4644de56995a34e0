//! Writes and reads sizes as people do.

/// Returns a size in bytes as people read it, such as `19.53 KiB`: the largest power of 1024 that is not larger, with two digits
/// behind the point, rounded.
pub fn readable_size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let Some((unit, bits)) = UNITS.into_iter().find(|(_, bits)| bytes >> bits > 0) else {
        return format!("{bytes} B");
    };
    let scaled = u128::from(bytes) * 100;
    let (whole, rest, half) = (scaled >> bits, scaled & ((1 << bits) - 1), 1 << (bits - 1));
    // A half goes to the even neighbour, as in the formats of floating point numbers.
    let hundredths = if rest > half || (rest == half && whole % 2 == 1) { whole + 1 } else { whole };
    format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
}

/// The digits behind a point that a size may have.
const MAX_DECIMALS: usize = 9;
/// The least memory, in bytes, that a plain number may tell. A smaller number lacks its unit.
const LEAST_PLAIN_MEMORY: u64 = 1 << 20;
const FORM: &str = "a size is written 500K, 50M or 2GiB";

/// Reads a number of bytes, at least one: plain, or with K, M, G or T, and `i` for the powers of two, such as `24GiB`, `24.5GiB` or
/// `24 GiB`. It rounds down.
///
/// # Errors
/// What is wrong with the text, for a person.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[number.len()..].trim_end_matches(['b', 'B']).to_ascii_uppercase();
    // A space belongs to a unit.
    let number = if number.len() < text.len() { number.strip_suffix(' ').unwrap_or(number) } else { number };
    let scale: u64 = match unit.as_str() {
        "" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "KI" => 1 << 10,
        "MI" => 1 << 20,
        "GI" => 1 << 30,
        "TI" => 1 << 40,
        _ => return Err(FORM.to_owned()),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // There is no part of a byte.
    let is_cut = number.contains('.') && (scale == 1 || decimals.len() > MAX_DECIMALS);
    if !is_number(whole) || !is_number(decimals) || is_cut {
        return Err(FORM.to_owned());
    }
    let (number, units) = decimals
        .bytes()
        .fold((whole.parse::<u64>().ok().map(u128::from), 1u128), |(number, units), digit| {
            (number.map(|number| number * 10 + u128::from(digit - b'0')), units * 10)
        });
    let bytes = number.and_then(|number| u64::try_from(number.checked_mul(u128::from(scale))? / units).ok());
    match bytes {
        Some(0) => Err("it must be more than nothing".to_owned()),
        size => size.ok_or_else(|| "it is more than can be counted".to_owned()),
    }
}

/// Reads the memory of a card, in bytes: a size, as [`parse_size`] reads it. It refuses a plain number below 1 MiB, which lacks its
/// unit.
///
/// # Errors
/// What is wrong with the text, for a person.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text)?;
    if bytes < LEAST_PLAIN_MEMORY && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text} is a number of bytes: write the unit, such as `{text}GiB`"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_behind_the_point() {
        let check = |bytes: u64, expected: &str| assert_eq!(readable_size(bytes), expected);
        check(0, "0 B");
        check(1_023, "1023 B");
        check(1_024, "1.00 KiB");
        check(20_000, "19.53 KiB");
        check(64_128, "62.62 KiB");
        check(491_400_032, "468.64 MiB");
        check((1 << 40) - 1, "1024.00 GiB");
        check(1 << 40, "1.00 TiB");
        check(u64::MAX, "16777216.00 TiB");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, expected: u64| assert_eq!(parse_size(text), Ok(expected), "{text}");
        check("7", 7);
        check("500K", 500_000);
        check("24 GiB", 24 << 30);
        check("24.5GiB", 49 << 29);
        check("24.25 gib", 97 << 28);
        check("1.999999999K", 1999);
        check(
            "16777215.999999999TiB",
            u64::try_from(16_777_215_999_999_999u128 * (1 << 40) / 1_000_000_000).unwrap(),
        );
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        let check = |text: &str, says: &str| {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        };
        for text in [
            "",
            "G",
            " 5G",
            "5  G",
            "5 ",
            "5 5G",
            "+5G",
            "-5G",
            "5.G",
            ".5G",
            "1.5",
            "1.5B",
            "1.5.5G",
            "1,5G",
            "5X",
            "1.0000000001G",
            "٣G",
        ] {
            check(text, "500K");
        }
        for text in ["0", "0.0G", "0.0001K"] {
            check(text, "more than nothing");
        }
        for text in ["18446744073709551616", "16777216TiB", &"9".repeat(300)] {
            check(text, "more than can be counted");
        }
    }

    #[test]
    fn the_memory_of_a_card_has_a_unit() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(parse_memory(text).ok(), expected, "{text}");
        check("24", None);
        check("1048575", None);
        check("1048576", Some(1 << 20));
        check("24K", Some(24_000));
        check("24B", Some(24));
        assert!(parse_memory("24").unwrap_err().contains("`24GiB`"));
    }
}
