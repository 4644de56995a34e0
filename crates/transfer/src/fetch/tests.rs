use std::{
    collections::VecDeque,
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use provisioner_core::{
    ByteRange, ByteStream, FetchError, FetchErrorKind, Hint, Locator, Manifest, NoProgress, Opened,
    ResolveRequest,
};

use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::*;
use crate::{settings::Settings, transfer::Transfer};

/// Names what a source does wrong, and how often.
#[derive(Clone, Copy, Debug)]
enum Fault {
    CutAt(u64),
    Stall,
    Slow,
    Drip,
    DripWithoutRanges,
    Refuse(FetchErrorKind),
    Busy(Duration),
    NoRanges,
    FlipByteWithoutRanges,
    WrongRange,
    TooLong,
    FlipByte,
    OtherValidator,
    OtherSize,
}

/// A source of made-up bytes, which deals its faults one by one.
#[derive(Debug)]
struct Source {
    bytes: Vec<u8>,
    faults: Mutex<VecDeque<Fault>>,
    always: Option<Fault>,
    opened: Mutex<Vec<ByteRange>>,
    sent: AtomicU64,
    open_now: Arc<AtomicUsize>,
    open_at_most: AtomicUsize,
}

/// Counts an answer for as long as its stream lives.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    fn new(size: usize, faults: &[Fault]) -> Self {
        Self {
            bytes: (0..size).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect(),
            faults: Mutex::new(faults.iter().copied().collect()),
            always: None,
            opened: Mutex::default(),
            sent: AtomicU64::new(0),
            open_now: Arc::default(),
            open_at_most: AtomicUsize::new(0),
        }
    }

    fn always(size: usize, fault: Fault) -> Self {
        Self { always: Some(fault), ..Self::new(size, &[]) }
    }

    fn sha256(&self) -> Digest {
        Digest::sha256(Sha256::digest(&self.bytes).into())
    }

    fn file(&self) -> ManifestFile {
        ManifestFile {
            path: "model.gguf".parse().unwrap(),
            size: self.bytes.len() as u64,
            digest: Some(self.sha256()),
            locator: Locator::Streamed("".into()),
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ModelFetcher for Source {
    fn schemes(&self) -> &'static [&'static str] {
        &["test"]
    }

    async fn resolve(&self, _: &ResolveRequest) -> std::result::Result<Manifest, FetchError> {
        unreachable!("the file is listed already")
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> std::result::Result<Opened, FetchError> {
        self.opened.lock().unwrap().push(range);
        let now = self.open_now.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_at_most.fetch_max(now, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.open_now));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let fault = self.faults.lock().unwrap().pop_front().or(self.always);
        let mut range = range.start..range.end.unwrap_or(file.size);
        let mut total_size = Some(file.size);
        let mut validator = Some("one".to_owned());
        match fault {
            Some(Fault::Refuse(kind)) => return Err(FetchError::new(kind, "refused")),
            Some(Fault::Busy(asked)) => {
                let busy = FetchError::new(FetchErrorKind::RateLimited, "busy").with_hint("try later");
                return Err(FetchError { retry_after: Some(asked), ..busy });
            }
            Some(Fault::NoRanges | Fault::FlipByteWithoutRanges | Fault::DripWithoutRanges) => {
                range = 0..file.size;
            }
            Some(Fault::WrongRange) => range.start += 1,
            Some(Fault::OtherValidator) => validator = Some("two".to_owned()),
            Some(Fault::OtherSize) => total_size = Some(file.size + 1),
            _ => {}
        }
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        let mut bytes = self.bytes[start..end].to_vec();
        match fault {
            Some(Fault::CutAt(at)) => bytes.truncate(usize::try_from(at).unwrap()),
            Some(Fault::TooLong) => bytes.push(0),
            Some(Fault::FlipByte | Fault::FlipByteWithoutRanges) => bytes[0] ^= 1,
            _ => {}
        }
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let stream: ByteStream = match fault {
            Some(Fault::Stall) => Box::pin(stream::iter(pieces.into_iter().take(1)).chain(stream::pending())),
            Some(Fault::Slow) => Box::pin(stream::iter(pieces).then(slowly)),
            Some(Fault::Drip | Fault::DripWithoutRanges) => Box::pin(stream::iter(bytes).then(drop_of)),
            _ => Box::pin(stream::iter(pieces)),
        };
        let stream = Box::pin(stream.inspect(move |_| _ = &open));
        Ok(Opened {
            range: ByteRange { start: range.start, end: Some(range.end) },
            total_size,
            validator,
            stream,
        })
    }
}

/// A piece every 4 ms: 250 kB/s.
async fn slowly(piece: std::result::Result<Bytes, FetchError>) -> std::result::Result<Bytes, FetchError> {
    tokio::time::sleep(Duration::from_millis(4)).await;
    piece
}

/// A byte every 10 ms: never silent for long, and a tenth of the least pace.
async fn drop_of(byte: u8) -> std::result::Result<Bytes, FetchError> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(Bytes::copy_from_slice(&[byte]))
}

