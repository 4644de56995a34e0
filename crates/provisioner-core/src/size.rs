//! Writes sizes for people.

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
