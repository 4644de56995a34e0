//! Files that the hub stores in Xet. Those that need a storage server are in `xet_server`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use futures_util::TryStreamExt;
use model_provisioner::{
    ByteRange, HubFetcher, HubSettings, Manifest, ModelFetcher, Network, Policy, ResolveRequest, Token,
    TransferSettings,
};
use serde_json::json;
use testkit::{
    Hub, gguf,
    hub::{Fault, FaultKind, Origin, Refusal},
};

use crate::fixture::{Fixture, bytes, settings};

const ID: &str = "hf:org/repo/a.gguf";
const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// How long a fetcher waits for a server by default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many bytes a chunk of [`storage_of`] has.
const CHUNK: usize = 100_000;

fn bench(cas: &str) -> (Fixture, Vec<u8>) {
    let (bench, weights) = (Fixture::new(), bytes(3 << 20, 9));
    bench.hub.repo("org/repo").xet("a.gguf", weights.clone(), HASH).publish();
    bench.hub.xet_cas(cas);
    (bench, weights)
}

/// Returns a fetcher, and the manifest of all weights that its hub has.
async fn listed(bench: &Fixture) -> (HubFetcher, Manifest) {
    let fetcher = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
    let request = ResolveRequest::new("hf:org/repo?include=*.gguf".parse().unwrap());
    let manifest = fetcher.resolve(&request).await.unwrap();
    (fetcher, manifest)
}

/// Returns how often the fetcher asked the hub for a token for its storage.
pub(crate) fn tokens(hub: &Hub) -> usize {
    hub.count(|seen| seen.path.contains("/xet-read-token/"))
}

/// The requests that a server got, each with its headers.
type Asked = Arc<Mutex<Vec<String>>>;

/// Starts a server, and returns its address and the requests that it gets. It gives what `answer` has for a request.
fn serve(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> (String, Asked) {
    serve_heads(move |head| match answer(head) {
        Some(body) => (format!("200 OK\r\nContent-Length: {}", body.len()), body),
        None => ("404 Not Found\r\nContent-Length: 0".to_owned(), Vec::new()),
    })
}

/// Starts a server as [`serve`] does, which gives a status, headers and a body. A body that is shorter than its head says hangs.
fn serve_heads(answer: impl Fn(&str) -> (String, Vec<u8>) + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            let (answered, body) = answer(&head);
            kept.lock().unwrap().push(head);
            let answered = format!("HTTP/1.1 {answered}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&[answered.as_bytes(), &body].concat());
            if !answered.contains(&format!("\r\nContent-Length: {}\r\n", body.len())) {
                open.push(stream);
            }
        }
    });
    (address, asked)
}

/// Starts a storage that has nothing, and returns its address and the requests that it gets.
fn empty_storage() -> (String, Asked) {
    serve(|_| None)
}

/// Starts a storage that has one file, and the CDN that serves it, as [`serve`] does each.
fn storage_of(file: &[u8]) -> [(String, Asked); 2] {
    let xorb = xorb_of(file);
    let cdn = serve(move |head| Some(xorb[asked_range(head)?].to_vec()));
    [storage_with(file.len(), &cdn.0), cdn]
}

/// Returns a file as the CDN of a storage has it.
fn xorb_of(file: &[u8]) -> Vec<u8> {
    // As many bytes as the header of each says, which follows the version.
    let chunks = file.chunks(CHUNK).map(|chunk| {
        let length = &u32::try_from(chunk.len()).unwrap().to_le_bytes()[..3];
        [&[0], length, &[0], length, chunk].concat()
    });
    chunks.collect::<Vec<_>>().concat()
}

/// Starts a storage that has one file of that size, which a CDN serves.
fn storage_with(size: usize, cdn: &str) -> (String, Asked) {
    let url = format!("{cdn}/xorb?signature=s");
    serve(move |head| {
        let range = asked_range(head).filter(|_| head.contains(&format!("/v1/reconstructions/{HASH} ")))?;
        let chunks = range.start / CHUNK..range.end.div_ceil(CHUNK);
        let end = size.min(chunks.end * CHUNK);
        let section = json!({
            "range": &chunks,
            "url": &url,
            "url_range": { "start": chunks.start * (CHUNK + 8), "end": end + chunks.end * 8 - 1 },
        });
        let answer = json!({
            "offset_into_first_range": range.start % CHUNK,
            "terms": [{ "hash": "xorb", "unpacked_length": end - chunks.start * CHUNK, "range": &chunks }],
            "fetch_info": { "xorb": [section] },
        });
        Some(answer.to_string().into_bytes())
    })
}

/// Returns the range of bytes that a request is for.
fn asked_range(head: &str) -> Option<Range<usize>> {
    let (first, last) = head.split_once("range: bytes=")?.1.lines().next()?.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1)
}

