use super::{
    ranges::{FIRST_RANGE, LONGEST_RANGE, SHORTEST_RANGE},
    *,
};

const SHORT: Duration = Duration::from_millis(50);

fn listing() -> Arc<XetCommit> {
    XetCommit::new(Url::parse("https://hub/token").unwrap())
}

fn listed_in(commit: &Arc<XetCommit>) -> Arc<XetFile> {
    Arc::new(XetFile::new("hash".to_owned(), 8, commit))
}

fn begun() -> (Arc<XetFile>, Attempt) {
    let file = listed_in(&listing());
    let attempt = XetFile::attempt(&file, 0).unwrap();
    (file, attempt)
}

fn range_length() -> Arc<RangeLength> {
    Xet::new(SHORT).range_length
}

fn busy(retry_after: Option<Duration>) -> FetchError {
    FetchError { retry_after, ..FetchError::new(FetchErrorKind::RateLimited, "busy") }
}

fn pieces(pieces: Vec<Result<&'static str, FetchError>>) -> ByteStream {
    Box::pin(stream::iter(pieces).map_ok(|piece| Bytes::from_static(piece.as_bytes())))
}

async fn check(given: ByteStream, expected: Result<&[u8], &str>) {
    let (file, attempt) = begun();
    let taken = watched(given, 4, SHORT, attempt, &range_length()).try_collect::<Vec<_>>().await;
    let taken = taken.map(|pieces| pieces.concat()).map_err(|error| error.to_string());
    assert_eq!(taken.as_deref(), expected.map_err(str::to_owned).as_ref().copied());
    let goes_on = XetFile::attempt(&file, 4).is_some();
    assert_eq!(goes_on, expected.is_ok(), "a file that failed is not asked of Xet again");
}

#[tokio::test]
async fn a_file_that_fails_on_the_way_is_given_up() {
    let broken = || unavailable("broken");
    check(pieces(vec![Ok("ab"), Ok("cd")]), Ok(b"abcd")).await;
    check(pieces(vec![Ok("ab"), Err(broken())]), Err("Xet: broken")).await;
    check(pieces(vec![Ok("ab")]), Err("Xet: the bytes end early")).await;
    check(
        pieces(vec![Ok("ab"), Ok("cde")]),
        Err("Xet: the storage sent more bytes than the request was for"),
    )
    .await;
    let silent = pieces(vec![Ok("ab")]).chain(stream::pending());
    check(Box::pin(silent), Err("Xet: too few bytes come")).await;
    let drips = pieces(["a", "b", "c", "d"].map(Ok).into()).then(async |piece| {
        tokio::time::sleep(SHORT / 2).await;
        piece
    });
    check(Box::pin(drips), Err("Xet: too few bytes come")).await;
}

#[tokio::test]
async fn what_is_dropped_or_asked_for_twice_is_given_up() {
    let (file, attempt) = begun();
    let mut taken = watched(pieces(vec![Ok("ab"), Ok("cd")]), 4, SHORT, attempt, &range_length());
    assert!(taken.next().await.is_some());
    drop(taken);
    assert!(XetFile::attempt(&file, 4).is_none());
    let file = listed_in(&listing());
    XetFile::attempt(&file, 0).unwrap().done(4);
    XetFile::attempt(&file, 4).unwrap().done(4);
    assert!(XetFile::attempt(&file, 0).is_none());
    assert!(XetFile::attempt(&file, 8).is_none());
    // Another process has brought what is before.
    let file = listed_in(&listing());
    XetFile::attempt(&file, 4).unwrap().done(2);
    XetFile::attempt(&file, 6).unwrap().done(2);
    assert!(XetFile::attempt(&file, 0).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_range_is_as_long_as_what_a_connection_brings_in_two_seconds() {
    let mib = |n: u64| n << 20;
    let check = async |length: u64, piece_ms: u64, expected: u64| {
        let (range_length, (_, attempt)) = (range_length(), begun());
        let count = length.div_ceil(mib(1));
        let pieces = stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(piece_ms)).await;
            Ok(Bytes::from(vec![0; 1 << 20]))
        });
        let mut taken = watched(Box::pin(pieces), length, Duration::from_secs(30), attempt, &range_length);
        while taken.try_next().await.unwrap().is_some() {
            // The time that the caller takes does not count.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(range_length.bytes(), expected, "{length} {piece_ms}");
    };
    check(mib(64), 50, mib(40)).await;
    check(mib(16), 100, mib(20)).await;
    check(mib(16), 500, SHORTEST_RANGE).await;
    check(mib(64), 1, LONGEST_RANGE).await;
    check(mib(15), 500, FIRST_RANGE).await;
}