fn transfer() -> Transfer {
    Transfer::new(Settings {
        connections: 4,
        chunk_bytes: 10_000,
        window_bytes: 40_000,
        stall: Duration::from_millis(300),
        retries: 3,
        pause: Duration::from_millis(1),
        ..Settings::default()
    })
}

fn place(folder: &Path) -> Place {
    Place { data: folder.join("data"), journal: folder.join("journal"), guard: Arc::new(()) }
}

async fn fetch(source: &Source, folder: &Path) -> Result<Fetched> {
    transfer().fetch(source, "test:x", &source.file(), place(folder), &NoProgress).await
}

async fn arrives(source: Source) -> Source {
    let dir = tempfile::tempdir().unwrap();
    let fetched = fetch(&source, dir.path()).await.unwrap();
    assert_eq!(fetched.sha256, source.sha256());
    assert_eq!(fs_err::read(dir.path().join("data")).unwrap(), source.bytes);
    source
}

async fn fails(source: Source) -> Error {
    let dir = tempfile::tempdir().unwrap();
    fetch(&source, dir.path()).await.unwrap_err()
}

#[tokio::test]
async fn files_of_every_size_arrive() {
    for size in [0, 1, 9_999, 10_000, 10_001, 100_000, 123_457] {
        let source = arrives(Source::new(size, &[])).await;
        assert_eq!(source.sent(), size as u64, "nothing twice");
    }
    let source = arrives(Source::new(5_000, &[])).await;
    assert_eq!(*source.opened.lock().unwrap(), [ByteRange::ALL], "one request for a small file");
}

#[tokio::test]
async fn a_slow_source_is_asked_over_several_connections() {
    let source = arrives(Source::always(300_000, Fault::Slow)).await;
    assert!((2..=8).contains(&source.open_at_most.load(Ordering::SeqCst)), "four, and those that end soon");
    assert_eq!(source.sent(), 300_000, "nothing twice");
}

