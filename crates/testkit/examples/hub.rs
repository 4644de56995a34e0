//! Serves folders as repos of a hub, for benchmarks and for trying other clients:
//!
//! ```console
//! $ cargo run --release -p testkit --example hub -- --port 8080 --repo org/name=DIR [--limit-rate BYTES_PER_S]
//! $ HF_ENDPOINT=http://127.0.0.1:8080 hf download org/name
//! ```
//!
//! With `--tls FILE` it speaks TLS, with HTTP/2 and HTTP/1.1 on offer, and writes its certificate into that file: clients trust
//! it by `SSL_CERT_FILE=FILE`, curl by `--cacert FILE`. With `--latency-ms MS` it waits before each answer.
//!
//! Weights and files of 1 MiB and more are large files, behind the CDN; the others are small ones. With `--cas URL` the files that
//! `--xet NAME=HASH` names lie in Xet too, in the storage server at that address.
//!
//! With `--steered yes` it reads commands from its standard input, one a line, and ends with that. To `counts` it answers with a
//! line of JSON: the requests, the connections, the most connections at once, and the bytes of bodies since the last `counts`.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for developers")]

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use testkit::{
    Hub,
    hub::{At, Fault, FaultKind, Protocol, Publication, Seen},
};

const LARGE: u64 = 1 << 20;
const USAGE: &str = "--port P --repo org/name=DIR … [--limit-rate BYTES_PER_S] [--latency-ms MS] [--tls FILE]
    [--cas URL --xet NAME=HASH …] [--steered yes]";

#[derive(Default)]
struct Options {
    port: u16,
    rate: Option<u64>,
    latency: Option<Duration>,
    tls: Option<PathBuf>,
    repos: Vec<(String, PathBuf)>,
    cas: Option<String>,
    /// The hashes of files in Xet, by their names.
    xet: BTreeMap<String, String>,
    is_steered: bool,
}

fn main() {
    let options = Options::read(std::env::args().skip(1));
    let hub = match options.tls {
        Some(_) => Hub::start_tls_at(options.port, &[Protocol::Http2, Protocol::Http1]),
        None => Hub::start_at(options.port),
    };
    if let (Some(path), Some(certificate)) = (&options.tls, hub.certificate()) {
        fs_err::write(path, certificate).expect("a file that can be written");
    }
    hub.limit_rate(options.rate);
    if let Some(latency) = options.latency {
        hub.fault(Fault::on("*").may_miss().kind(FaultKind::Stall(At::BeforeHead, Some(latency))));
    }
    if let Some(cas) = &options.cas {
        hub.xet_cas(cas);
    }
    for (id, folder) in &options.repos {
        let commit = options.add(hub.repo(id), folder, "").publish();
        println!("{id} {commit}");
    }
    say(hub.endpoint());
    if !options.is_steered {
        loop {
            std::thread::park();
        }
    }
    for command in io::stdin().lines() {
        match command.expect("standard input can be read").as_str() {
            "counts" => say(counts(&hub)),
            other => say(format!("unknown command: {other}")),
        }
    }
}

fn say(line: impl std::fmt::Display) {
    println!("{line}");
    io::stdout().flush().expect("stdout is open");
}

/// Returns what the hub counted since the last time.
fn counts(hub: &Hub) -> serde_json::Value {
    let seen = hub.requests();
    let counts = json!({
        "requests": seen.len(),
        "connections": hub.connections().len(),
        "peak_connections": hub.peak_connections(),
        "bytes": seen.iter().map(Seen::sent_bytes).sum::<u64>(),
    });
    hub.reset_counts();
    counts
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        while let Some(option) = args.next() {
            let value = args.next().expect(USAGE);
            let pair = || {
                value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).expect(USAGE)
            };
            match option.as_str() {
                "--port" => options.port = value.parse().expect("a port"),
                "--limit-rate" => options.rate = Some(value.parse().expect("bytes per second")),
                "--latency-ms" => {
                    options.latency = Some(Duration::from_millis(value.parse().expect("milliseconds")));
                }
                "--tls" => options.tls = Some(PathBuf::from(value)),
                "--cas" => options.cas = Some(value),
                "--xet" => options.xet.extend([pair()]),
                "--steered" => options.is_steered = value == "yes",
                "--repo" => {
                    let (id, folder) = pair();
                    options.repos.push((id, PathBuf::from(folder)));
                }
                _ => panic!("{USAGE}"),
            }
        }
        options
    }

    fn add(&self, mut publication: Publication, folder: &Path, prefix: &str) -> Publication {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
            let inside = format!("{prefix}{name}");
            let is_weights = [".gguf", ".safetensors", ".bin"].iter().any(|end| name.ends_with(end));
            publication = if path.is_dir() {
                self.add(publication, &path, &format!("{inside}/"))
            } else if let Some(hash) = self.xet.get(name) {
                publication.xet_from_path(&inside, &path, &sha256(&path), hash)
            } else if is_weights || path.metadata().expect("a file").len() >= LARGE {
                publication.lfs_from_path(&inside, &path, &sha256(&path))
            } else {
                publication.file(&inside, fs_err::read(&path).expect("a file that can be read"))
            };
        }
        publication
    }
}

fn sha256(path: &Path) -> String {
    let mut hasher = Sha256::new();
    let mut file = io::BufReader::with_capacity(1 << 20, fs_err::File::open(path).expect("a file"));
    io::copy(&mut file, &mut Writer(&mut hasher)).expect("a file that can be read");
    hex::encode(hasher.finalize())
}

struct Writer<'a>(&'a mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
