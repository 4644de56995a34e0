use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt};
use source_http::Url;

use super::*;

/// A storage of sections, in which chunk `n` has four bytes of the value `n`.
#[derive(Clone, Default)]
struct FakeStorage {
    /// The first chunks of the sections that were opened.
    opened: Arc<Mutex<Vec<u32>>>,
    /// How many streams break after two chunks.
    breaks: Arc<AtomicUsize>,
}

impl FakeStorage {
    fn fetch(&self, terms: Vec<Term>) -> ByteStream {
        let storage = self.clone();
        fetch(terms, move |section| {
            let storage = storage.clone();
            async move { Ok(storage.open(&section)) }
        })
    }

    fn open(&self, section: &Section) -> ByteStream {
        self.opened.lock().unwrap().push(section.first_chunk);
        let chunks = (section.first_chunk..).take(usize::try_from(section.len() / 12).unwrap());
        let chunks = stream::iter(chunks.map(|number| {
            let byte = u8::try_from(number).unwrap();
            Ok(Bytes::from([&[0, 4, 0, 0, 0, 4, 0, 0][..], &[byte; 4]].concat()))
        }));
        let one_less = |left: usize| left.checked_sub(1);
        if self.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            let broken = stream::iter([Err(unavailable("it broke"))]);
            return Box::pin(chunks.take(2).chain(broken));
        }
        Box::pin(chunks)
    }

    fn opened(&self) -> Vec<u32> {
        self.opened.lock().unwrap().clone()
    }
}

/// Returns a section with these chunks.
fn section(chunks: Range<u32>) -> Arc<Section> {
    let range = 0..u64::from(chunks.end - chunks.start) * 12;
    Arc::new(Section { url: Url::parse("https://cdn/xorb").unwrap(), range, first_chunk: chunks.start })
}

fn term(section: &Arc<Section>, chunks: Range<u32>) -> Term {
    let bytes = u64::from(chunks.end - chunks.start) * 4;
    Term { section: Arc::clone(section), chunks, before: 0, bytes }
}

async fn bytes(stream: ByteStream) -> Result<Vec<u8>, String> {
    let pieces = stream.try_collect::<Vec<_>>().await;
    pieces.map(|pieces| pieces.concat()).map_err(|error| error.message)
}

/// Returns four bytes of each value.
fn fours(values: impl IntoIterator<Item = u8>) -> Vec<u8> {
    values.into_iter().flat_map(|value| [value; 4]).collect()
}

#[tokio::test]
async fn a_section_of_several_terms_comes_once() {
    let (storage, one, other) = (FakeStorage::default(), section(10..20), section(50..52));
    let terms = vec![
        term(&one, 11..13),
        term(&other, 50..51),
        term(&one, 13..14),
        term(&other, 51..52),
        term(&one, 16..20),
    ];
    let expected = fours([11, 12, 50, 13, 51, 16, 17, 18, 19]);
    assert_eq!(bytes(storage.fetch(terms)).await, Ok(expected));
    assert_eq!(storage.opened(), [10, 50]);
}

#[tokio::test]
async fn a_range_begins_and_ends_within_a_chunk() {
    let (storage, section) = (FakeStorage::default(), section(0..4));
    let terms = vec![Term { section, chunks: 0..4, before: 5, bytes: 8 }];
    assert_eq!(bytes(storage.fetch(terms)).await, Ok(fours(1..4)[1..9].to_vec()));
    let few = Term { section: self::section(0..2), chunks: 0..1, before: 0, bytes: 5 };
    assert_eq!(bytes(storage.fetch(vec![few])).await, Err("Xet: a term has too few bytes".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_goes_on_with_the_next_chunk() {
    let (storage, section) = (FakeStorage::default(), section(0..6));
    storage.breaks.store(RETRIES, Ordering::Relaxed);
    assert_eq!(bytes(storage.fetch(vec![term(&section, 0..6)])).await, Ok(fours(0..6)));
    assert_eq!(storage.opened(), [0, 0, 0]);
    storage.breaks.store(RETRIES + 1, Ordering::Relaxed);
    let mut stream = storage.fetch(vec![term(&section, 0..6)]);
    let came: Vec<_> = stream.by_ref().take(2).try_collect().await.unwrap();
    assert_eq!(came.concat(), fours(0..2));
    assert_eq!(stream.try_next().await.unwrap_err().message, "Xet: it broke");
}

#[tokio::test]
async fn a_section_whose_terms_are_in_no_order_comes_again_within_a_budget() {
    let (storage, small) = (FakeStorage::default(), section(0..3));
    let terms = vec![term(&small, 2..3), term(&small, 0..1), term(&small, 1..2)];
    assert_eq!(bytes(storage.fetch(terms)).await, Ok(fours([2, 0, 1])));
    assert_eq!(storage.opened(), [0, 0]);
    let large = Section { range: 0..MARGIN, ..Arc::try_unwrap(section(0..3)).unwrap() };
    let large = Arc::new(large);
    let terms = vec![term(&large, 0..1), term(&large, 0..1)];
    let too_much = Err("Xet: the storage sends too much for the range".to_owned());
    assert_eq!(bytes(FakeStorage::default().fetch(terms)).await, too_much);
}

#[tokio::test]
async fn few_streams_wait_for_a_later_term() {
    let storage = FakeStorage::default();
    let sections: Vec<_> = (0..20).map(|n| section(n * 2..n * 2 + 2)).collect();
    let nth = |second: u32| {
        sections
            .iter()
            .map(move |section| term(section, section.first_chunk + second..section.first_chunk + second + 1))
    };
    let terms: Vec<_> = nth(0).chain(nth(1)).collect();
    let expected = fours((0..20).map(|n| n * 2).chain((0..20).map(|n| n * 2 + 1)));
    assert_eq!(bytes(storage.fetch(terms)).await, Ok(expected));
    assert_eq!(storage.opened().len(), 40 - MAX_WAITING);
}
