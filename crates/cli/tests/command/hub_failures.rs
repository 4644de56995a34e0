//! Each failure of a hub has its exit status, its code and its next step. The command reports it in reasonable time, and
//! leaves nothing behind that a later call could take for a model.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use testkit::{gguf, gguf_of};

use serde_json::{Value, json};
use testkit::{
    Hub,
    hub::{At, Fault, FaultKind, Origin, Refusal},
};

use crate::{
    fixture::{Fixture, finish},
    hub::{command, is_clean},
};

/// The longest that a person waits for news of a hub that fails for ever.
const SOON: Duration = Duration::from_secs(20);

/// Describes one case: the arguments, the hub, the token, and what the command says.
struct Case<'a> {
    id: &'a str,
    endpoint: Option<&'a str>,
    token: Option<&'a str>,
    status: i32,
    code: &'a str,
    retriable: bool,
    message: &'a str,
    hint: &'a str,
}

const fn case<'a>(id: &'a str, status: i32, code: &'a str, message: &'a str, hint: &'a str) -> Case<'a> {
    Case { id, endpoint: None, token: None, status, code, retriable: false, message, hint }
}

/// Makes a hub with a repository of each kind.
fn hub() -> Hub {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", gguf_of(100_000, 7)).file("config.json", "{}").publish();
    hub.repo("org/gated").lfs("a.gguf", gguf("x")).gated().publish();
    hub.repo("org/private").lfs("a.gguf", gguf("x")).private().publish();
    hub
}

#[track_caller]
fn check(case: &Case<'_>, faults: impl IntoIterator<Item = Fault>) -> (Fixture, Hub, Duration) {
    let (bench, hub) = (Fixture::new(), hub());
    faults.into_iter().for_each(|fault| hub.fault(fault));
    let endpoint = hub.endpoint();
    let endpoint = case.endpoint.unwrap_or(&endpoint);
    let mut command = command(&bench, endpoint, &["ensure", case.id, "--json"]);
    if let Some(token) = case.token {
        command.env("HF_TOKEN", token);
    }
    let begin = Instant::now();
    let done = finish(&mut command);
    let took = begin.elapsed();
    let what = format!("{} of {endpoint}: {}{}", case.id, done.stdout, done.stderr);
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{what}"));
    let error = &document["error"];
    assert_eq!((done.status, &error["code"]), (case.status, &json!(case.code)), "{what}");
    assert_eq!(error["retriable"], case.retriable, "{what}");
    assert!(error["message"].as_str().unwrap().contains(case.message), "{what}");
    assert!(error["hint"].as_str().unwrap_or_default().contains(case.hint), "{what}");
    assert!(took < SOON, "{took:?}: {what}");
    assert!(!done.stdout.contains("hf_secret") && !done.stderr.contains("hf_secret"), "{what}");
    assert_eq!(bench.json(&["list"]), json!([]), "{what}");
    assert!(!bench.cache().join("store-v1/blobs").exists(), "{what}");
    assert!(!bench.cache().join("store-v1/models").exists(), "{what}");
    bench.has_no_temporary_files();
    (bench, hub, took)
}

const A: &str = "hf:org/repo/a.gguf";

fn refuse(status: u16) -> FaultKind {
    FaultKind::Refuse(Refusal::status(status))
}

