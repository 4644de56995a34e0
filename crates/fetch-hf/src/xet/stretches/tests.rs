use std::{pin::pin, sync::Mutex, task::Poll};

use futures_util::poll;

use super::*;

/// The stretches that are asked of a storage.
type Asked = Arc<Mutex<Vec<Range<u64>>>>;

/// Returns the answer to a stretch, in pieces of so many bytes, each of which has the number of its MiB in the file.
fn answer(stretch: &Range<u64>, piece: u64) -> ByteStream {
    let Range { start, end } = *stretch;
    let starts = (0..(end - start).div_ceil(piece)).map(move |n| start + n * piece);
    let pieces = starts.map(move |at| {
        let (number, size) = (u8::try_from(at / MIB).unwrap(), usize::try_from(piece.min(end - at)).unwrap());
        Ok(Bytes::from(vec![number; size]))
    });
    Box::pin(stream::iter(pieces))
}

async fn fetched(stretches: &Arc<Stretches>, range: Range<u64>, piece: u64) -> (ByteStream, Asked) {
    let (asked, mut rest) = (Asked::default(), range);
    let first = stretches.first(&mut rest).await;
    let noted = Arc::clone(&asked);
    let open = move |stretch: Range<u64>| {
        let (opened, is_slow) = (answer(&stretch, piece), stretch.start < FIRST);
        noted.lock().unwrap().push(stretch);
        async move {
            // The next stretch overtakes the first one.
            if is_slow {
                tokio::task::yield_now().await;
            }
            Ok(opened)
        }
    };
    (fetch(first, rest, open), asked)
}

/// Returns how many bytes the stretches hold.
fn held_bytes(stretches: &Stretches) -> u64 {
    MEMORY - stretches.memory.available_permits() as u64 * 1024
}

#[tokio::test]
async fn a_range_is_fetched_whole_and_in_order() {
    let stretches = Stretches::new();
    for range in [0..1, 5..MIB, 3..FIRST + 3, 7..100 * MIB + 9] {
        let (stream, asked) = fetched(&stretches, range.clone(), 3 * MIB + 5).await;
        let pieces: Vec<_> =
            stream.map_ok(|piece| (piece[0], piece.len() as u64)).try_collect().await.unwrap();
        assert_eq!(pieces.iter().map(|(_, size)| size).sum::<u64>(), range.end - range.start);
        assert!(pieces.is_sorted_by_key(|(number, _)| number), "{pieces:?}");
        let asked = asked.lock().unwrap().clone();
        assert_eq!((asked[0].start, asked.last().unwrap().end), (range.start, range.end));
        assert!(asked.windows(2).all(|two| two[0].end == two[1].start), "{asked:?}");
        assert_eq!(held_bytes(&stretches), 0);
    }
}

#[tokio::test]
async fn a_stretch_gives_its_memory_back_with_its_last_byte() {
    let stretches = Stretches::new();
    let (mut stream, _) = fetched(&stretches, 0..FIRST, FIRST).await;
    assert_eq!(held_bytes(&stretches), FIRST);
    let pieces: Vec<_> = (&mut stream).try_collect().await.unwrap();
    drop(stream);
    assert_eq!(held_bytes(&stretches), FIRST, "the caller has its bytes");
    let last = pieces.last().unwrap().slice(..1);
    drop(pieces);
    assert_eq!(held_bytes(&stretches), FIRST, "a part of its bytes is the same memory");
    drop(last);
    assert_eq!(held_bytes(&stretches), 0);
}

#[tokio::test]
async fn few_bytes_hold_no_memory() {
    let stretches = Stretches::new();
    let (stream, _) = fetched(&stretches, 0..FIRST, FIRST - 100).await;
    let pieces: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(pieces.last().unwrap().len(), 100);
    let last = pieces.last().unwrap().clone();
    assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() >= FEW));
    drop(pieces);
    assert_eq!(held_bytes(&stretches), 0);
    drop(last);
}

#[tokio::test]
async fn stretches_wait_for_memory_and_no_longer() {
    let stretches = Stretches::new();
    let (ranges, mut waiting) = (MEMORY / FIRST, 0..FIRST);
    let mut taken = Vec::new();
    for n in 0..ranges {
        taken.push(fetched(&stretches, n * FIRST..(n + 1) * FIRST, FIRST).await.0);
    }
    let mut next = pin!(stretches.first(&mut waiting));
    assert!(poll!(&mut next).is_pending(), "all of the memory is taken");
    drop(taken.pop());
    assert!(matches!(poll!(&mut next), Poll::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn stretches_are_as_long_as_the_storage_is_fast() {
    let lengths = async |took: Duration, stretches: &Arc<Stretches>| {
        for _ in 0..8 {
            let mut range = 0..LONGEST * 2;
            let (stretch, share) = stretches.first(&mut range).await;
            let pieces = collect(answer(&stretch, FIRST), stretch.end, share).await.unwrap();
            tokio::time::sleep(took).await;
            drop(pieces);
        }
        stretches.length.load(Ordering::Relaxed)
    };
    let stretches = Stretches::new();
    assert_eq!(lengths(SOON * 2, &stretches).await, FIRST);
    assert_eq!(lengths(SOON / 2, &stretches).await, LONGEST);
    assert_eq!(lengths(SOON * 2, &stretches).await, LONGEST);
    assert_eq!(lengths(LATE * 2, &stretches).await, SHORTEST);
    // A stretch that was given up says nothing.
    drop(stretches.first(&mut (0..FIRST)).await);
    assert_eq!(stretches.length.load(Ordering::Relaxed), SHORTEST);
}

#[tokio::test]
async fn a_storage_that_sends_more_is_cut_off() {
    let stretches = Stretches::new();
    let mut range = 0..FIRST;
    let first = stretches.first(&mut range).await;
    let endless = |_| {
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless: ByteStream = Box::pin(stream::repeat_with(move || Ok(piece.clone())));
        std::future::ready(Ok(endless))
    };
    let error = fetch(first, range, endless).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.to_string(), "Xet: the storage sent more bytes than the request was for");
    assert_eq!(held_bytes(&stretches), 0);
}