/// Returns where the storage says that terms are, each of a xorb and so many MiB long.
fn terms_at(cdn: &str, terms: &[(&str, u64)]) -> String {
    let chunks = json!({ "start": 0, "end": 999 });
    let section = json!({ "range": chunks, "url": cdn, "url_range": { "start": 0, "end": (96 << 20) - 1 } });
    let terms: Vec<_> = terms
        .iter()
        .map(|(xorb, mib)| json!({ "hash": xorb, "unpacked_length": mib << 20, "range": chunks }))
        .collect();
    let answer = json!({ "offset_into_first_range": 0, "terms": terms, "fetch_info": { "a": [section], "b": [section] } });
    answer.to_string()
}

#[tokio::test]
async fn a_range_ends_where_the_storage_says_that_a_xorb_begins() {
    let first_chunk = xorb_of(&vec![7; CHUNK]);
    let (cdn, _) =
        serve_heads(move |_| (format!("200 OK\r\nContent-Length: {}", 96 << 20), first_chunk.clone()));
    let of_first = terms_at(&cdn, &[("a", 64)]);
    let check = async |status: &'static str, length: usize, of_rest: String, expected_mib: u64| {
        let of_first = of_first.clone();
        let (storage, _) = serve_heads(move |head| {
            let is_first = asked_range(head).is_some_and(|range| range.start == 0);
            let (status, length, body) =
                if is_first { ("200 OK", of_first.len(), &of_first) } else { (status, length, &of_rest) };
            (format!("{status}\r\nContent-Length: {length}"), body.clone().into_bytes())
        });
        let bench = Fixture::new();
        bench.hub.repo("org/repo").xet("a.gguf", vec![7; 96 << 20], HASH).publish();
        bench.hub.xet_cas(&storage);
        let (fetcher, manifest) = listed(&bench).await;
        let file = &manifest.files()[0];
        assert_eq!(fetcher.range_bytes(file, 0), Some(64 << 20));
        let mut opened = fetcher.open(file, ByteRange { start: 0, end: Some(64 << 20) }).await.unwrap();
        assert!(opened.stream.try_next().await.unwrap().is_some(), "the range itself comes");
        assert_eq!(fetcher.range_bytes(file, 64 << 20), Some(expected_mib << 20), "{status}");
    };
    let of_rest = terms_at(&cdn, &[("a", 20), ("b", 12)]);
    check("200 OK", of_rest.len(), of_rest, 20).await;
    check("404 Not Found", 0, String::new(), 64).await;
    check("200 OK", 2, "{}".to_owned(), 64).await;
    check("200 OK", 999, "hangs".to_owned(), 64).await;
}

#[tokio::test]
async fn a_file_comes_from_where_the_storage_says() {
    let weights = bytes(3 << 20, 9);
    let [(cas, asked), (_, asked_of_cdn)] = storage_of(&weights);
    let (bench, _) = bench(&cas);
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!((bench.hub.bytes_sent("a.gguf"), tokens(&bench.hub)), (0, 1));
    assert_eq!(asked.lock().unwrap().len(), 1);
    let asked_of_cdn = asked_of_cdn.lock().unwrap();
    assert_eq!(asked_of_cdn.len(), 1);
    assert!(
        !asked_of_cdn[0].contains("authorization"),
        "the token is for the storage alone: {asked_of_cdn:?}"
    );
}

#[tokio::test]
async fn a_part_of_a_file_comes_from_the_storage() {
    let weights = bytes(3 << 20, 9);
    let [(cas, _), _] = storage_of(&weights);
    let (bench, _) = bench(&cas);
    let (fetcher, manifest) = listed(&bench).await;
    for (start, end) in [(0, 1), (99_999, 100_001), (100_000, 200_000), (250_000, 3 << 20)] {
        let range = ByteRange { start: start as u64, end: Some(end as u64) };
        let opened = fetcher.open(&manifest.files()[0], range).await.unwrap();
        let pieces: Vec<_> = opened.stream.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), weights[start..end]);
    }
    assert_eq!(bench.hub.bytes_sent("a.gguf"), 0);
}

#[tokio::test]
async fn a_storage_that_is_down_is_asked_once_and_plain_http_takes_over() {
    let (bench, weights) = bench("http://127.0.0.1:1");
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(tokens(&bench.hub), 1, "for the first of three ranges");
    assert_eq!(bench.hub.bytes_sent("a.gguf"), weights.len() as u64);
}

/// Returns one of twenty files, which differ in their last byte.
fn one_of_twenty(n: u8) -> Vec<u8> {
    let mut file = bytes(3 * CHUNK, 1);
    *file.last_mut().unwrap() = n;
    file
}