#[test]
fn what_the_hub_refuses() {
    let without_token = |id, hint| case(id, 7, "unauthorized", "answered 401", hint);
    check(&without_token("hf:org/absent", "set HF_TOKEN"), []);
    check(&without_token("hf:org/private/a.gguf", "set HF_TOKEN"), []);
    let licence = "accept the licence on the model's page, then set HF_TOKEN";
    let gated = |message| case("hf:org/gated/a.gguf", 7, "gated", message, licence);
    check(&gated("answered 401: Access to model org/gated is restricted"), []);
    check(&Case { token: Some("hf_secret"), ..gated("answered 403: Access to model org/gated") }, []);
    let absent = case("hf:org/absent", 3, "not-found", "Repository not found", "check the repository's name");
    check(&Case { token: Some("hf_secret"), ..absent }, []);
    check(&case("hf:org/repo@nowhere/a.gguf", 3, "not-found", "Invalid rev id: nowhere", "its revision"), []);
    check(&case("hf:org/repo/b.gguf", 3, "not-found", "b.gguf", "there are: `a.gguf`"), []);
    let gone = FaultKind::Refuse(Refusal::status(404).error("EntryNotFound", "Entry not found"));
    check(&case(A, 3, "not-found", "Entry not found", "and the file"), [Fault::on("a.gguf").kind(gone)]);
    let stranger = case(A, 7, "unauthorized", "answered 401", "the token that was given may not read it");
    check(&Case { token: Some("hf_secret"), ..stranger }, [Fault::on("/api/").kind(refuse(401))]);
}

#[test]
fn what_does_not_pass() {
    let failing = |message, hint| Case { retriable: true, ..case(A, 6, "source-unavailable", message, hint) };
    thread::scope(|scope| {
        for pattern in ["/api/", "a.gguf"] {
            let (case, fault) = (failing("answered 500", "try again"), Fault::on(pattern).kind(refuse(500)));
            scope.spawn(move || check(&case, [fault]));
        }
    });
    let (_, hub, took) = check(
        &failing("answered 429", "wait 3600 seconds"),
        [Fault::on("/api/").kind(FaultKind::Refuse(Refusal::status(429).retry_after_s(3600)))],
    );
    assert!(hub.requests().len() == 1 && took < Duration::from_secs(5), "{took:?}");
    let nonsense = |message, hint| case(A, 6, "source-invalid", message, hint);
    check(
        &nonsense("redirects for ever", "HF_ENDPOINT"),
        [Fault::on("/api/").kind(FaultKind::RedirectToSelf)],
    );
    check(
        &nonsense("redirects for ever", "HF_ENDPOINT"),
        [Fault::on("a.gguf").kind(FaultKind::RedirectToSelf)],
    );
    check(&nonsense("no document came", ""), [Fault::on("/api/").kind(FaultKind::HtmlPage)]);
    check(&nonsense("it sent a web page", ""), [Fault::on("a.gguf").kind(FaultKind::HtmlPage)]);
}

#[test]
fn a_wrong_byte() {
    let flipped = Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(5));
    let (bench, hub, _) = check(&case(A, 4, "digest-mismatch", "expected sha256:", ""), [flipped]);
    is_clean(&bench);
    assert_eq!(hub.bytes_sent("a.gguf"), 200_000, "it was fetched once more, and not again");
}

#[test]
fn what_cannot_be_reached() {
    let unreachable = |endpoint, message| Case {
        endpoint: Some(endpoint),
        retriable: true,
        ..case(A, 6, "source-unavailable", message, "check the network")
    };
    let (_, _, took) = check(&unreachable("http://127.0.0.1:1", "refused"), []);
    assert!(took < Duration::from_secs(4), "the command says at once that no hub listens: {took:?}");
    check(&unreachable("http://hub.invalid", "connecting to `http://hub.invalid/"), []);
    let https = speaks_plainly();
    let tls = case(A, 6, "source-invalid", "TLS with `https://127.0.0.1", "HF_ENDPOINT");
    let (_, _, took) = check(&Case { endpoint: Some(&https), ..tls }, []);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// Returns the address of a server that should speak TLS, and answers in plain HTTP.
fn speaks_plainly() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    format!("https://{address}")
}

#[test]
fn a_server_that_says_nothing_is_given_up_after_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let bench = Fixture::new();
    let args = ["ensure", A, "--timeout", "100ms", "--json"];
    let begin = Instant::now();
    let done = finish(&mut command(&bench, &endpoint, &args));
    assert!(done.status == 6 && done.stdout.contains("source-unavailable"), "{}", done.stdout);
    assert!(begin.elapsed() < SOON, "30 seconds are the default, for each try: {:?}", begin.elapsed());
    let (bench, hub) = (Fixture::new(), hub());
    hub.fault(Fault::on("a.gguf").at(Origin::Cdn).once().kind(FaultKind::Stall(At::Half, None)));
    let begin = Instant::now();
    let done = finish(&mut command(&bench, &hub.endpoint(), &["ensure", A, "--timeout", "200ms"]));
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(
        begin.elapsed() < SOON,
        "the silent connection was left, and the rest came: {:?}",
        begin.elapsed()
    );
}

