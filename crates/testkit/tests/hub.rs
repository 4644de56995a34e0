//! The hub speaks the protocol, and counts.

mod wire;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use testkit::{
    Hub,
    hub::{Origin, Synthetic},
};

use crate::wire::{Client, End, follow, get, request};

const CONFIG: &[u8] = b"{\"model_type\":\"llama\"}\n";
const NOBODY: &[(&str, &str)] = &[];

fn weights() -> Vec<u8> {
    (0..5000u32).flat_map(u32::to_le_bytes).collect()
}

fn hub() -> (Hub, String) {
    let hub = Hub::start();
    let commit = hub.repo("Org/Name").file("config.json", CONFIG).lfs("sub/w.gguf", weights()).publish();
    (hub, commit.to_string())
}

#[test]
fn a_revision_is_resolved_to_its_commit() {
    let (hub, commit) = hub();
    let other = hub.repo("Org/Name").file("a", "2").branch("feature/x").tag("v1").publish();
    assert_ne!(commit, *other);
    for (revision, expected) in
        [("main", &*commit), (&commit, &commit), ("feature%2Fx", &other), ("v1", &other), (&other, &other)]
    {
        let info = get(&format!("{}/api/models/Org/Name/revision/{revision}", hub.endpoint()), NOBODY);
        assert_eq!(info.status, 200);
        assert_eq!(info.json()["sha"], *expected, "{revision}");
    }
    let info = get(&format!("{}/api/models/Org/Name", hub.endpoint()), NOBODY).json();
    assert_eq!(info["sha"], commit);
    assert_eq!((&info["gated"], &info["private"]), (&json!(false), &json!(false)));
    assert_eq!(info["siblings"], json!([{ "rfilename": "config.json" }, { "rfilename": "sub/w.gguf" }]));
    let again = hub.repo("Org/Name").file("a", "2").publish();
    assert_eq!(again, other, "the same files make the same commit");
}

#[test]
fn a_file_from_disk_lies_in_xet_too() {
    let (hub, folder) = (Hub::start(), tempfile::tempdir().unwrap());
    let (path, sha256) = (folder.path().join("w.gguf"), hex::encode(Sha256::digest(weights())));
    fs_err::write(&path, weights()).unwrap();
    let commit = hub.repo("Org/Name").xet_from_path("w.gguf", &path, &sha256, "abc").publish();
    hub.xet_cas("http://127.0.0.1:1");
    let api = format!("{}/api/models/Org/Name", hub.endpoint());
    let tree = get(&format!("{api}/tree/{commit}"), NOBODY).json();
    assert_eq!((&tree[0]["xetHash"], &tree[0]["lfs"]["oid"]), (&json!("abc"), &json!(sha256)));
    let token = get(&format!("{api}/xet-read-token/{commit}"), NOBODY);
    // The Hub's own tools read the headers.
    assert_eq!(token.header("X-Xet-Cas-Url"), token.json()["casUrl"].as_str());
    assert_eq!(token.header("X-Xet-Access-Token"), token.json()["accessToken"].as_str());
    assert_eq!(token.header("X-Xet-Token-Expiration"), Some(&*token.json()["exp"].to_string()));
    let plain = follow(&format!("{}/Org/Name/resolve/main/w.gguf", hub.endpoint()), NOBODY);
    assert_eq!(plain.body, weights());
}

#[test]
fn the_tree_has_sizes_and_digests() {
    let (hub, commit) = hub();
    let answer = get(&format!("{}/api/models/Org/Name/tree/{commit}?recursive=true", hub.endpoint()), NOBODY);
    assert_eq!(answer.header("Link"), None);
    let tree = answer.json();
    // `printf '{"model_type":"llama"}\n' | git hash-object --stdin`
    let oid = "479e18224e7827e7909c8a78f287e3306c1de8bb";
    assert_eq!(tree[0], json!({ "type": "file", "oid": oid, "size": CONFIG.len(), "path": "config.json" }));
    assert_eq!((&tree[1]["type"], &tree[1]["path"]), (&json!("directory"), &json!("sub")));
    assert_eq!(tree[2]["lfs"]["oid"], hex::encode(Sha256::digest(weights())));
    assert_eq!((&tree[2]["size"], &tree[2]["lfs"]["size"]), (&json!(20_000), &json!(20_000)));
    assert_ne!(tree[2]["oid"], tree[2]["lfs"]["oid"]);
    let flat = get(&format!("{}/api/models/Org/Name/tree/main", hub.endpoint()), NOBODY).json();
    assert_eq!(flat.as_array().unwrap().len(), 2);
    let folder = get(&format!("{}/api/models/Org/Name/tree/main/sub", hub.endpoint()), NOBODY).json();
    assert_eq!(folder[0]["path"], "sub/w.gguf");
    assert_eq!(get(&format!("{}/api/models/Org/Name/tree/main/no", hub.endpoint()), NOBODY).status, 404);
}

