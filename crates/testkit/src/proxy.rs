//! A proxy on loopback, for HTTP and for SOCKS 5.

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
    /// The first line; `SOCKS5 HOST:PORT` of a request by SOCKS.
    pub line: String,
    /// The header `Proxy-Authorization`; `USER:PASSWORD` by SOCKS.
    pub login: Option<String>,
}

impl Proxy {
    /// Starts a proxy at a port that is free.
    ///
    /// # Panics
    /// Where the machine gives no loopback.
    pub fn start() -> Self {
        Self::letting_in(None)
    }

    /// Starts a proxy that carries no request without this `Proxy-Authorization`, or this `USER:PASSWORD` by SOCKS.
    ///
    /// # Panics
    /// Where the machine gives no loopback.
    pub fn start_with_login(login: &'static str) -> Self {
        Self::letting_in(Some(login))
    }

    fn letting_in(login: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                // A client or a server that leaves ends the connection.
                thread::spawn(move || serve(client, &seen, login).ok());
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
fn serve(client: TcpStream, seen: &Mutex<Vec<Proxied>>, wanted: Option<&str>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    if reader.fill_buf()?.first() == Some(&5) {
        let proxied = greet_by_socks(&client, &mut reader, wanted)?;
        let port = port_of(&proxied.line);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(proxied);
        return pass_on(client, reader, TcpStream::connect(("127.0.0.1", port))?);
    }
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
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Proxied { line: line.clone(), login: login.clone() });
    if wanted.is_some_and(|wanted| login.as_deref() != Some(wanted)) {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
                      Content-Length: 0\r\nConnection: close\r\n\r\n";
        return (&client).write_all(answer.as_bytes());
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let is_tunnel = line.starts_with("CONNECT ");
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap_or_default();
    let mut server = TcpStream::connect(("127.0.0.1", port_of(authority)))?;
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
    pass_on(client, reader, server)
}

/// Passes bytes on both ways, until either side ends.
fn pass_on(client: TcpStream, mut reader: BufReader<TcpStream>, mut server: TcpStream) -> io::Result<()> {
    let (mut back, mut to_client) = (server.try_clone()?, client);
    let answers = thread::spawn(move || {
        let copied = io::copy(&mut back, &mut to_client);
        to_client.shutdown(Shutdown::Both).ok();
        copied
    });
    io::copy(&mut reader, &mut server)?;
    server.shutdown(Shutdown::Write)?;
    answers.join().map_or(Ok(()), |copied| copied.map(drop))
}

/// Answers the greeting of a client (RFC 1928), takes its login (RFC 1929), and returns what it asks for.
fn greet_by_socks(
    mut client: &TcpStream,
    reader: &mut impl Read,
    wanted: Option<&str>,
) -> io::Result<Proxied> {
    let mut read = |length: usize| {
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).map(|()| bytes)
    };
    let methods = read(2)?[1];
    let has_login = read(methods.into())?.contains(&2);
    let method = match wanted {
        Some(_) if !has_login => 0xff,
        _ => u8::from(has_login) * 2,
    };
    client.write_all(&[5, method])?;
    let mut login = None;
    if has_login {
        let user = read(2)?[1];
        let user = read(user.into())?;
        let password = read(1)?[0];
        let password = read(password.into())?;
        let given = format!("{}:{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&password));
        let is_refused = wanted.is_some_and(|wanted| wanted != given);
        client.write_all(&[1, is_refused.into()])?;
        login = Some(given);
    }
    let host = match read(4)?[3] {
        1 => read(4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => {
            let length = read(1)?[0];
            String::from_utf8_lossy(&read(length.into())?).into_owned()
        }
        other => return Err(io::Error::other(format!("an address of kind {other}"))),
    };
    let port = read(2)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    Ok(Proxied { line: format!("SOCKS5 {host}:{port}"), login })
}

fn port_of(authority: &str) -> u16 {
    authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80)
}

fn is_for_the_proxy(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default();
    ["proxy-authorization", "connection"].iter().any(|own| name.eq_ignore_ascii_case(own))
}
