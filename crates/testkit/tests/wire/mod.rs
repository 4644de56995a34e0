//! A client that hides nothing: it reads what comes, and says how it ended.
#![expect(clippy::unwrap_used, reason = "a test's client")]

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After as many bytes as were announced, or at the end of the connection where none were.
    Whole,
    /// The connection was closed before.
    Cut,
    Reset,
    /// Nothing came for as long as the client waits.
    Stalled,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    inbox: Vec<u8>,
    authority: String,
}

/// A GET on a connection of its own. Follows nothing.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    request("GET", url, headers)
}

pub(crate) fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let rest = url.strip_prefix("http://").unwrap();
    let at = rest.find('/').unwrap_or(rest.len());
    Client::open(&rest[..at]).exchange(method, &rest[at..], headers)
}

/// A GET that goes where the answer says, as long as it says so, with its range but without its token.
pub(crate) fn follow(url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut answer = get(url, headers);
    let harmless: Vec<_> = headers.iter().filter(|(name, _)| *name != "Authorization").copied().collect();
    let origin = url.find('/').map(|_| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")).unwrap();
    for _ in 0..5 {
        let Some(location) = answer.header("Location").map(str::to_owned) else { break };
        let location = if location.starts_with('/') { format!("{origin}{location}") } else { location };
        answer = get(&location, &harmless);
    }
    answer
}

impl Client {
    /// Connects to `host:port`, with or without the scheme.
    pub(crate) fn open(endpoint: &str) -> Self {
        let authority = endpoint.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        Self { stream, inbox: Vec::new(), authority }
    }

    pub(crate) fn exchange(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.authority);
        for (name, value) in headers {
            text = format!("{text}{name}: {value}\r\n");
        }
        self.stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        self.receive(method == "HEAD")
    }

    fn receive(&mut self, is_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if let Some(end) = self.more() {
                return Answer { status: 0, headers: Vec::new(), body: Vec::new(), end };
            }
        };
        let head = String::from_utf8(self.inbox.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let mut answer = Answer { status, headers: headers.collect(), body: Vec::new(), end: End::Whole };
        if is_head {
            return answer;
        }
        if answer.header("Transfer-Encoding") == Some("chunked") {
            answer.end = self.chunks(&mut answer.body);
            return answer;
        }
        let announced = answer.header("Content-Length").and_then(|text| text.parse::<usize>().ok());
        while announced.is_none_or(|length| self.inbox.len() < length) {
            if let Some(end) = self.more() {
                answer.end = if announced.is_none() && end == End::Cut { End::Whole } else { end };
                break;
            }
        }
        let length = announced.unwrap_or(usize::MAX).min(self.inbox.len());
        answer.body = self.inbox.drain(..length).collect();
        answer
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> End {
        loop {
            let Some(at) = self.inbox.windows(2).position(|window| window == b"\r\n") else {
                if let Some(end) = self.more() {
                    return end;
                }
                continue;
            };
            let text = std::str::from_utf8(&self.inbox[..at]).unwrap();
            let length = usize::from_str_radix(text, 16).unwrap();
            while self.inbox.len() < at + 2 + length + 2 {
                if let Some(end) = self.more() {
                    return end;
                }
            }
            body.extend_from_slice(&self.inbox[at + 2..at + 2 + length]);
            self.inbox.drain(..at + 2 + length + 2);
            if length == 0 {
                return End::Whole;
            }
        }
    }

    /// What comes after the answer, until nothing more does.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Some(end) = self.more() {
                return (std::mem::take(&mut self.inbox), end);
            }
        }
    }

    /// Reads once. How it ended, where it did.
    fn more(&mut self) -> Option<End> {
        let mut buffer = vec![0; 1 << 16];
        match self.stream.read(&mut buffer) {
            Ok(0) => Some(End::Cut),
            Ok(length) => {
                self.inbox.extend_from_slice(&buffer[..length]);
                None
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(End::Reset),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(End::Stalled)
            }
            Err(error) => panic!("{error}"),
        }
    }
}
