//! Every fault that the hub deals, seen by a client that hides nothing.

mod wire;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::{
    Hub,
    hub::{At, ContentLength, Fault, FaultKind, Origin, Refusal, When},
};

use crate::wire::{Answer, Client, End, follow, get, request};

const FILE: &str = "w.gguf";
const TREE: &str = "/api/models/a/b/tree/main?recursive=true";
const NOBODY: &[(&str, &str)] = &[];

fn bytes() -> Vec<u8> {
    (0..2500u32).flat_map(u32::to_le_bytes).collect()
}

fn hub(fault: Fault) -> Hub {
    let hub = Hub::start();
    hub.repo("a/b").file("config.json", "{}").lfs(FILE, bytes()).publish();
    hub.fault(fault);
    hub
}

fn once(kind: FaultKind) -> Hub {
    hub(Fault::on(FILE).once().kind(kind))
}

fn url(hub: &Hub) -> String {
    format!("{}/a/b/resolve/main/{FILE}", hub.endpoint())
}

fn fetch(hub: &Hub) -> Answer {
    follow(&url(hub), NOBODY)
}

fn fetch_range(hub: &Hub, range: &str) -> Answer {
    follow(&url(hub), &[("Range", range)])
}

/// The fault is over, and the file comes as it is.
fn assert_good(hub: &Hub) {
    let answer = fetch(hub);
    assert_eq!((answer.status, answer.body, answer.end), (200, bytes(), End::Whole));
}

#[test]
fn the_body_is_cut_anywhere() {
    for (at, length) in [
        (At::Byte(0), 0),
        (At::Byte(1), 1),
        (At::Half, 5000),
        (At::BeforeEnd(1), 9999),
        (At::Byte(7000), 7000),
    ] {
        let hub = once(FaultKind::Cut(at));
        let answer = fetch(&hub);
        assert_eq!((answer.status, answer.end, answer.body.len()), (200, End::Cut, length), "{at:?}");
        assert_eq!(answer.body, bytes()[..length]);
        assert_eq!(hub.bytes_sent(FILE), length as u64);
        assert_good(&hub);
    }
    let hub = once(FaultKind::Cut(At::Half));
    assert_eq!(fetch_range(&hub, "bytes=1000-1999").body, bytes()[1000..1500], "half of what was asked for");
}

#[test]
fn nothing_is_answered() {
    for (kind, end) in
        [(FaultKind::Cut(At::BeforeHead), End::Cut), (FaultKind::Reset(At::BeforeHead), End::Reset)]
    {
        let hub = once(kind);
        let answer = fetch(&hub);
        assert_eq!((answer.status, answer.end), (0, end));
        assert_eq!(hub.requests()[0].status, 0);
        assert_good(&hub);
    }
}

#[test]
fn the_connection_is_reset() {
    let hub = once(FaultKind::Reset(At::Byte(100)));
    let answer = fetch(&hub);
    assert_eq!(answer.end, End::Reset);
    assert!(answer.body.len() <= 100);
    assert_good(&hub);
}

#[test]
fn the_body_stalls() {
    let hub = once(FaultKind::Stall(At::Byte(10), None));
    let answer = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&hub));
        assert!(hub.wait_until(Duration::from_secs(9), |hub| hub.bytes_sent(FILE) == 10));
        fetching.join().unwrap()
    });
    assert_eq!((answer.end, answer.body.len()), (End::Stalled, 10));
    assert_good(&hub);
    for at in [At::BeforeHead, At::Half] {
        let hub = once(FaultKind::Stall(at, Some(Duration::from_millis(150))));
        let begin = Instant::now();
        assert_good(&hub);
        assert!(begin.elapsed() >= Duration::from_millis(150));
    }
}