// The clock stands still while the bytes arrive, so there is no interval to learn from.
#[tokio::test(start_paused = true)]
async fn a_source_is_asked_over_one_connection_until_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200_000, &[]);
    let settings = Settings { chunk_bytes: 10_000, ..Settings::default() };
    let fetched = Transfer::new(settings)
        .fetch(&source, "test:x", &source.file(), place(dir.path()), &NoProgress)
        .await;
    assert_eq!(fetched.unwrap().sha256, source.sha256());
    assert_eq!(source.opened.lock().unwrap().len(), 20);
    assert_eq!(source.open_at_most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_passes_is_tried_again_from_where_it_stopped() {
    for cut in [0, 1, 5_000, 9_999] {
        let source = arrives(Source::new(50_000, &[Fault::CutAt(cut)])).await;
        assert_eq!(source.sent(), 50_000, "cut at {cut}");
    }
    for refusal in [FetchErrorKind::Unavailable, FetchErrorKind::RateLimited].map(Fault::Refuse) {
        arrives(Source::new(50_000, &[Fault::Stall, Fault::CutAt(3), refusal])).await;
    }
    let many = [Fault::CutAt(100); 60];
    arrives(Source::new(20_000, &many)).await;
}

#[tokio::test]
async fn what_does_not_pass_ends() {
    let error = fails(Source::always(50_000, Fault::Refuse(FetchErrorKind::Unavailable))).await;
    assert_eq!(error.code().as_str(), "source-unavailable");
    let source = Source::always(50_000, Fault::Refuse(FetchErrorKind::NotFound));
    assert_eq!(fails(source).await.code().as_str(), "not-found");
    assert!(matches!(fails(Source::always(50_000, Fault::CutAt(0))).await, Error::Answer { .. }));
    let range = fails(Source::always(50_000, Fault::WrongRange)).await.to_string();
    assert!(range.contains("the request was for bytes "), "{range}");
    assert!(matches!(fails(Source::always(50_000, Fault::TooLong)).await, Error::Answer { .. }));
    assert!(matches!(fails(Source::always(5_000, Fault::TooLong)).await, Error::Answer { .. }));
    assert!(matches!(fails(Source::always(50_000, Fault::OtherSize)).await, Error::Answer { .. }));
}

#[tokio::test]
async fn a_server_without_ranges_is_served_with_one_stream() {
    let source = arrives(Source::always(50_000, Fault::NoRanges)).await;
    assert_eq!(source.sent(), 50_000);
    let dir = tempfile::tempdir().unwrap();
    let cut = Source::new(50_000, &[Fault::CutAt(7_000), Fault::Refuse(FetchErrorKind::NotFound)]);
    assert!(fetch(&cut, dir.path()).await.is_err());
    let rest = Source::always(50_000, Fault::NoRanges);
    assert_eq!(fetch(&rest, dir.path()).await.unwrap().sha256, rest.sha256());
}

#[tokio::test]
async fn what_was_hashed_is_never_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(50_000, &[]);
    // A gap in the middle, as several connections leave it.
    let header = JournalHeader {
        size: 50_000,
        digest: Some(source.sha256().to_string()),
        validator: None,
        boot: durable_fs::boot_id().to_owned(),
    };
    let lines = format!("{}\ndone 0 5000\ndone 30000 50000\n", serde_json::to_string(&header).unwrap());
    fs_err::write(dir.path().join("journal"), lines).unwrap();
    fs_err::write(dir.path().join("data"), &source.bytes).unwrap();
    let mut all = source.bytes.clone();
    all[40_000] ^= 1;
    let lying = Source { bytes: all, always: Some(Fault::NoRanges), ..Source::new(50_000, &[]) };
    let fetched =
        transfer().fetch(&lying, "test:x", &source.file(), place(dir.path()), &NoProgress).await.unwrap();
    assert_eq!(fetched.sha256, source.sha256());
    assert_eq!(
        fs_err::read(dir.path().join("data")).unwrap(),
        source.bytes,
        "what lies there is what was hashed"
    );
}

#[tokio::test]
async fn a_wrong_byte_is_fetched_once_more_and_no_more() {
    let source = arrives(Source::new(50_000, &[Fault::FlipByte])).await;
    assert_eq!(source.sent(), 100_000);
    let faults = [Fault::FlipByteWithoutRanges, Fault::NoRanges];
    assert_eq!(arrives(Source::new(50_000, &faults)).await.sent(), 100_000);
    let learns = arrives(Source::new(50_000, &[Fault::FlipByteWithoutRanges])).await;
    assert_eq!(learns.sent(), 100_000, "the server knows ranges after all");
    let forgets = Source { always: Some(Fault::NoRanges), ..Source::new(50_000, &[Fault::FlipByte]) };
    assert!(fails(forgets).await.to_string().contains("forgot"), "within one attempt");
    let dir = tempfile::tempdir().unwrap();
    let source = Source::always(50_000, Fault::FlipByte);
    let Err(Error::Mismatch { expected, actual, .. }) = fetch(&source, dir.path()).await else { panic!() };
    assert!(expected == source.sha256() && actual != expected);
    assert_eq!(fs_err::metadata(dir.path().join("data")).unwrap().len(), 0, "the bytes are gone");
}