#[test]
fn a_long_tree_comes_in_pages() {
    let hub = Hub::start();
    let files = (0..25).fold(hub.repo("a/b"), |repo, n| repo.file(&format!("{n:02}"), "x"));
    files.publish();
    hub.page_size(10);
    let mut url = format!("{}/api/models/a/b/tree/main?recursive=true&expand=false", hub.endpoint());
    let (mut paths, mut pages) = (Vec::new(), 0);
    loop {
        let answer = get(&url, NOBODY);
        pages += 1;
        paths.extend(answer.json().as_array().unwrap().iter().map(|entry| entry["path"].to_string()));
        let Some(link) = answer.header("Link") else { break };
        url = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!((paths.len(), pages), (25, 3));
    paths.dedup();
    assert_eq!(paths.len(), 25);
    let smaller = get(&format!("{}/api/models/a/b/tree/main?limit=4", hub.endpoint()), NOBODY).json();
    assert_eq!(smaller.as_array().unwrap().len(), 4);
}

#[test]
fn a_small_file_comes_from_the_hub() {
    let (hub, commit) = hub();
    let url = format!("{}/Org/Name/resolve/main/config.json", hub.endpoint());
    let answer = get(&url, NOBODY);
    assert_eq!((answer.status, answer.body.as_slice(), answer.end), (200, CONFIG, End::Whole));
    assert_eq!(answer.header("ETag"), Some("\"479e18224e7827e7909c8a78f287e3306c1de8bb\""));
    assert_eq!(answer.header("X-Repo-Commit"), Some(&*commit));
    let head = request("HEAD", &url, NOBODY);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), Some(&*CONFIG.len().to_string()));
    let part = get(&url, &[("Range", "bytes=2-5"), ("If-Range", "\"another\"")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &CONFIG[2..6]));
    hub.redirects_small_files(true);
    let redirect = get(&url, NOBODY);
    assert_eq!(redirect.status, 307);
    assert!(redirect.header("Location").unwrap().starts_with("/api/resolve-cache/"));
    assert_eq!(follow(&url, NOBODY).body, CONFIG);
}

#[test]
fn a_large_file_comes_from_the_cdn() {
    let (hub, commit) = hub();
    let url = format!("{}/Org/Name/resolve/{commit}/sub/w.gguf", hub.endpoint());
    let redirect = get(&url, NOBODY);
    let sha256 = hex::encode(Sha256::digest(weights()));
    assert_eq!((redirect.status, redirect.body.len()), (302, 0));
    assert_eq!(redirect.header("X-Linked-ETag"), Some(&*format!("\"{sha256}\"")));
    assert_eq!(redirect.header("X-Linked-Size"), Some("20000"));
    assert_eq!(redirect.header("X-Repo-Commit"), Some(&*commit));
    let signed = redirect.header("Location").unwrap();
    assert!(signed.starts_with(&hub.cdn_endpoint()));
    let whole = get(signed, NOBODY);
    assert_eq!((whole.status, whole.body.as_slice()), (200, weights().as_slice()));
    assert_eq!(whole.header("X-Repo-Commit"), None);
    assert_eq!(get(&signed.replace("Signature=", "Signature=0"), NOBODY).status, 403);
    assert_eq!(get(&signed.replace(&sha256, &"0".repeat(64)), NOBODY).status, 403);
}

#[test]
fn ranges_are_those_of_rfc_9110() {
    let (hub, _) = hub();
    let url = get(&format!("{}/Org/Name/resolve/main/sub/w.gguf", hub.endpoint()), NOBODY);
    let url = url.header("Location").unwrap();
    let bytes = weights();
    for (asked, expected) in [
        ("0-0", 0..1),
        ("0-", 0..20_000),
        ("100-199", 100..200),
        ("19999-", 19_999..20_000),
        ("19990-99999", 19_990..20_000),
        ("-7", 19_993..20_000),
    ] {
        let answer = get(url, &[("Range", &format!("bytes={asked}"))]);
        assert_eq!(answer.status, 206, "{asked}");
        let content_range = format!("bytes {}-{}/20000", expected.start, expected.end - 1);
        assert_eq!(answer.header("Content-Range"), Some(&*content_range));
        assert_eq!(answer.body, bytes[expected], "{asked}");
    }
    let past = get(url, &[("Range", "bytes=20000-")]);
    assert_eq!((past.status, past.header("Content-Range")), (416, Some("bytes */20000")));
    assert_eq!(get(url, &[("Range", "bytes=0-1,5-6")]).status, 200);
}

