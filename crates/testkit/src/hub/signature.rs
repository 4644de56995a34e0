//! Signs the URLs that lead to the CDN.

use std::collections::HashMap;

use super::{content::mix, entry::Entry, request::Request};

/// Holds every URL that the hub signed, by its number.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    issued: HashMap<u64, Signed>,
    next: u64,
    /// The number below which URLs have expired.
    floor: u64,
    /// The number of requests that the CDN answers at a URL.
    pub(super) good_for: Option<u32>,
}

#[derive(Debug)]
struct Signed {
    path: String,
    file: String,
    entry: Entry,
    uses: u32,
}

impl Signatures {
    /// Signs a target on the CDN for that file: `/<repo>/<sha256>?Expires=<number>&Signature=<hex>`.
    pub(super) fn sign(&mut self, repo: &str, file: &str, entry: Entry) -> String {
        let number = self.next;
        self.next += 1;
        let path = format!("/{repo}/{}", entry.etag());
        let target = format!("{path}?Expires={number}&Signature={}", seal(number));
        self.issued.insert(number, Signed { path, file: file.to_owned(), entry, uses: 0 });
        target
    }

    /// Finds the file behind a URL, with its path in the repo. `None` where the hub never signed the URL.
    pub(super) fn find(&self, request: &Request) -> Option<(&str, &Entry)> {
        let signed = self.issued.get(&number(request)?)?;
        (signed.path == request.path()).then_some((&signed.file, &signed.entry))
    }

    /// Counts a use, and returns whether the URL was still good for it.
    pub(super) fn spend(&mut self, request: &Request) -> bool {
        let Some(number) = number(request).filter(|number| *number >= self.floor) else { return false };
        let Some(signed) = self.issued.get_mut(&number) else { return false };
        signed.uses += 1;
        self.good_for.is_none_or(|uses| signed.uses <= uses)
    }

    /// Makes every URL expire that the hub has signed so far.
    pub(super) fn expire_all(&mut self) {
        self.floor = self.next;
    }
}

fn number(request: &Request) -> Option<u64> {
    let number = request.query("Expires")?.parse().ok()?;
    (request.query("Signature")? == seal(number)).then_some(number)
}

fn seal(number: u64) -> String {
    format!("{:016x}", mix(number))
}