#[tokio::test]
async fn one_of_several_places_is_soon_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let transfer = transfer().for_one_of_several();
    let fetch = async |source: &Source, folder: &str| {
        let folder = dir.path().join(folder);
        fs_err::create_dir_all(&folder).unwrap();
        transfer.fetch(source, "test:x", &source.file(), place(&folder), &NoProgress).await
    };
    let liar = Source::always(50_000, Fault::FlipByte);
    assert!(matches!(fetch(&liar, "lies").await, Err(Error::Mismatch { .. })));
    assert_eq!(liar.sent(), 50_000, "it is not asked for the whole file again");
    let down = Source::always(50_000, Fault::Refuse(FetchErrorKind::Unavailable));
    assert!(fetch(&down, "down").await.is_err());
    assert_eq!(down.opened.lock().unwrap().len(), 2);
    let busy = Source::always(50_000, Fault::Busy(Duration::from_secs(60)));
    assert!(fetch(&busy, "busy").await.is_err());
    assert_eq!(busy.opened.lock().unwrap().len(), 1);
    // An earlier call left wrong bytes, and this place has the right ones.
    let left = Source::new(50_000, &[Fault::FlipByte, Fault::Refuse(FetchErrorKind::NotFound)]);
    assert!(fetch(&left, "left").await.is_err());
    let honest = Source::new(50_000, &[]);
    assert_eq!(fetch(&honest, "left").await.unwrap().sha256, honest.sha256());
}

#[tokio::test]
async fn a_file_that_changes_begins_anew() {
    let source = arrives(Source::new(50_000, &[Fault::CutAt(10_000), Fault::OtherValidator])).await;
    assert!(source.sent() > 50_000);
    let changing = [Fault::CutAt(5_000), Fault::OtherValidator, Fault::CutAt(5_000), Fault::OtherValidator];
    assert!(matches!(fails(Source::new(50_000, &changing)).await, Error::Changed { .. }));
}

#[tokio::test]
async fn resume_fetches_only_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let faults: Vec<_> =
        [Fault::CutAt(10_000); 3].into_iter().chain([Fault::Refuse(FetchErrorKind::NotFound); 8]).collect();
    let broken = Source::new(100_000, &faults);
    assert!(fetch(&broken, dir.path()).await.is_err());
    assert_eq!(broken.sent(), 30_000);
    let source = Source::new(100_000, &[]);
    assert_eq!(fetch(&source, dir.path()).await.unwrap().sha256, source.sha256());
    assert_eq!(source.sent(), 70_000);
}

#[tokio::test]
async fn another_file_or_boot_does_not_resume() {
    let dir = tempfile::tempdir().unwrap();
    let begin = async || {
        fetch(&Source { faults: Mutex::new(broken_faults()), ..Source::new(100_000, &[]) }, dir.path()).await
    };
    assert!(begin().await.is_err());
    let journal = fs_err::read_to_string(dir.path().join("journal")).unwrap();
    let boot = durable_fs::boot_id();
    fs_err::write(dir.path().join("journal"), journal.replace(boot, "another boot")).unwrap();
    let source = Source::new(100_000, &[]);
    fetch(&source, dir.path()).await.unwrap();
    assert_eq!(source.sent(), 100_000, "what was not synced does not count after another boot");
    assert!(begin().await.is_ok(), "all is here");
    let other = Source::new(90_000, &[]);
    assert_eq!(fetch(&other, dir.path()).await.unwrap().sha256, other.sha256());
    assert_eq!(other.sent(), 90_000);
    // Another file of the same size: none of its bytes are here.
    let dir = tempfile::tempdir().unwrap();
    let broken = Source { faults: Mutex::new(broken_faults()), ..Source::new(100_000, &[]) };
    assert!(fetch(&broken, dir.path()).await.is_err());
    let bytes = broken.bytes.iter().map(|byte| byte ^ 1).collect();
    let other = Source { bytes, ..Source::new(100_000, &[]) };
    assert_eq!(fetch(&other, dir.path()).await.unwrap().sha256, other.sha256());
    assert_eq!(other.sent(), 100_000);
}

