//! Plain exchanges with a hub that shares no code with our own: its answers are written out as the real Hub gives them,
//! and its digests were computed by `sha256sum` and `git hash-object`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use model_provisioner::{
    Basis, DigestAlgorithm, Error, HubFetcher, HubSettings, ModelProvisioner, Network, Policy, ResolvedModel,
    Token, TransferSettings,
};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, query_param, query_param_is_missing},
};

const COMMIT: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334";

const WEIGHTS: &[u8] = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0tiny\n";
const WEIGHTS_SHA256: &str = "769df52e0fe93c5d220e0c9909e87a3ab9b380f8cc65c6a5034353a4e8ecc48a";
const WEIGHTS_ENTRY: &str = r#"{"type":"file","oid":"2f540e8f4edc7a6498ec260ea63eec55d607db85","size":29,
    "lfs":{"oid":"769df52e0fe93c5d220e0c9909e87a3ab9b380f8cc65c6a5034353a4e8ecc48a","size":29,"pointerSize":127},
    "xetHash":"3fd7c2a1d0a0b5c9e4f8a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091","path":"gguf/tiny Q8_0.gguf"}"#;

const CONFIG: &[u8] = b"{\"model_type\":\"tiny\"}\n";
const CONFIG_ENTRY: &str =
    r#"{"type":"file","oid":"9ad7b74e4cba7355811a595a2e179963435b6384","size":22,"path":"config.json"}"#;

const FOLDER_ENTRY: &str =
    r#"{"type":"directory","oid":"5c2b3a4d5e6f708192a3b4c5d6e7f8091a2b3c4d","size":0,"path":"gguf"}"#;

/// Holds a hub, a CDN on another host and port, and a cache.
struct Plain {
    hub: MockServer,
    cdn: MockServer,
    dir: tempfile::TempDir,
}

impl Plain {
    async fn empty() -> Self {
        Self {
            hub: MockServer::start().await,
            cdn: MockServer::start().await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Serves the repository `org/tiny`, without faults.
    async fn tiny() -> Self {
        let plain = Self::empty().await;
        plain.revision("org/tiny").await;
        plain.tree("org/tiny", &[FOLDER_ENTRY, WEIGHTS_ENTRY, CONFIG_ENTRY]).await;
        plain.weights("org/tiny").await;
        plain.small_file("org/tiny").await;
        plain
    }

    async fn on(&self, at: &str, answer: ResponseTemplate) {
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(&self.hub).await;
    }

    /// Serves an answer before all others, at most so many times.
    async fn first(&self, at: &str, times: u64, answer: ResponseTemplate) {
        let mock = Mock::given(method("GET")).and(path(at)).respond_with(answer);
        mock.up_to_n_times(times).with_priority(1).mount(&self.hub).await;
    }

    async fn revision(&self, repo: &str) {
        let json = format!(
            r#"{{"_id":"66e5a1b2c3d4e5f607182930","id":"{repo}","private":false,"pipeline_tag":"text-generation",
                "library_name":"gguf","tags":["gguf"],"downloads":12,"likes":3,"modelId":"{repo}","author":"org",
                "sha":"{COMMIT}","lastModified":"2026-01-02T03:04:05.000Z","gated":false,"disabled":false,
                "siblings":[{{"rfilename":"config.json"}},{{"rfilename":"gguf/tiny Q8_0.gguf"}}]}}"#
        );
        self.on(&format!("/api/models/{repo}/revision/main"), document(200, &json)).await;
    }

    async fn tree(&self, repo: &str, entries: &[&str]) {
        let json = format!("[{}]", entries.join(","));
        let at = format!("/api/models/{repo}/tree/{COMMIT}");
        self.on(&at, document(200, &json)).await;
    }