#[test]
fn the_length_lies() {
    let is = |text: &str| FaultKind::ContentLength(ContentLength::Is(text.to_owned()));
    let short = once(is("9000"));
    let signed = get(&url(&short), NOBODY).header("Location").map(str::to_owned).unwrap_or_default();
    let mut client = Client::open(&short.cdn_endpoint());
    let answer = client.exchange("GET", signed.trim_start_matches(&short.cdn_endpoint()), NOBODY);
    assert_eq!((answer.body.len(), answer.end), (9000, End::Whole));
    assert_eq!(client.rest(), (bytes()[9000..].to_vec(), End::Cut), "what follows, and then the end");
    for text in ["10001", "99999999999"] {
        let answer = fetch(&once(is(text)));
        assert_eq!((answer.header("Content-Length"), answer.end), (Some(text), End::Cut));
        assert_eq!(answer.body, bytes());
    }
    let huge = "99999999999999999999999";
    assert_eq!(fetch(&once(is(huge))).header("Content-Length"), Some(huge));
    let missing = fetch(&once(FaultKind::ContentLength(ContentLength::Missing)));
    assert_eq!((missing.header("Content-Length"), missing.end), (None, End::Whole));
    assert_eq!(missing.body, bytes());
    let chunked = fetch(&once(FaultKind::ContentLength(ContentLength::Chunked)));
    assert_eq!((chunked.header("Content-Length"), chunked.end), (None, End::Whole));
    assert_eq!(chunked.body, bytes());
}

#[test]
fn a_range_is_not_what_was_asked_for() {
    let hub = once(FaultKind::IgnoreRange);
    let answer = fetch_range(&hub, "bytes=10-19");
    assert_eq!((answer.status, answer.body), (200, bytes()));
    assert_eq!(hub.requests()[1].range, Some((10, Some(19))), "the record has what was asked for");
    assert_eq!(fetch_range(&hub, "bytes=10-19").status, 206);

    let answer = fetch_range(&once(FaultKind::ShiftRange(5)), "bytes=10-19");
    assert_eq!((answer.status, answer.header("Content-Range")), (206, Some("bytes 15-24/10000")));
    assert_eq!(answer.body, bytes()[15..25]);

    let lie = FaultKind::ContentRange("bytes 0-9/77".to_owned());
    let answer = fetch_range(&once(lie), "bytes=10-19");
    assert_eq!((answer.status, answer.header("Content-Range")), (206, Some("bytes 0-9/77")));
    assert_eq!(answer.body, bytes()[10..20]);
}

#[test]
fn the_file_changes() {
    let hub = hub(Fault::on(FILE).at(Origin::Cdn).after(1).kind(FaultKind::Replace("other bytes".into())));
    let before = fetch_range(&hub, "bytes=0-4");
    let after = fetch_range(&hub, "bytes=0-4");
    assert_eq!((before.body.as_slice(), after.body.as_slice()), (&bytes()[..5], &b"other"[..]));
    let sha256 = hex::encode(Sha256::digest("other bytes"));
    assert_eq!(after.header("ETag"), Some(&*format!("\"{sha256}\"")));
    assert_ne!(before.header("ETag"), after.header("ETag"));
    assert_eq!(fetch(&hub).body, b"other bytes", "from now on");
    hub.clear_faults();
    assert_good(&hub);

    let hub = once(FaultKind::Etag("new".to_owned()));
    assert_eq!(get(&url(&hub), NOBODY).header("X-Linked-ETag"), Some("\"new\""));
    hub.fault(Fault::on(FILE).at(Origin::Cdn).kind(FaultKind::Etag("new".to_owned())));
    let answer = fetch(&hub);
    assert_eq!(answer.header("ETag"), Some("\"new\""));
    assert_eq!(answer.body, bytes());
}

