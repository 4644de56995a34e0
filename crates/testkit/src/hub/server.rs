//! Runs the hub on a thread of its own, and lets a test steer it.

use std::{
    net::TcpListener as StdListener,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, runtime, sync::oneshot};

use super::{
    connection,
    fault::Fault,
    ledger::{Accepted, Seen},
    line::{Origin, Protocol},
    publication::Publication,
    state::Shared,
    tls::Tls,
};

/// A Hugging Face Hub on loopback, with a CDN on another port. It runs on a thread of its own, with a runtime of its
/// own, so it serves tests with a runtime and without; it stops when it is dropped, and then refuses connections.
///
/// ```
/// use testkit::Hub;
///
/// let hub = Hub::start();
/// let commit = hub.repo("org/tiny").file("config.json", "{}").lfs("tiny.gguf", vec![7; 5000]).publish();
/// assert_eq!(commit.len(), 40);
/// assert_eq!(hub.count(|seen| seen.is_for("tiny.gguf")), 0);
/// ```
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// Starts a hub without repos, at ports that are free.
    ///
    /// # Panics
    /// Where the machine gives no loopback or no thread.
    pub fn start() -> Self {
        Self::start_at(0)
    }

    /// Starts a hub at that port; the CDN's port is any.
    ///
    /// # Panics
    /// Where the port is taken.
    pub fn start_at(port: u16) -> Self {
        Self::listen(port, None)
    }

    /// Starts a hub, and a CDN, that speak TLS with these protocols, in this order of preference. Clients must trust its
    /// [certificate](Self::certificate).
    ///
    /// # Panics
    /// Where the machine gives no loopback, no thread or no key.
    pub fn start_tls(protocols: &[Protocol]) -> Self {
        Self::start_tls_at(0, protocols)
    }

    /// Starts one at that port; the CDN's port is any.
    ///
    /// # Panics
    /// Where the port is taken.
    pub fn start_tls_at(port: u16, protocols: &[Protocol]) -> Self {
        Self::listen(port, Some(Tls::new(protocols)))
    }

    fn listen(port: u16, tls: Option<Tls>) -> Self {
        let listen = |port| {
            let listener = StdListener::bind(("127.0.0.1", port)).expect("the port is free");
            listener.set_nonblocking(true).expect("a socket may wait");
            let address = listener.local_addr().expect("it is bound");
            (listener, address)
        };
        let ((hub_listener, hub), (cdn_listener, cdn)) = (listen(port), listen(0));
        let shared = Arc::new(Shared::new(hub, cdn, tls));
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let serve = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let of = |listener| TcpListener::from_std(listener).expect("within a runtime");
                let (hub_listener, cdn_listener) = (of(hub_listener), of(cdn_listener));
                tokio::select! {
                    () = connection::accept(&serving, hub_listener, Origin::Hub) => {}
                    () = connection::accept(&serving, cdn_listener, Origin::Cdn) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("testkit-hub".to_owned()).spawn(serve);
        Self { shared, stop: Some(stop), thread: Some(thread.expect("a thread")) }
    }

    /// Returns the certificate of a hub that speaks TLS, in PEM: it is its own authority.
    pub fn certificate(&self) -> Option<&str> {
        self.shared.tls.as_ref().map(|tls| tls.certificate.as_str())
    }

    /// Returns the hub's URL, `http://127.0.0.1:<port>`, or `https:` where it speaks TLS.
    pub fn endpoint(&self) -> String {
        self.shared.endpoint()
    }

    /// Returns the CDN's URL: another origin.
    pub fn cdn_endpoint(&self) -> String {
        self.shared.cdn_endpoint()
    }

    /// Begins a commit to a repo, which need not exist yet.
    pub fn repo(&self, id: &str) -> Publication {
        Publication::new(Arc::clone(&self.shared), id)
    }

    /// Lets a token into gated and private repos. The hub knows every other token too, but gives it no access.
    pub fn grant(&self, token: &str) {
        self.shared.state().settings.granted.insert(token.to_owned());
    }

    /// Says whose token this is. The hub does not know who any other token belongs to.
    pub fn account(&self, token: &str, name: &str, organizations: &[&str]) {
        self.shared.state().accounts.add(token, name, organizations);
    }

    /// Makes a token expire: the hub refuses each request that carries it, for public repos too.
    pub fn expire(&self, token: &str) {
        self.shared.state().settings.expired.insert(token.to_owned());
    }

    /// Sets how many entries a page of a listing has at most. It is 1000 at first.
    pub fn page_size(&self, entries: usize) {
        self.shared.state().settings.page_size = entries;
    }

    /// Makes the CDN refuse requests with a header `Authorization` (400), as S3 does with signed URLs.
    pub fn cdn_refuses_authorization(&self, refuses: bool) {
        self.shared.state().settings.cdn_refuses_authorization = refuses;
    }

    /// Makes the hub redirect small files too: 307 to a relative URL of its own.
    pub fn redirects_small_files(&self, redirects: bool) {
        self.shared.state().settings.resolve_cache = redirects;
    }

    /// Names the storage server of the files that are published with [`Publication::xet`]. Without one, there is no token.
    pub fn xet_cas(&self, url: &str) {
        self.shared.state().settings.xet_cas = Some(url.to_owned());
    }

    /// Makes each signed URL good for so many requests, or for ever. Later requests are answered with 403.
    pub fn signed_urls_last(&self, requests: Option<u32>) {
        self.shared.state().signatures.good_for = requests;
    }

    /// Limits each TCP connection to so many bytes of body per second, over all its streams. `None` is no limit, as at first.
    pub fn limit_rate(&self, bytes_per_s: Option<u64>) {
        self.shared.limit_rate(bytes_per_s.unwrap_or(0));
    }

    /// Adds a fault. Where several strike one request, all do, in the order in which they were added.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// Removes all faults. What they did stays done.
    ///
    /// # Panics
    /// Where a fault never struck that must strike: the test did not see what it is about.
    pub fn clear_faults(&self) {
        let faults = std::mem::take(&mut self.shared.state().faults);
        let missed: Vec<_> = faults.iter().filter(|fault| fault.has_missed()).collect();
        assert!(missed.is_empty(), "faults that never struck: {missed:?}");
    }

    /// Returns the requests since the start or the last reset, in the order in which they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state().ledger.seen.clone()
    }

    /// Counts the requests for which a predicate holds.
    pub fn count(&self, mut is_meant: impl FnMut(&Seen) -> bool) -> usize {
        self.shared.state().ledger.seen.iter().filter(|seen| is_meant(seen)).count()
    }

    /// Returns how many bytes of bodies the hub gave to sockets for a path: a file's in its repo, or a request's own. The
    /// client need not have read them all, for sockets hold some megabytes.
    pub fn bytes_sent(&self, path: &str) -> u64 {
        let state = self.shared.state();
        state.ledger.seen.iter().filter(|seen| seen.is_for(path)).map(Seen::sent_bytes).sum()
    }

    /// Waits until a predicate holds, at most that long, and returns whether it does. It blocks the thread.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub = testkit::Hub::start();
    /// let has_begun = |hub: &testkit::Hub| hub.bytes_sent("model.gguf") > 0;
    /// assert!(!hub.wait_until(Duration::from_millis(10), has_begun));
    /// ```
    pub fn wait_until(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let begin = Instant::now();
        while !is_so(self) {
            if begin.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Returns the most connections that were open at once, to both origins together.
    pub fn peak_connections(&self) -> usize {
        self.shared.state().ledger.peak()
    }

    /// Returns the connections that the hub accepted since the start or the last reset, in the order in which they came.
    pub fn connections(&self) -> Vec<Accepted> {
        self.shared.state().ledger.accepted()
    }

    /// Removes all requests and connections from the record. The peak begins at the connections that are open.
    pub fn reset_counts(&self) {
        self.shared.state().ledger.reset();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            self.clear_faults();
        }
    }
}