/// Fetches twenty files in Xet over so many connections, and returns how often the storage was asked for one of them.
async fn asked_for_of_twenty(
    bench: &Fixture,
    (cas, asked): &(String, Asked),
    connections: usize,
    timeout: Duration,
) -> usize {
    bench.hub.xet_cas(cas);
    let repo = (0..20)
        .fold(bench.hub.repo("org/repo"), |repo, n| repo.xet(&format!("{n}.gguf"), one_of_twenty(n), HASH));
    repo.publish();
    let hub = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().timeout(timeout);
    let transfer = TransferSettings { connections, ..settings() };
    let provisioner = bench.builder().fetcher(HubFetcher::new(hub)).transfer(transfer).build().unwrap();
    let model = provisioner.ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    for n in 0..20 {
        assert_eq!(fs_err::read(model.local_path.join(format!("{n}.gguf"))).unwrap(), one_of_twenty(n));
    }
    asked.lock().unwrap().iter().filter(|head| head.contains("/v1/reconstructions/")).count()
}

#[tokio::test]
async fn a_storage_that_gives_nothing_is_left_alone() {
    let bench = Fixture::new();
    assert_eq!(asked_for_of_twenty(&bench, &empty_storage(), 1, TIMEOUT).await, 3);
    assert_eq!(tokens(&bench.hub), 1);
}

#[tokio::test]
async fn a_storage_that_hangs_after_the_first_bytes_is_left_alone() {
    let bench = Fixture::new();
    let xorb = xorb_of(&one_of_twenty(0));
    let (cdn, asked_of_cdn) = serve_heads(move |head| {
        let length = asked_range(head).unwrap().len();
        (format!("200 OK\r\nContent-Length: {length}"), xorb[..CHUNK + 100].to_vec())
    });
    let storage = storage_with(one_of_twenty(0).len(), &cdn);
    assert_eq!(asked_for_of_twenty(&bench, &storage, 1, Duration::from_millis(500)).await, 3);
    assert_eq!(asked_of_cdn.lock().unwrap().len(), 3);
}

/// A pause of which no test sees the end, and one whose end the server does not tell.
const BUSY: [&str; 2] = [
    "429 Too Many Requests\r\nRetry-After: 3000\r\nContent-Length: 0",
    "429 Too Many Requests\r\nContent-Length: 0",
];