#[test]
fn the_answer_is_a_refusal() {
    let refusal = Refusal::status(429).retry_after_s(7).error("TooMany", "slow down").body("later");
    let hub = hub(Fault::on(FILE).times(2).kind(FaultKind::Refuse(refusal)));
    for _ in 0..2 {
        let answer = fetch(&hub);
        assert_eq!((answer.status, answer.header("Retry-After")), (429, Some("7")));
        assert_eq!((answer.header("X-Error-Code"), answer.body.as_slice()), (Some("TooMany"), &b"later"[..]));
    }
    assert_good(&hub);
    let refusal = Refusal::status(503).retry_after_date(Duration::from_secs(60));
    let answer = fetch(&once(FaultKind::Refuse(refusal)));
    let date = answer.header("Retry-After").unwrap_or_default();
    assert!(answer.status == 503 && date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let page = fetch(&once(FaultKind::HtmlPage));
    assert_eq!((page.status, page.header("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.starts_with(b"<!doctype html>"));
}

#[test]
fn redirects_go_astray() {
    let hub = hub(Fault::on(FILE).kind(FaultKind::RedirectToSelf));
    assert_eq!(get(&url(&hub), NOBODY).header("Location"), Some(&*url(&hub)));
    let redirect_to = |location: &str| {
        let hub = once(FaultKind::RedirectTo(location.to_owned()));
        let answer = get(&url(&hub), NOBODY);
        (answer.status, answer.header("Location").map(str::to_owned))
    };
    let target = format!("/a/b/resolve/main/{FILE}");
    let elsewhere = "http://localhost:9";
    assert_eq!(redirect_to(elsewhere), (302, Some(format!("{elsewhere}{target}"))));
    let metadata = "http://169.254.169.254/latest";
    assert_eq!(redirect_to(metadata), (302, Some(metadata.to_owned())));
}

#[test]
fn signed_urls_expire() {
    let hub = once(FaultKind::ExpireSignatures);
    let old = get(&url(&hub), NOBODY).header("Location").map(str::to_owned).unwrap_or_default();
    assert_eq!(get(&old, NOBODY).status, 403, "struck");
    assert_eq!(get(&old, NOBODY).status, 403, "and for ever");
    assert_good(&hub);
    assert!(hub.count(|seen| seen.is_for(FILE) && seen.status == 403) == 2);

    hub.signed_urls_last(Some(2));
    let url = get(&url(&hub), NOBODY).header("Location").map(str::to_owned).unwrap_or_default();
    let statuses = [(); 3].map(|()| get(&url, NOBODY).status);
    assert_eq!(statuses, [200, 200, 403]);
}

#[test]
fn bytes_are_flipped_and_added() {
    let hub = hub(Fault::on(FILE).once().kind(FaultKind::Flip(5000)));
    assert_eq!(fetch_range(&hub, "bytes=0-4999").body, bytes()[..5000], "not in this range");
    let flipped = fetch_range(&hub, "bytes=4990-5009").body;
    let differs: Vec<_> = (0..20).filter(|at| flipped[*at] != bytes()[4990 + at]).collect();
    assert_eq!((flipped.len(), differs), (20, vec![10]));
    assert_good(&hub);
    let longer = fetch(&once(FaultKind::Extra(3)));
    assert_eq!((longer.body.len(), longer.header("Content-Length")), (10_003, Some("10003")));
    assert_eq!(longer.body[..10_000], bytes());
}

#[test]
fn a_gzip_bomb_is_valid_gzip() {
    for size in [0, 1, 300, 100_000] {
        let decompression_bomb = fetch(&once(FaultKind::GzipBomb(size)));
        assert_eq!(decompression_bomb.header("Content-Encoding"), Some("gzip"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decompression_bomb.gz");
        fs_err::write(&path, &decompression_bomb.body).unwrap();
        let unfolded = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        assert!(unfolded.status.success(), "{}", String::from_utf8_lossy(&unfolded.stderr));
        let zeros = vec![0; usize::try_from(size).unwrap()];
        assert!(unfolded.stdout == zeros, "{} of {size}", unfolded.stdout.len());
    }
    let decompression_bomb = fetch(&once(FaultKind::GzipBomb(1 << 28)));
    assert!(decompression_bomb.body.len() < 2_000_000, "{}", decompression_bomb.body.len());
}

#[test]
fn listings_are_hostile() {
    let tree_of = |kind: FaultKind| {
        let hub = hub(Fault::on("/api/models/").kind(kind));
        let answer = get(&format!("{}{TREE}", hub.endpoint()), NOBODY);
        let link = answer.header("Link").map(|link| link.replace(&hub.endpoint(), ""));
        (answer.json(), link, get(&format!("{}/api/models/a/b", hub.endpoint()), NOBODY).json())
    };
    let names = |list: &Value, key: &str| -> Vec<Value> {
        list.as_array().map(|list| list.iter().map(|entry| entry[key].clone()).collect()).unwrap_or_default()
    };
    let hostile = ["../../x", "/etc/x", "C:\\x", "a\0b", "a\nb"].map(str::to_owned);
    let (tree, _, info) = tree_of(FaultKind::Entries(hostile.to_vec()));
    for listed in [names(&tree, "path"), names(&info["siblings"], "rfilename")] {
        assert_eq!(listed.len(), 7);
        assert!(hostile.iter().all(|path| listed.contains(&json!(path))), "{listed:?}");
    }
    let patch = json!({ "size": 3, "oid": null, "lfs": { "size": 4 } });
    let (tree, _, _) = tree_of(FaultKind::Listed(FILE.to_owned(), patch));
    assert_eq!((&tree[1]["size"], &tree[1]["lfs"]["size"], tree[1].get("oid")), (&json!(3), &json!(4), None));
    assert_eq!(tree[1]["lfs"]["oid"], hex::encode(Sha256::digest(bytes())), "the rest stays");
    assert_eq!(tree[0]["size"], 2, "others stay");
    let link = |kind| tree_of(kind).1.unwrap_or_default();
    assert_eq!(link(FaultKind::LinkToSelf), format!("<{TREE}>; rel=\"next\""));
    assert_eq!(link(FaultKind::LinkTo("http://evil/x".to_owned())), "<http://evil/x>; rel=\"next\"");
    let hub = hub(Fault::on("/api/models/a/b/tree/").kind(FaultKind::LinkUpstream("https://up".to_owned())));
    hub.page_size(1);
    let answer = get(&format!("{}{TREE}", hub.endpoint()), NOBODY);
    let next = format!("<https://up{TREE}&cursor=1>; rel=\"next\"");
    assert_eq!(answer.header("Link"), Some(next.as_str()), "only the server is another one");
}

#[test]
fn a_listing_has_no_end() {
    let hub = hub(Fault::on("/api/models/a/b/tree/").kind(FaultKind::LinkForEver));
    let mut url = format!("{}{TREE}", hub.endpoint());
    let mut urls = std::collections::BTreeSet::new();
    for _ in 0..5 {
        assert!(urls.insert(url.clone()), "a new URL each time");
        let answer = get(&url, NOBODY);
        assert_eq!(answer.json().as_array().map(Vec::len), Some(2));
        let link = answer.header("Link").unwrap_or_default();
        url = link.trim_start_matches('<').trim_end_matches(">; rel=\"next\"").to_owned();
    }
}

#[test]
fn a_commit_moves_between_two_calls() {
    let hub = hub(Fault::on("*").kind(FaultKind::Header("X-Mine", Some("yes".to_owned()))));
    let planned = FaultKind::publish(hub.repo("a/b").file("config.json", "moved"));
    hub.fault(Fault::on("/api/models/").after(1).once().kind(planned));
    let sha = || {
        let answer = get(&format!("{}/api/models/a/b/revision/main", hub.endpoint()), NOBODY);
        assert_eq!(answer.header("X-Mine"), Some("yes"), "several faults strike at once");
        answer.json()["sha"].clone()
    };
    let (first, second, third) = (sha(), sha(), sha());
    assert_eq!(first, second, "the call after which it moves has the old commit");
    assert_ne!(second, third);
    let config =
        |revision: &str| get(&format!("{}/a/b/resolve/{revision}/config.json", hub.endpoint()), NOBODY).body;
    assert_eq!((config("main"), config(first.as_str().unwrap())), (b"moved".to_vec(), b"{}".to_vec()));
}

#[test]
#[should_panic(expected = "faults that never struck")]
fn a_fault_that_never_struck_fails_the_test_that_asked_for_it() {
    drop(hub(Fault::on(FILE).after(1).kind(FaultKind::Cut(At::Half))));
}

#[test]
fn a_fault_strikes_where_and_when_it_is_meant() {
    let statuses = |when: When| {
        let hub = hub(when.kind(FaultKind::Refuse(Refusal::status(500))));
        let signed = get(&url(&hub), NOBODY).header("Location").map(str::to_owned);
        let config = format!("{}/a/b/resolve/main/config.json", hub.endpoint());
        let cdn = signed.map(|signed| get(&signed, NOBODY).status);
        (cdn, get(&config, NOBODY).status, request("HEAD", &config, NOBODY).status)
    };
    assert_eq!(statuses(Fault::on("elsewhere").may_miss()), (Some(200), 200, 200));
    assert_eq!(statuses(Fault::on("*")), (None, 500, 500));
    assert_eq!(statuses(Fault::on(FILE)), (None, 200, 200));
    assert_eq!(statuses(Fault::on(FILE).at(Origin::Cdn)), (Some(500), 200, 200));
    assert_eq!(statuses(Fault::on("/a/b/")), (None, 500, 500));
    assert_eq!(statuses(Fault::on("*").method("HEAD")), (Some(200), 200, 500));
    assert_eq!(statuses(Fault::on("*").after(2).once()), (Some(200), 500, 200));
    let hub = hub(Fault::on(FILE).once().kind(FaultKind::Cut(At::Half)));
    assert_eq!(request("HEAD", &url(&hub), NOBODY).status, 302, "a redirect has no body to cut");
    assert_eq!(fetch(&hub).end, End::Cut);
}
