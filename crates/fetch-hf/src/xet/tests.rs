use super::*;

const SHORT: Duration = Duration::from_millis(50);

fn begun() -> (Arc<XetFileState>, Attempt) {
    let state = Arc::default();
    let attempt = XetFileState::attempt(&state, 0).unwrap();
    (state, attempt)
}

fn pieces(pieces: Vec<Result<&'static str, FetchError>>) -> ByteStream {
    Box::pin(stream::iter(pieces).map_ok(|piece| Bytes::from_static(piece.as_bytes())))
}

async fn check(given: ByteStream, expected: Result<&[u8], &str>) {
    let (state, attempt) = begun();
    let taken = watched(given, 4, SHORT, attempt).try_collect::<Vec<_>>().await;
    let taken = taken.map(|pieces| pieces.concat()).map_err(|error| error.to_string());
    assert_eq!(taken.as_deref(), expected.map_err(str::to_owned).as_ref().copied());
    let goes_on = XetFileState::attempt(&state, 4).is_some();
    assert_eq!(goes_on, expected.is_ok(), "a file that failed is not asked of Xet again");
}

#[tokio::test]
async fn a_file_that_fails_on_the_way_is_given_up() {
    let broken = || FetchError::new(FetchErrorKind::Unavailable, "Xet: broken");
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
    let (state, attempt) = begun();
    let mut taken = watched(pieces(vec![Ok("ab"), Ok("cd")]), 4, SHORT, attempt);
    assert!(taken.next().await.is_some());
    drop(taken);
    assert!(XetFileState::attempt(&state, 4).is_none());
    let state = Arc::default();
    XetFileState::attempt(&state, 0).unwrap().done();
    XetFileState::attempt(&state, 4).unwrap().done();
    assert!(XetFileState::attempt(&state, 0).is_none());
    assert!(XetFileState::attempt(&state, 8).is_none());
}

#[tokio::test]
async fn the_client_of_xet_is_told_what_to_hold_and_to_send_no_summary() {
    let session = Session::start(SHORT).await.unwrap();
    let config = session.xet.config();
    assert!(!config.telemetry.enabled);
    assert_eq!(u64::from(config.reconstruction.download_buffer_limit), MEMORY);
    assert_eq!(config.client.read_timeout, SHORT);
}

#[test]
fn the_client_of_xet_is_not_a_part_of_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let session = runtime.block_on(Session::start(SHORT)).unwrap();
    drop(runtime);
    // As part of a runtime, Xet's client refuses to work for callers without one.
    let group = session.xet.new_download_stream_group().unwrap().with_endpoint("http://127.0.0.1:1");
    group.build_blocking().unwrap();
}

#[test]
fn the_storage_of_a_public_hub_is_not_inside_of_a_network() {
    let public = Url::parse("https://hub").unwrap();
    let inside = Url::parse("https://10.0.0.1").unwrap();
    for place in ["https://169.254.169.254", "https://localhost.", "https://[::ffff:10.0.0.2]/cas"] {
        assert!(storage_address(&public, place).is_err(), "{place}");
        assert!(storage_address(&inside, place).is_ok(), "{place}");
    }
    assert!(storage_address(&inside, "https://cas").is_ok());
}

#[test]
fn the_storage_is_as_secure_as_the_hub() {
    let (secure, plain) = (Url::parse("https://hub").unwrap(), Url::parse("http://hub").unwrap());
    assert!(storage_address(&secure, "https://cas").is_ok());
    assert!(storage_address(&plain, "http://cas").is_ok());
    for refused in ["http://cas", "local:///etc", "memory://", "file:///etc", "https://a:b@cas", "cas", ""] {
        assert!(storage_address(&secure, refused).is_err(), "{refused}");
    }
}
