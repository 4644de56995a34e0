//! Serves folders as repos of a hub, for benchmarks and for trying other clients:
//!
//! ```console
//! $ cargo run --release -p testkit --example hub -- --port 8080 --repo org/name=DIR [--limit-rate BYTES_PER_S]
//! $ HF_ENDPOINT=http://127.0.0.1:8080 hf download org/name
//! ```
//!
//! With `--tls FILE` it speaks TLS, with HTTP/2 and HTTP/1.1 on offer, and writes its certificate into that file: clients trust
//! it by `SSL_CERT_FILE=FILE`, curl by `--cacert FILE`.
//!
//! Weights and files of 1 MiB and more are large files, behind the CDN; the others are small ones.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for developers")]

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use testkit::{
    Hub,
    hub::{Protocol, Publication},
};

const LARGE: u64 = 1 << 20;
const USAGE: &str = "--port P --repo org/name=DIR … [--limit-rate BYTES_PER_S] [--tls FILE]";

fn main() {
    let (mut port, mut rate, mut tls, mut repos) = (0, None, None, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let value = args.next().expect(USAGE);
        match option.as_str() {
            "--port" => port = value.parse().expect("a port"),
            "--limit-rate" => rate = Some(value.parse().expect("bytes per second")),
            "--tls" => tls = Some(PathBuf::from(value)),
            "--repo" => {
                let (id, folder) = value.split_once('=').expect(USAGE);
                repos.push((id.to_owned(), PathBuf::from(folder)));
            }
            _ => panic!("{USAGE}"),
        }
    }
    let hub = match tls {
        Some(_) => Hub::start_tls_at(port, &[Protocol::Http2, Protocol::Http1]),
        None => Hub::start_at(port),
    };
    if let (Some(path), Some(certificate)) = (tls, hub.certificate()) {
        fs_err::write(path, certificate).expect("a file that can be written");
    }
    hub.limit_rate(rate);
    for (id, folder) in repos {
        let commit = add(hub.repo(&id), &folder, "").publish();
        println!("{id} {commit}");
    }
    println!("{}", hub.endpoint());
    io::stdout().flush().expect("stdout is open");
    loop {
        std::thread::park();
    }
}

fn add(mut publication: Publication, folder: &Path, prefix: &str) -> Publication {
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let inside = format!("{prefix}{name}");
        let is_weights = [".gguf", ".safetensors", ".bin"].iter().any(|end| name.ends_with(end));
        publication = if path.is_dir() {
            add(publication, &path, &format!("{inside}/"))
        } else if is_weights || path.metadata().expect("a file").len() >= LARGE {
            publication.lfs_from_path(&inside, &path, &sha256(&path))
        } else {
            publication.file(&inside, fs_err::read(&path).expect("a file that can be read"))
        };
    }
    publication
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