#[test]
fn odd_names_and_letter_case() {
    let hub = Hub::start();
    hub.repo("Org/Name").file("a b/[x]#?%25.txt", "odd").file("empty", "").publish();
    hub.repo("gpt2").file("config.json", "old").publish();
    let url = format!("{}/Org/Name/resolve/main/a%20b/%5Bx%5D%23%3F%2525.txt", hub.endpoint());
    assert_eq!(get(&url, NOBODY).body, b"odd");
    assert!(hub.requests()[0].is_for("a b/[x]#?%25.txt"));
    hub.redirects_small_files(true);
    assert_eq!(follow(&url, NOBODY).body, b"odd");
    hub.redirects_small_files(false);
    let empty = get(&format!("{}/Org/Name/resolve/main/empty", hub.endpoint()), NOBODY);
    assert_eq!((empty.status, empty.body.len(), empty.end), (200, 0, End::Whole));
    for path in ["/api/models/org/name/revision/main", "/org/name/resolve/main/empty"] {
        let other_case = get(&format!("{}{path}", hub.endpoint()), NOBODY);
        assert_eq!(other_case.status, 307);
        assert_eq!(other_case.header("Location"), Some(&*path.replace("org/name", "Org/Name")));
    }
    assert_eq!(get(&format!("{}/gpt2/resolve/main/config.json", hub.endpoint()), NOBODY).body, b"old");
    assert_eq!(get(&format!("{}/api/models/gpt2", hub.endpoint()), NOBODY).json()["id"], "gpt2");
}

#[test]
fn refusals_say_why() {
    let hub = Hub::start();
    hub.grant("hf_mine");
    hub.repo("a/open").file("x", "x").publish();
    hub.repo("a/gated").file("x", "x").gated().publish();
    hub.repo("a/private").file("x", "x").private().publish();
    let (stranger, mine) = ([("Authorization", "Bearer hf_other")], [("Authorization", "Bearer hf_mine")]);
    let check = |path: &str, headers: &[(&str, &str)], status: u16, code: Option<&str>| {
        let answer = get(&format!("{}{path}", hub.endpoint()), headers);
        assert_eq!((answer.status, answer.header("X-Error-Code")), (status, code), "{path} {headers:?}");
        assert_eq!(answer.header("X-Error-Message").is_some(), code.is_some());
    };
    for path in ["/api/models/a/private", "/a/private/resolve/main/x", "/api/models/a/none"] {
        check(path, NOBODY, 401, Some("RepoNotFound"));
        check(path, &stranger, 404, Some("RepoNotFound"));
    }
    check("/api/models/a/private", &mine, 200, None);
    check("/a/private/resolve/main/x", &mine, 200, None);
    check("/api/models/a/gated", NOBODY, 200, None);
    check("/a/gated/resolve/main/x", NOBODY, 401, Some("GatedRepo"));
    check("/a/gated/resolve/main/x", &stranger, 403, Some("GatedRepo"));
    check("/a/gated/resolve/main/x", &mine, 200, None);
    check("/api/models/a/open/revision/no", NOBODY, 404, Some("RevisionNotFound"));
    check("/a/open/resolve/no/x", NOBODY, 404, Some("RevisionNotFound"));
    check("/a/open/resolve/main/no", NOBODY, 404, Some("EntryNotFound"));
    check("/nothing/like/this", NOBODY, 404, None);
}