#[test]
fn what_passes() {
    let check = |faults: Vec<Fault>, at_least: Duration| {
        let (bench, hub) = (Fixture::new(), hub());
        let told = format!("{faults:?}");
        for fault in faults {
            hub.fault(fault);
        }
        let begin = Instant::now();
        let done = finish(&mut command(&bench, &hub.endpoint(), &["ensure", A]));
        assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{told}");
        assert!(begin.elapsed() >= at_least, "{told}: {:?}", begin.elapsed());
        assert!(begin.elapsed() < SOON, "{told}: {:?}", begin.elapsed());
        assert_eq!(fs_err::read(done.stdout.trim()).unwrap(), gguf_of(100_000, 7), "{told}");
        is_clean(&bench);
    };
    thread::scope(|scope| {
        for pattern in ["/api/", "a.gguf"] {
            scope.spawn(move || {
                check(vec![Fault::on(pattern).times(3).kind(refuse(503))], Duration::from_secs(2));
            });
            let busy = FaultKind::Refuse(Refusal::status(429).retry_after_s(2));
            scope.spawn(move || check(vec![Fault::on(pattern).once().kind(busy)], Duration::from_secs(2)));
            let later = FaultKind::Refuse(Refusal::status(503).retry_after_date(Duration::from_secs(3)));
            scope.spawn(move || check(vec![Fault::on(pattern).once().kind(later)], Duration::from_secs(1)));
        }
    });
}

#[test]
fn the_token_goes_along_no_redirect_to_another_host() {
    for pattern in ["/api/", "a.gguf"] {
        let (bench, hub, other) = (Fixture::new(), hub(), hub());
        hub.fault(Fault::on(pattern).at(Origin::Hub).kind(FaultKind::RedirectTo(other.endpoint())));
        let done = finish(command(&bench, &hub.endpoint(), &["ensure", A]).env("HF_TOKEN", "hf_secret"));
        assert_eq!(done.status, 0, "{}", done.stderr);
        let bearer = Some("Bearer hf_secret");
        assert!(
            hub.requests()
                .iter()
                .filter(|seen| seen.origin == Origin::Hub)
                .all(|seen| seen.authorization.as_deref() == bearer)
        );
        assert!(other.requests().iter().any(|seen| seen.origin == Origin::Hub), "{pattern}: it was followed");
        for seen in
            other.requests().iter().chain(hub.requests().iter().filter(|seen| seen.origin == Origin::Cdn))
        {
            assert_eq!(seen.authorization, None, "{pattern}: {}", seen.path);
        }
    }
}

#[test]
#[ignore = "needs openssl; .ci/run installs it"]
fn a_certificate_that_nobody_signed() {
    let bench = Fixture::new();
    let openssl = |args: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        command.args(args).current_dir(bench.path("")).stderr(Stdio::null());
        command
    };
    let made = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-days",
        "2",
    ])
    .status();
    assert!(made.unwrap().success());
    let mut server =
        openssl(&["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-www"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned));
    let endpoint = format!("https://127.0.0.1:{}", port.unwrap());
    let tls = case(A, 6, "source-invalid", "TLS with `https://127.0.0.1", "SSL_CERT_FILE");
    check(&Case { endpoint: Some(&endpoint), ..tls }, []);
    let trusted = finish(
        command(&bench, &endpoint, &["ensure", A, "--json"]).env("SSL_CERT_FILE", bench.path("cert.pem")),
    );
    assert!(trusted.stdout.contains("no document came"), "its page is no listing: {}", trusted.stdout);
    server.kill().unwrap();
    server.wait().unwrap();
}
