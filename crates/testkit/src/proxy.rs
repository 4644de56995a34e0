//! An HTTP proxy on loopback.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Passes requests and tunnels on to the servers that they name, and remembers them. It resolves every name to loopback, and has
/// threads of its own, which end with their connections.
///
/// ```
/// use std::{io::{Read, Write}, net::TcpStream};
///
/// let (proxy, hub) = (testkit::Proxy::start(), testkit::Hub::start());
/// let mut client = TcpStream::connect(proxy.address()).unwrap();
/// write!(client, "GET {}/absent HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n", hub.endpoint()).unwrap();
/// client.read_to_string(&mut String::new()).unwrap();
/// assert_eq!(proxy.requests()[0].line, format!("GET {}/absent HTTP/1.1", hub.endpoint()));
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Proxied>>>,
}

/// Describes a request that a proxy got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The first line.
    pub line: String,
    /// The header `Proxy-Authorization`.
    pub login: Option<String>,
}

impl Proxy {
    /// Starts a proxy at a port that is free.
    ///
    /// # Panics
    /// Where the machine gives no loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                // A client or a server that leaves ends the connection.
                thread::spawn(move || serve(client, &seen).ok());
            }
        });
        Self { address, requests }
    }

    /// Returns where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Proxied> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves the first request of a connection, and passes on what follows it.
fn serve(client: TcpStream, seen: &Mutex<Vec<Proxied>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = head.remove(0);
    let login = head.iter().find_map(|header| {
        let (name, value) = header.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(Proxied { line: line.clone(), login });
    let target = line.split(' ').nth(1).unwrap_or_default();
    let is_tunnel = line.starts_with("CONNECT ");
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap_or_default();
    let port = authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    if is_tunnel {
        (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        // One request a connection: the server is asked by its path, and told to close.
        let path = target.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let first = line.replacen(target, &format!("/{}", path.map_or("", |(_, path)| path)), 1);
        let kept = head.iter().filter(|header| !is_for_the_proxy(header));
        let lines = std::iter::once(&first).chain(kept).map(|line| format!("{line}\r\n"));
        server.write_all(format!("{}Connection: close\r\n\r\n", lines.collect::<String>()).as_bytes())?;
    }
    let (mut back, mut to_client) = (server.try_clone()?, client);
    let answers = thread::spawn(move || {
        let copied = io::copy(&mut back, &mut to_client);
        to_client.shutdown(Shutdown::Both).ok();
        copied
    });
    io::copy(&mut reader.by_ref(), &mut server)?;
    server.shutdown(Shutdown::Write)?;
    answers.join().map_or(Ok(()), |copied| copied.map(drop))
}

fn is_for_the_proxy(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default();
    ["proxy-authorization", "connection"].iter().any(|own| name.eq_ignore_ascii_case(own))
}