    /// Serves a large file: the hub redirects to a signed address of the CDN, which knows ranges.
    async fn weights(&self, repo: &str) {
        let signed = format!("{}/repos/aa/bb/{WEIGHTS_SHA256}?Expires=9&Signature=secret", self.cdn.uri());
        let found = ResponseTemplate::new(302)
            .insert_header("Location", signed.as_str())
            .insert_header("X-Repo-Commit", COMMIT)
            .insert_header("X-Linked-Size", "29")
            .insert_header("X-Linked-ETag", format!("\"{WEIGHTS_SHA256}\""))
            .insert_header("Accept-Ranges", "bytes")
            .set_body_string(format!("Found. Redirecting to {signed}"));
        self.on(&format!("/{repo}/resolve/{COMMIT}/gguf/tiny%20Q8_0.gguf"), found).await;
        Mock::given(method("GET"))
            .and(path(format!("/repos/aa/bb/{WEIGHTS_SHA256}")))
            .and(query_param("Signature", "secret"))
            .respond_with(|request: &Request| ranged(request, WEIGHTS))
            .mount(&self.cdn)
            .await;
    }

    /// Serves a small file: the hub redirects to another of its own addresses, without its host's name.
    async fn small_file(&self, repo: &str) {
        let cached = format!("/api/resolve-cache/models/{repo}/{COMMIT}/config.json");
        let moved = ResponseTemplate::new(307)
            .insert_header("Location", cached.as_str())
            .insert_header("X-Repo-Commit", COMMIT);
        self.on(&format!("/{repo}/resolve/{COMMIT}/config.json"), moved).await;
        let bytes = ResponseTemplate::new(200)
            .insert_header("ETag", "\"9ad7b74e4cba7355811a595a2e179963435b6384\"")
            .insert_header("X-Repo-Commit", COMMIT)
            .set_body_raw(CONFIG, "text/plain; charset=utf-8");
        self.on(&cached, bytes).await;
    }

    fn provisioner(&self, token: Option<&str>) -> ModelProvisioner {
        let settings = HubSettings::new(Some(&self.hub.uri())).unwrap().xet(false);
        let settings = settings.token(token.and_then(Token::new));
        ModelProvisioner::builder(self.dir.path().join("cache"))
            .fetcher(HubFetcher::new(settings))
            .policy(Policy { network: Network::Allow, ..Policy::default() })
            .transfer(TransferSettings {
                chunk_bytes: 10,
                retries: 3,
                pause: Duration::from_millis(5),
                ..TransferSettings::default()
            })
            .build()
            .unwrap()
    }

    async fn ensure(&self, id: &str) -> Result<ResolvedModel, Error> {
        self.provisioner(None).ensure_present_str(id, None).await
    }

    /// Ensures a model, expects a failure, and returns its code, its message and its hint.
    async fn refused(&self, id: &str, token: Option<&str>) -> (&'static str, String, String) {
        let error = self.provisioner(token).ensure_present_str(id, None).await.unwrap_err();
        assert!(!self.dir.path().join("cache/store-v1/blobs").exists(), "{error}");
        (
            error.code().as_str(),
            error.to_string(),
            error.hint().map(|hint| hint.to_string()).unwrap_or_default(),
        )
    }
}

fn document(status: u16, json: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(json.to_owned(), "application/json; charset=utf-8")
}

