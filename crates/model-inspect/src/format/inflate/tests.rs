//! Compares the inflater with another one.

use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};
use proptest::prelude::*;

use super::*;

/// How many bytes a test inflates at the most.
const MOST: usize = 1 << 17;

/// Compressed by Python's `zlib.compressobj(9, zlib.DEFLATED, -15)`: a fixed block, and one with tables of its own.
const FIXED: &str = "4b4c4a4e494bcfc82c2a2e292d2baf480400";
const OF_ITS_OWN: &str = "158ec101c0300802576104516b74ffc50a2f1205bc00d13870901f6ad087692cc10830a5dddaca71b2c8939f740f952dbfd2f2754bb7f1\
    e5e17b83916fa44fffa7f96a7ff2ddb85741861a4855d19d4c95b37ca57deef3dd31c098e48988db661061862968e28c435634b2832253\
    22c7afe7d97a7bf29513a57e438bbcd457bdfc01";

#[test]
fn what_another_program_deflated_is_inflated() {
    let stream = hex(FIXED);
    let check = |stream: &[u8], most, expected: &str| {
        let found = beginning(stream, most).unwrap();
        assert_eq!((String::from_utf8(found.bytes).unwrap().as_str(), found.hides), (expected, false));
    };
    check(&stream, 100, "abcdfghirstuvwxa");
    check(&stream, 5, "abcdf");
    check(&stream[..4], 100, "abc");
    assert_eq!(beginning(&[7, 0], 100), None);
    let squares: Vec<_> = (0..60).map(|number: u32| (number * number).to_string()).collect();
    check(&hex(OF_ITS_OWN), 1000, &squares.join(" "));
}

#[test]
fn a_stream_that_hides_what_follows_is_told() {
    let hides = |stream: &[u8]| beginning(stream, 100).unwrap().hides;
    let empty_block = [0, 0, 0, 0xff, 0xff];
    assert!(hides(&empty_block.repeat(200)) && !hides(&empty_block.repeat(20)));
    let checked = |behind: usize| [hex(FIXED), vec![0; behind]].concat();
    assert!(hides(&checked(9)) && !hides(&checked(8)));
}

/// Returns the bytes alone that a stream begins with.
fn inflated(stream: &[u8], most: usize) -> Option<Vec<u8>> {
    beginning(stream, most).map(|found| found.bytes)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().map(|digit| char::from(digit).to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Returns bytes as files have them: runs, repetitions from far back, and bytes of any value.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (any::<u8>(), 1..12_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        proptest::collection::vec(any::<u8>(), 1..600),
        proptest::collection::vec(97..101_u8, 1..600),
    ];
    let parts = proptest::collection::vec(part, 1..8);
    parts.prop_map(|parts| {
        let mut bytes = parts.concat();
        // Behind long runs, the first part is far enough back for the longest distances.
        bytes.extend_from_slice(&parts[0]);
        bytes
    })
}

proptest! {
    /// Level 0 stores, and the strategies of the others make blocks of each kind.
    #[test]
    fn what_any_level_deflates_is_inflated(bytes in contents(), level in 0..=10_u8, most in 0..MOST, cut in 0..=100_usize) {
        let stream = compress_to_vec(&bytes, level);
        let whole = inflated(&stream, MOST);
        prop_assert_eq!(whole.as_deref(), Some(&bytes[..bytes.len().min(MOST)]));
        let some = inflated(&stream, most);
        prop_assert_eq!(some.as_deref(), Some(&bytes[..bytes.len().min(most)]));
        let begun = inflated(&stream[..stream.len() * cut / 100], MOST).unwrap();
        prop_assert!(bytes.starts_with(&begun), "a stream that is cut off begins alike");
    }

    /// What another program takes for a stream, this does too, with the same bytes: no stream hides from the one and not from the
    /// other.
    #[test]
    fn a_changed_stream_is_read_as_another_program_reads_it(
        bytes in contents(),
        level in 0..=10_u8,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut stream = compress_to_vec(&bytes, level);
        for (at, value) in changes {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        agree(&stream)?;
    }

    #[test]
    fn any_bytes_are_read_as_another_program_reads_them(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        agree(&bytes)?;
    }
}

/// Fails where the other program takes a stream and this one reads it otherwise. Of a stream that it refuses, that program tells nothing.
fn agree(stream: &[u8]) -> Result<(), TestCaseError> {
    let ours = inflated(stream, MOST);
    match decompress_to_vec_with_limit(stream, MOST) {
        Ok(whole) => prop_assert_eq!(ours.as_deref(), Some(whole.as_slice())),
        Err(_) => prop_assert!(ours.is_none_or(|begun| begun.len() <= MOST)),
    }
    Ok(())
}
