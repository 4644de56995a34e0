use serde_json::{Value, json};

use super::*;

fn terms(answer: Value, length: u64) -> Result<Vec<Term>, &'static str> {
    terms_of(serde_json::from_value(answer).unwrap(), length, &Url::parse("https://cas").unwrap())
}

/// Returns an answer with two terms of one xorb and one of another. The first 5 bytes are before the range.
fn answer() -> Value {
    let section = |chunks: Range<u32>, url: &str, first: u64, last: u64| json!({ "range": chunks, "url": url, "url_range": { "start": first, "end": last } });
    json!({
        "offset_into_first_range": 5,
        "terms": [
            { "hash": "a", "unpacked_length": 30, "range": { "start": 4, "end": 6 } },
            { "hash": "b", "unpacked_length": 40, "range": { "start": 0, "end": 1 } },
            { "hash": "a", "unpacked_length": 50, "range": { "start": 6, "end": 9 } },
        ],
        "fetch_info": {
            "a": [section(1..2, "https://cdn/a?sign=1", 0, 9), section(4..9, "https://cdn/a?sign=2", 100, 199)],
            "b": [section(0..1, "https://cdn/b", 7, 7)],
        },
    })
}

#[test]
fn an_answer_says_where_the_bytes_of_a_range_are() {
    let terms = terms(answer(), 70).unwrap();
    let told: Vec<_> = terms
        .iter()
        .map(|term| {
            (
                term.section.url.as_str(),
                term.section.range.clone(),
                term.chunks.clone(),
                term.before,
                term.bytes,
            )
        })
        .collect();
    let expected = [
        ("https://cdn/a?sign=2", 100..200, 4..6, 5, 25),
        ("https://cdn/b", 7..8, 0..1, 0, 40),
        // The range ends within it.
        ("https://cdn/a?sign=2", 100..200, 6..9, 0, 5),
    ];
    assert_eq!(told, expected);
    assert!(Arc::ptr_eq(&terms[0].section, &terms[2].section), "it is asked for once");
    assert_eq!(terms[2].section.first_chunk, 4);
}

#[test]
fn an_answer_says_where_xorbs_begin() {
    let begins =
        |answer: Value, length: u64| boundaries(&terms(answer, length).unwrap(), 1000).collect::<Vec<_>>();
    assert_eq!(begins(answer(), 70), [1025, 1065]);
    assert_eq!(begins(answer(), 115), [1025, 1065], "the end of the answer is none");
    let mut of_one = answer();
    of_one["terms"].as_array_mut().unwrap().remove(1);
    assert_eq!(begins(of_one, 75), [0; 0], "both terms are of one xorb");
}

#[test]
fn an_answer_that_makes_no_sense_is_refused() {
    let check = |place: &str, value: Value, expected: &str| {
        let mut answer = answer();
        *answer.pointer_mut(place).unwrap() = value;
        assert_eq!(terms(answer, 70).unwrap_err(), expected, "{place}");
    };
    check("/offset_into_first_range", json!(31), "its first term ends before the range");
    check("/terms/1/hash", json!("c"), "it does not say where a term is");
    check("/terms/2/range/end", json!(10), "it does not say where a term is");
    check("/terms/0/range/start", json!(3), "it does not say where a term is");
    check("/fetch_info/b/0/url_range/start", json!(8), "a section has no bytes");
    check("/fetch_info/b/0/url_range/end", json!(u64::MAX), "a section has no bytes");
    check("/fetch_info/b/0/url", json!("http://cdn/b"), "its storage is not at an https: address");
}

#[test]
fn an_answer_that_names_too_many_chunks_is_refused() {
    let check = |place: &str, count: usize, expected: Result<(), &'static str>| {
        let mut answer = answer();
        let listed = answer.pointer_mut(place).unwrap().as_array_mut().unwrap();
        let one = listed[0].clone();
        listed.resize(count, one);
        assert_eq!(terms(answer, 70).map(|_| ()), expected, "{place}: {count}");
    };
    let refused = Err("its answer names too many chunks");
    check("/terms", MOST, Ok(()));
    check("/terms", MOST + 1, refused);
    // The other xorb has two.
    check("/fetch_info/b", MOST - 2, Ok(()));
    check("/fetch_info/b", MOST - 1, refused);
}