#[test]
fn a_pause_and_a_policy_concern_all_files_of_a_listing_and_no_request_of_plain_http() {
    let check = |error: FetchError, expected: bool| {
        let commit = listing();
        let (file, other) = (listed_in(&commit), listed_in(&commit));
        let error = file.failed(error);
        assert_eq!((error.kind, error.retry_after), (FetchErrorKind::Unavailable, None));
        assert!(file.is_given_up());
        assert_eq!(other.is_given_up(), expected, "{error}");
    };
    check(unavailable("broken"), false);
    check(busy(None), true);
    check(busy(Some(SHORT)), true);
    check(FetchError::new(FetchErrorKind::Denied, "the policy does not allow the host"), true);
}

#[tokio::test]
async fn a_pause_on_the_way_concerns_all_files_of_a_listing_and_no_request_of_plain_http() {
    let (file, attempt) = begun();
    let taken = watched(pieces(vec![Ok("ab"), Err(busy(Some(SHORT)))]), 4, SHORT, attempt, &range_length());
    assert_eq!(taken.try_collect::<Vec<_>>().await.unwrap_err().retry_after, None);
    assert!(listed_in(&file.commit).is_given_up());
}

#[test]
fn a_listing_is_given_up_after_three_files_without_a_complete_one_between_them() {
    let commit = listing();
    let complete = || XetFile::attempt(&listed_in(&commit), 0).map(|attempt| attempt.done(8)).is_some();
    let failed = || {
        let file = listed_in(&commit);
        // Each of them is dropped before its end.
        let ranges = [0, 1, 2, 3].map(|start| XetFile::attempt(&file, start));
        ranges.iter().all(Option::is_some)
    };
    assert!(failed() && failed() && complete());
    assert!(failed() && failed() && complete(), "a file counts once, whatever fails of it");
    let on_its_way = XetFile::attempt(&listed_in(&commit), 0).unwrap();
    assert!(failed() && failed() && failed());
    on_its_way.done(8);
    assert!(!complete(), "a file that was on its way changes nothing");
    assert!(listed_in(&commit).is_given_up());
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_after_the_first_range_of_each_file_is_given_up() {
    let (commit, range_length) = (listing(), range_length());
    let comes = async |file: &Arc<XetFile>, start, given: ByteStream| {
        let attempt = XetFile::attempt(file, start).unwrap();
        watched(given, 4, SHORT, attempt, &range_length).try_collect::<Vec<_>>().await.is_ok()
    };
    let hangs = async || {
        let file = listed_in(&commit);
        assert!(comes(&file, 0, pieces(vec![Ok("abcd")])).await);
        assert!(!comes(&file, 4, Box::pin(stream::pending())).await);
    };
    let is_given_up = || commit.is_given_up.load(Ordering::Relaxed);
    hangs().await;
    hangs().await;
    let whole = listed_in(&commit);
    assert!(comes(&whole, 0, pieces(vec![Ok("abcd")])).await);
    assert!(comes(&whole, 4, pieces(vec![Ok("efgh")])).await);
    let begin = Instant::now();
    // Files that are on their way together wait together.
    tokio::join!(hangs(), hangs());
    assert!(!is_given_up(), "the whole file begins the count anew");
    hangs().await;
    assert!(is_given_up());
    assert_eq!(begin.elapsed().as_millis(), 2 * SHORT.as_millis());
}