/// Returns an answer in which the Hub refuses.
fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    document(status, &format!(r#"{{"error":"{message}"}}"#))
        .insert_header("X-Error-Code", code)
        .insert_header("X-Error-Message", message)
}

/// Returns all bytes, or the range that the request names (RFC 9110, section 14).
fn ranged(request: &Request, all: &[u8]) -> ResponseTemplate {
    let etag = "\"c0ffee-1\"";
    let Some(range) = request.headers.get("range") else {
        return ResponseTemplate::new(200)
            .insert_header("ETag", etag)
            .set_body_raw(all, "binary/octet-stream");
    };
    let (first, last) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(usize::MAX).min(all.len() - 1);
    ResponseTemplate::new(206)
        .insert_header("ETag", etag)
        .insert_header("Content-Range", format!("bytes {first}-{last}/{}", all.len()))
        .set_body_raw(&all[first..=last], "binary/octet-stream")
}

#[tokio::test]
async fn a_repository_arrives_with_the_digests_that_others_compute() {
    let plain = Plain::tiny().await;
    let model = plain.ensure("hf:org/tiny?include=*").await.unwrap();
    assert_eq!(model.revision.as_deref(), Some(COMMIT));
    assert_eq!(model.verification.basis, Some(Basis::Source));
    assert_eq!(fs_err::read(model.local_path.join("gguf/tiny Q8_0.gguf")).unwrap(), WEIGHTS);
    assert_eq!(fs_err::read(model.local_path.join("config.json")).unwrap(), CONFIG);
    let digests: Vec<_> = model.files.iter().map(|file| file.sha256.as_ref().unwrap().hex()).collect();
    let config_sha256 = "8fa0bf8d7636b4470d2f3bf19ac91aa987b0e6a8a19a46d6237f42482d41012f";
    assert_eq!(digests, [config_sha256, WEIGHTS_SHA256]);
    // sha256sum of the two lines that it prints for the two files.
    let tree = "336cee30a06cceae70c1710e0723d758d7d6180b23815319b6a5186a197edefe";
    assert_eq!(
        model.digest.as_ref().map(|digest| (digest.algorithm(), digest.hex())),
        Some((DigestAlgorithm::Sha256Tree, tree.to_owned()))
    );
    let ranges = plain.cdn.received_requests().await.unwrap();
    assert_eq!(ranges.len(), 3, "29 bytes in chunks of 10");
}

#[tokio::test]
async fn the_token_is_for_the_hub_and_not_for_its_cdn() {
    let plain = Plain::tiny().await;
    plain.provisioner(Some("hf_secret")).ensure_present_str("hf:org/tiny?include=*", None).await.unwrap();
    for seen in plain.hub.received_requests().await.unwrap() {
        assert_eq!(seen.headers.get("authorization").unwrap(), "Bearer hf_secret", "{}", seen.url);
    }
    for seen in plain.cdn.received_requests().await.unwrap() {
        assert!(!seen.headers.contains_key("authorization"), "{}", seen.url);
    }
}

#[tokio::test]
async fn a_repository_in_other_letter_case_is_followed() {
    let plain = Plain::tiny().await;
    for (asked, there) in [
        ("/api/models/Org/Tiny/revision/main".to_owned(), "/api/models/org/tiny/revision/main".to_owned()),
        (
            format!("/api/models/Org/Tiny/tree/{COMMIT}"),
            format!("/api/models/org/tiny/tree/{COMMIT}?recursive=true"),
        ),
        (
            format!("/Org/Tiny/resolve/{COMMIT}/gguf/tiny%20Q8_0.gguf"),
            format!("/org/tiny/resolve/{COMMIT}/gguf/tiny%20Q8_0.gguf"),
        ),
    ] {
        plain.on(&asked, ResponseTemplate::new(307).insert_header("Location", there.as_str())).await;
    }
    let model = plain.ensure("hf:Org/Tiny:q8_0").await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), WEIGHTS);
}

#[tokio::test]
async fn a_listing_in_pages_is_read_to_its_end() {
    let plain = Plain::empty().await;
    plain.revision("org/tiny").await;
    plain.weights("org/tiny").await;
    plain.small_file("org/tiny").await;
    let at = format!("/api/models/org/tiny/tree/{COMMIT}");
    let next =
        format!("<{}{at}?recursive=true&limit=2&cursor=ZXlKbWFX%3D%3D>; rel=\"next\"", plain.hub.uri());
    let first = document(200, &format!("[{FOLDER_ENTRY},{CONFIG_ENTRY}]")).insert_header("Link", next);
    let page = || Mock::given(method("GET")).and(path(at.as_str()));
    page().and(query_param_is_missing("cursor")).respond_with(first).mount(&plain.hub).await;
    let last = document(200, &format!("[{WEIGHTS_ENTRY}]"));
    page().and(query_param("cursor", "ZXlKbWFX==")).respond_with(last).mount(&plain.hub).await;
    assert_eq!(plain.ensure("hf:org/tiny?include=*").await.unwrap().files.len(), 2);
}