fn broken_faults() -> VecDeque<Fault> {
    [Fault::CutAt(10_000), Fault::Refuse(FetchErrorKind::NotFound)].into()
}

#[tokio::test]
async fn a_fetch_may_be_dropped_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    for micros in (0..40).map(|step| step * 300) {
        let source = Source::new(200_000, &[]);
        let _ = timeout(Duration::from_micros(micros), fetch(&source, dir.path())).await;
    }
    let source = Source::new(200_000, &[]);
    assert_eq!(fetch(&source, dir.path()).await.unwrap().sha256, source.sha256());
}

#[tokio::test]
async fn a_look_at_a_source_that_trickles_ends() {
    let source = Source::always(100_000, Fault::CutAt(1));
    let looked = transfer().read(&source, "test:x", &source.file(), 0..100_000, &NoProgress).await;
    assert!(matches!(looked, Err(Error::Stalled { .. })), "{looked:?}");
    let source = Source::new(100_000, &[Fault::CutAt(1)]);
    let looked = transfer().read(&source, "test:x", &source.file(), 10..30, &NoProgress).await;
    assert_eq!(looked.unwrap(), source.bytes[10..30]);
}

#[tokio::test(start_paused = true)]
async fn a_source_is_left_alone_for_as_long_as_it_asks_within_the_limit() {
    let asked = Duration::from_secs(55);
    let source = Source::new(20, &[Fault::Busy(asked)]);
    let began = tokio::time::Instant::now();
    // Longer than a look may otherwise take.
    let looked = transfer().read(&source, "test:x", &source.file(), 0..20, &NoProgress).await;
    assert_eq!(looked.unwrap(), source.bytes);
    let waited = began.elapsed();
    assert!(waited > asked && waited < asked + Duration::from_secs(2), "{waited:?}");
    let source = Source::always(20, Fault::Busy(Duration::from_secs(3600)));
    let began = tokio::time::Instant::now();
    let refused = transfer().read(&source, "test:x", &source.file(), 0..20, &NoProgress).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "{refused}");
    assert_eq!(refused.to_string(), "busy, and 330 seconds are the limit");
    assert_eq!(refused.hint(), Some(Hint::from("try later").and(Hint::WaitLongerForSource)));
}

#[tokio::test]
async fn a_source_that_drips_is_given_up_whatever_it_sends() {
    for (size, fault) in [(5_000, Fault::Drip), (50_000, Fault::Drip), (50_000, Fault::DripWithoutRanges)] {
        let ended = timeout(Duration::from_secs(20), fails(Source::always(size, fault))).await;
        let error = ended.unwrap_or_else(|_| panic!("{fault:?} of {size} bytes goes on"));
        assert!(matches!(error, Error::TooSlow { bytes: 1.., .. }), "{error}");
        assert_eq!(error.code().as_str(), "source-unavailable");
    }
    let source = Source::always(50_000, Fault::Drip);
    let looked = timeout(
        Duration::from_secs(20),
        transfer().read(&source, "test:x", &source.file(), 0..50_000, &NoProgress),
    )
    .await;
    assert!(matches!(looked, Ok(Err(Error::TooSlow { .. } | Error::Stalled { .. }))), "{looked:?}");
    let slow_now_and_then = [Fault::CutAt(9_000), Fault::Drip, Fault::CutAt(9_000), Fault::Drip];
    arrives(Source::new(50_000, &slow_now_and_then)).await;
}