#[test]
fn everything_is_counted() {
    let (hub, _) = hub();
    let url = format!("{}/Org/Name/resolve/main/sub/w.gguf", hub.endpoint());
    let signed = get(&url, &[("Authorization", "Bearer t")]).header("Location").unwrap().to_owned();
    get(&signed, &[("Range", "bytes=10-19"), ("Authorization", "Bearer leak"), ("X-Mine", "1")]);
    let seen = hub.requests();
    assert_eq!((seen[0].origin, seen[0].status, seen[0].range), (Origin::Hub, 302, None));
    assert_eq!((seen[1].origin, seen[1].status, seen[1].range), (Origin::Cdn, 206, Some((10, Some(19)))));
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer t"));
    assert_eq!(seen[1].authorization.as_deref(), Some("Bearer leak"));
    assert_eq!(seen[1].header("x-mine"), Some("1"));
    assert!(seen.iter().all(|seen| seen.method == "GET" && seen.is_for("sub/w.gguf")));
    assert!(seen[1].raw_target.contains("Signature="));
    assert_eq!((hub.bytes_sent("sub/w.gguf"), hub.bytes_sent("config.json")), (10, 0));
    assert_eq!(hub.count(|seen| seen.origin == Origin::Cdn), 1);
    hub.cdn_refuses_authorization(true);
    assert_eq!(get(&signed, &[("Authorization", "Bearer leak")]).status, 400);
    assert_eq!(get(&signed, NOBODY).status, 200);
    hub.reset_counts();
    assert_eq!((hub.requests().len(), hub.bytes_sent("sub/w.gguf")), (0, 0));
}

#[test]
fn a_connection_serves_many_requests_and_many_are_counted() {
    let (hub, _) = hub();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::open(&hub.endpoint())).collect();
    for client in &mut clients {
        for _ in 0..4 {
            let answer = client.exchange("GET", "/Org/Name/resolve/main/config.json", NOBODY);
            assert_eq!((answer.status, answer.body.as_slice()), (200, CONFIG));
        }
    }
    assert_eq!((hub.peak_connections(), hub.requests().len()), (3, 12));
    let closed = clients[0].exchange("GET", "/Org/Name/resolve/main/config.json", &[("Connection", "close")]);
    assert_eq!(closed.status, 200);
    assert_eq!(clients[0].rest(), (Vec::new(), End::Cut));
}

#[test]
fn synthetic_files_and_files_on_disk_are_sent_by_range() {
    let hub = Hub::start();
    let synthetic = Synthetic { size_bytes: 40 << 20, seed: 9 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    fs_err::write(&path, synthetic.bytes(0..3 << 20)).unwrap();
    let publication = hub.repo("a/b").lfs_synthetic("s.gguf", synthetic.size_bytes, synthetic.seed);
    publication.lfs_from_path("d.gguf", &path, &"ab".repeat(32)).publish();
    let tree = get(&format!("{}/api/models/a/b/tree/main", hub.endpoint()), NOBODY).json();
    assert_eq!(tree[1]["lfs"]["oid"], synthetic.sha256());
    assert_eq!(tree[0]["lfs"], json!({ "oid": "ab".repeat(32), "size": 3 << 20, "pointerSize": 132 }));
    for name in ["s.gguf", "d.gguf"] {
        let url = format!("{}/a/b/resolve/main/{name}", hub.endpoint());
        let part = follow(&url, &[("Range", "bytes=1048570-2500000")]);
        assert_eq!(part.body, synthetic.bytes(1_048_570..2_500_001), "{name}");
    }
    let whole = follow(&format!("{}/a/b/resolve/main/s.gguf", hub.endpoint()), NOBODY);
    assert_eq!(hex::encode(Sha256::digest(&whole.body)), synthetic.sha256());
    assert_eq!(whole.body.len() as u64, synthetic.size_bytes);
}

#[test]
fn a_rate_is_kept_per_connection() {
    let hub = Hub::start();
    hub.repo("a/b").file("x", vec![1; 200_000]).publish();
    hub.limit_rate(Some(1_000_000));
    let begin = std::time::Instant::now();
    let get_x = || get(&format!("{}/a/b/resolve/main/x", hub.endpoint()), NOBODY).body.len();
    std::thread::scope(|scope| {
        let all = [(); 10].map(|()| scope.spawn(get_x));
        assert!(all.into_iter().all(|one| one.join().unwrap() == 200_000));
    });
    let took = begin.elapsed().as_secs_f64();
    assert!(took > 0.15, "each is held back: {took} s");
    assert!(took < 1.5, "and not by the others: {took} s");
}

#[tokio::test]
async fn it_runs_within_a_runtime_and_stops_when_dropped() {
    let (hub, _) = hub();
    let endpoint = hub.endpoint();
    assert_eq!(get(&format!("{endpoint}/Org/Name/resolve/main/config.json"), NOBODY).status, 200);
    let mut open = Client::open(&endpoint);
    open.exchange("GET", "/api/models/Org/Name", NOBODY);
    drop(hub);
    assert!(std::net::TcpStream::connect(endpoint.trim_start_matches("http://")).is_err());
    assert_ne!(open.rest().1, End::Stalled);
}
