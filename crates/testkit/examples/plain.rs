//! Fetches a file of a hub by plain HTTP and prints its SHA-256, as simply as can be: one connection, one thread that receives and
//! writes, and one that hashes out of the same buffers. It keeps no journal, tries nothing twice, and trusts what comes.
//!
//! ```console
//! $ cargo run --release -p testkit --example plain -- http://127.0.0.1:8080/org/name/resolve/main/FILE OUT
//! ```
//!
//! `benches/peers.py` runs it beside the product: what the product takes more is what it costs to be safe.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for developers")]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::mpsc::{channel, sync_channel},
    thread,
};

use fs_err::File;
use sha2::{Digest as _, Sha256};

/// The size of a buffer, in bytes, and how many there are.
const BUFFER_BYTES: usize = 256 << 10;
const BUFFERS: usize = 8;

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, out] = arguments.as_slice() else { panic!("plain URL FILE") };
    let (mut body, location) = get(address)?;
    if let Some(location) = location {
        (body, _) = get(&location)?;
    }
    let mut file = File::create(out)?;
    let (hash, arrived) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
    let (back, free) = channel();
    for _ in 0..BUFFERS {
        back.send(vec![0; BUFFER_BYTES]).expect("the receiver lives");
    }
    let hashing = thread::spawn(move || {
        let mut digest = Sha256::new();
        for (buffer, length) in arrived {
            digest.update(&buffer[..length]);
            // The other thread has all bytes at the end, and takes no more buffers.
            let _ = back.send(buffer);
        }
        digest.finalize()
    });
    loop {
        let mut buffer = free.recv().expect("the other thread gives buffers back");
        let length = fill(&mut body, &mut buffer)?;
        if length == 0 {
            break;
        }
        file.write_all(&buffer[..length])?;
        hash.send((buffer, length)).expect("the other thread hashes to the end");
    }
    drop(hash);
    println!("{}", hex::encode(hashing.join().expect("it hashes")));
    Ok(())
}

/// Asks for an address, and returns the body of the answer, or where it redirects to.
fn get(address: &str) -> io::Result<(BufReader<TcpStream>, Option<String>)> {
    let (host, path) = address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("http:");
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let (mut body, mut location) = (BufReader::new(stream), None);
    loop {
        let mut line = String::new();
        body.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("location") => location = Some(value.to_owned()),
            _ if line.trim_end().is_empty() => return Ok((body, location)),
            _ => {}
        }
    }
}

/// Fills a buffer, as far as bytes come.
fn fill(body: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match body.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