#[tokio::test]
async fn a_listing_without_end_is_given_up() {
    let plain = Plain::empty().await;
    plain.revision("org/tiny").await;
    let (at, pages) = (format!("/api/models/org/tiny/tree/{COMMIT}"), AtomicUsize::new(0));
    let uri = format!("{}{at}", plain.hub.uri());
    // Pages without end: each lists a folder, of which the fetcher keeps nothing.
    let page = move |_: &Request| {
        let page = pages.fetch_add(1, Ordering::SeqCst);
        let oid = "5c2b3a4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
        let folder =
            |n| format!(r#"{{"type":"directory","oid":"{oid}","size":0,"path":"folder-{page}-{n}"}}"#);
        let json = format!("[{}]", (0..1000).map(folder).collect::<Vec<_>>().join(","));
        document(200, &json).insert_header("Link", format!("<{uri}?cursor={page}>; rel=\"next\""))
    };
    Mock::given(path(at.as_str())).respond_with(page).mount(&plain.hub).await;
    let (code, message, _) = plain.refused("hf:org/tiny", None).await;
    assert_eq!(code, "source-invalid");
    assert!(message.contains("does not end"), "{message}");
    assert_eq!(plain.hub.received_requests().await.unwrap().len(), 202, "a revision, and 201 pages");
}

#[tokio::test]
async fn refusals_have_their_codes_and_hints() {
    let revision = "/api/models/org/tiny/revision/main";
    let answered = async |answer: ResponseTemplate, token: Option<&str>| {
        let plain = Plain::empty().await;
        plain.on(revision, answer).await;
        plain.refused("hf:org/tiny", token).await
    };
    let missing = || refusal(401, "RepoNotFound", "Repository not found");
    let (code, message, hint) = answered(missing(), None).await;
    assert_eq!(code, "unauthorized");
    assert!(message.contains("Repository not found") && hint.contains("give a token"), "{message}: {hint}");
    let (code, _, hint) = answered(refusal(404, "RepoNotFound", "Repository not found"), Some("t")).await;
    assert_eq!(code, "not-found");
    assert!(hint.contains("name"), "{hint}");
    let (code, message, _) = answered(refusal(404, "RevisionNotFound", "Invalid rev id: main"), None).await;
    assert_eq!(code, "not-found");
    assert!(message.contains("Invalid rev id"), "{message}");

    let echo = refusal(401, "RepoNotFound", "Invalid token hf_secret");
    let (_, message, _) = answered(echo, Some("hf_secret")).await;
    assert!(message.contains("Invalid token ***"), "{message}");

    let plain = Plain::empty().await;
    plain.revision("org/tiny").await;
    plain.tree("org/tiny", &[WEIGHTS_ENTRY]).await;
    let at = format!("/org/tiny/resolve/{COMMIT}/gguf/tiny%20Q8_0.gguf");
    let said = "Access to model org/tiny is restricted and you are not in the authorized list.";
    plain.first(&at, 1, refusal(403, "GatedRepo", said)).await;
    let (code, message, hint) = plain.refused("hf:org/tiny:Q8_0", Some("t")).await;
    assert_eq!(code, "gated");
    assert!(message.contains("not in the authorized list") && hint.contains("licence"), "{message}: {hint}");
    plain.first(&at, 1, refusal(404, "EntryNotFound", "Entry not found")).await;
    let (code, message, _) = plain.refused("hf:org/tiny:Q8_0", None).await;
    assert_eq!(code, "not-found");
    assert!(message.contains("Entry not found"), "{message}");
}

/// Returns a date in that format, as `date` prints it.
fn in_two_seconds(format: &str) -> String {
    let date = Command::new("date").args(["-u", "-d", "2 seconds", format]).env("LC_ALL", "C").output();
    String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_busy_hub_is_left_alone_for_as_long_as_it_asks() {
    let revision = "/api/models/org/tiny/revision/main";
    let busy = |wait: &str| refusal(429, "TooManyRequests", "slow down").insert_header("Retry-After", wait);
    for wait in [None, Some("+%a, %d %b %Y %H:%M:%S GMT")] {
        let plain = Plain::tiny().await;
        let wait = wait.map_or_else(|| "1".to_owned(), in_two_seconds);
        plain.first(revision, 1, busy(&wait)).await;
        let begin = Instant::now();
        plain.ensure("hf:org/tiny:Q8_0").await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(900), "{wait}: {:?}", begin.elapsed());
    }
    let plain = Plain::empty().await;
    plain.on(revision, busy("3600")).await;
    let (code, _, hint) = plain.refused("hf:org/tiny", None).await;
    assert_eq!(code, "source-unavailable");
    assert!(
        hint.contains("3600 seconds"),
        "no call waits for an hour, and the hint tells a person so: {hint}"
    );
    assert_eq!(plain.hub.received_requests().await.unwrap().len(), 1);
}