#[tokio::test]
async fn a_hub_that_is_too_busy_for_a_token_serves_the_files_by_plain_http() {
    for refusal in [
        Refusal::status(429).retry_after_s(3000),
        Refusal::status(503).retry_after_s(3000),
        Refusal::status(429),
    ] {
        let (bench, storage, shown) = (Fixture::new(), empty_storage(), format!("{refusal:?}"));
        bench.hub.fault(Fault::on("/api/models/org/repo/xet-read-token/").kind(FaultKind::Refuse(refusal)));
        assert_eq!(asked_for_of_twenty(&bench, &storage, 8, TIMEOUT).await, 0);
        assert_eq!(tokens(&bench.hub), 1, "{shown}");
        assert!(storage.1.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_storage_that_asks_for_a_pause_is_left_alone() {
    for busy in BUSY {
        let bench = Fixture::new();
        bench.hub.repo("org/repo").xet("a.gguf", gguf("a"), HASH).xet("b.gguf", gguf("b"), HASH).publish();
        let (cas, asked) = serve_heads(|_| (busy.to_owned(), Vec::new()));
        bench.hub.xet_cas(&cas);
        let (fetcher, manifest) = listed(&bench).await;
        let [first, second] = manifest.files() else { panic!("{manifest:?}") };
        assert!(fetcher.range_bytes(second, 0).is_some(), "it is to come from Xet");
        fetcher.open(first, ByteRange::ALL).await.unwrap();
        assert_eq!(fetcher.range_bytes(second, 0), None);
        fetcher.open(second, ByteRange::ALL).await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 1, "{busy}");
    }
}

#[tokio::test]
async fn a_cdn_that_asks_for_a_pause_is_left_alone() {
    for busy in BUSY {
        let bench = Fixture::new();
        let (cdn, asked_of_cdn) = serve_heads(|_| (busy.to_owned(), Vec::new()));
        let storage = storage_with(one_of_twenty(0).len(), &cdn);
        assert_eq!(asked_for_of_twenty(&bench, &storage, 1, TIMEOUT).await, 1);
        assert_eq!(asked_of_cdn.lock().unwrap().len(), 1, "{busy}");
    }
}

#[tokio::test]
async fn a_hub_that_asks_for_a_pause_is_not_asked_for_a_token_and_the_file_stays_in_xet() {
    let weights = bytes(3 << 20, 9);
    let [(cas, _), _] = storage_of(&weights);
    let bench = Fixture::new();
    bench.hub.repo("org/repo").xet("a.gguf", weights, HASH).lfs("b.gguf", gguf("b")).publish();
    bench.hub.xet_cas(&cas);
    let (fetcher, manifest) = listed(&bench).await;
    let [in_xet, beside] = manifest.files() else { panic!("{manifest:?}") };
    let refusal = Refusal::status(429).retry_after_s(1);
    bench.hub.fault(Fault::on("b.gguf").once().kind(FaultKind::Refuse(refusal)));
    assert!(fetcher.open(beside, ByteRange::ALL).await.unwrap_err().retry_after.is_some());
    let pause = fetcher.open(in_xet, ByteRange::ALL).await.unwrap_err().retry_after.unwrap();
    assert_eq!((tokens(&bench.hub), bench.hub.bytes_sent("a.gguf")), (0, 0));
    tokio::time::sleep(pause).await;
    let opened = fetcher.open(in_xet, ByteRange::ALL).await.unwrap();
    opened.stream.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!((tokens(&bench.hub), bench.hub.bytes_sent("a.gguf")), (1, 0));
}

#[tokio::test]
async fn without_xet_the_storage_is_not_asked() {
    let (bench, weights) = bench("http://127.0.0.1:1");
    let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().xet(false);
    let provisioner = bench.builder().fetcher(HubFetcher::new(settings)).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(tokens(&bench.hub), 0);
}

/// Fetches the file where the policy allows the hub's host alone, and returns how many bytes came by plain HTTP.
async fn by_plain_http_at_one_host(cas: &str) -> u64 {
    let (bench, weights) = bench(cas);
    let hosts = Some(vec!["127.0.0.1".to_owned()]);
    let policy = Policy { network: Network::Allow, hosts, ..Policy::default() };
    let model = bench.builder().policy(policy).build().unwrap().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(tokens(&bench.hub), 1);
    bench.hub.bytes_sent("a.gguf")
}

/// Listens at a host of this machine that is not the hub's. It answers nothing.
fn other_host() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Returns whether a client has connected.
fn is_connected(listener: &TcpListener) -> bool {
    listener.accept().is_ok()
}

#[tokio::test]
async fn a_storage_whose_hosts_the_policy_allows_serves_the_file() {
    let [(cas, _), _] = storage_of(&bytes(3 << 20, 9));
    assert_eq!(by_plain_http_at_one_host(&cas).await, 0);
}

#[tokio::test]
async fn no_connection_goes_to_a_storage_that_the_policy_does_not_allow() {
    let storage = other_host();
    let sent = by_plain_http_at_one_host(&format!("http://{}", storage.local_addr().unwrap())).await;
    assert!(!is_connected(&storage));
    assert_eq!(sent, 3 << 20);
}

#[tokio::test]
async fn no_connection_goes_to_a_cdn_that_the_policy_does_not_allow() {
    let cdn = other_host();
    let (cas, asked) = storage_with(3 << 20, &format!("http://{}", cdn.local_addr().unwrap()));
    assert_eq!(by_plain_http_at_one_host(&cas).await, 3 << 20);
    assert!(!is_connected(&cdn));
    assert!(!asked.lock().unwrap().is_empty(), "the storage itself is allowed");
}

#[tokio::test]
async fn a_storage_on_this_machine_or_without_an_address_is_not_one() {
    for cas in ["local:///etc", "memory://", "file:///etc", "http://user:word@127.0.0.1:1", ""] {
        let (bench, weights) = bench(cas);
        let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
        assert_eq!(fs_err::read(model.local_path).unwrap(), weights, "{cas}");
        assert_eq!(tokens(&bench.hub), 1, "{cas}");
    }
}

#[tokio::test]
async fn each_token_goes_where_it_belongs() {
    let (cas, asked) = empty_storage();
    let (bench, weights) = bench(&cas);
    let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().token(Token::new("secret"));
    let provisioner = bench.builder().fetcher(HubFetcher::new(settings)).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    let of_hub = bench.hub.requests();
    let (hub, cdn): (Vec<_>, Vec<_>) = of_hub.iter().partition(|seen| seen.origin == Origin::Hub);
    assert!(hub.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer secret")));
    assert!(cdn.iter().all(|seen| seen.authorization.is_none()));
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty());
    for request in asked.iter() {
        assert!(!request.contains("secret"), "{request}");
        assert!(request.contains("Bearer xet-token-for-org/repo"), "{request}");
        assert!(request.contains("model-provisioner/"), "{request}");
    }
}

#[tokio::test]
async fn a_hub_that_gives_no_token_gives_the_file_all_the_same() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/repo")
        .xet("a.gguf", gguf("one"), HASH)
        .xet("b.gguf", gguf("two"), "no hash")
        .publish();
    let model = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path.join("a.gguf")).unwrap(), gguf("one"));
    assert_eq!(fs_err::read(model.local_path.join("b.gguf")).unwrap(), gguf("two"));
    assert_eq!(tokens(&bench.hub), 1, "what is no hash is none");
}
