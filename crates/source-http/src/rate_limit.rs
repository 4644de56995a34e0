//! Reads how long a server asks the client to pause, and keeps the pause.
//!
//! A refusal may say so in `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3); and in `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers), which lists buckets: `"api";r=0;t=55` has no request left, and is full again in 55
//! seconds. The longest of them is the answer.
//!
//! A server counts the requests of all connections together. So until that time is over, the client sends nothing to that
//! origin, and refuses every request itself, with the time that is left. The client does not wait: its caller does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::header::{HeaderMap, RETRY_AFTER};
use jiff::fmt::rfc2822::DateTimeParser;
use url::Url;

/// The longest pause: a server that asks for a longer one may do so by mistake.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Holds the origins that asked for a pause, and until when.
#[derive(Debug, Default)]
pub(crate) struct RateLimits(Mutex<HashMap<String, Instant>>);

impl RateLimits {
    /// Returns how long the pause of an address's origin still lasts; `None` where there is none.
    pub(crate) fn left(&self, url: &Url) -> Option<Duration> {
        let origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left =
            origins.get(&url.origin().ascii_serialization())?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Begins a pause for the origin of an address.
    pub(crate) fn pause(&self, url: &Url, wait: Duration) {
        let (now, mut origins) = (Instant::now(), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        origins.retain(|_, until| *until > now);
        let until = origins.entry(url.origin().ascii_serialization()).or_insert(now);
        *until = (*until).max(now + wait.min(LONGEST));
    }
}

/// Returns how long the headers of a refusal ask to wait; `None` where they name no time, or one that is over.
pub(crate) fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| of_retry_after(value.to_str().ok()?));
    let limits = headers.get_all("ratelimit").iter();
    let limits = limits.filter_map(|value| of_rate_limit(value.to_str().ok()?)).max();
    retry_after.max(limits).filter(|wait| !wait.is_zero())
}

fn of_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text.trim().replace("GMT", "+0000")).ok()?;
    #[expect(clippy::disallowed_methods, reason = "a date of the server's is of the real time")]
    let now = jiff::Timestamp::now();
    Duration::try_from(date.duration_since(now)).ok()
}

/// Returns the longest time until a bucket that has nothing left is full again.
fn of_rate_limit(text: &str) -> Option<Duration> {
    split(text, ',').filter_map(of_bucket).max()
}

fn of_bucket(bucket: &str) -> Option<Duration> {
    let parameter = |name: &str| {
        let values = split(bucket, ';').skip(1).filter_map(|pair| pair.trim().split_once('='));
        values.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<u64>().ok())
    };
    (parameter("r")? == 0).then(|| parameter("t").map(Duration::from_secs)).flatten()
}

/// Returns the parts of a structured field (RFC 9651) between separators outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        is_escaped = is_quoted && c == '\\';
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_that_is_asked_for_counts() {
        let check = |headers: &[(&'static str, &str)], seconds: Option<u64>| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = headers.collect();
            assert_eq!(wait_of(&headers), seconds.map(Duration::from_secs), "{headers:?}");
        };
        check(&[], None);
        check(&[("retry-after", "7")], Some(7));
        check(&[("retry-after", "0")], None);
        check(&[("retry-after", "-7")], None);
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None);
        check(&[("ratelimit", "\"api\";r=0;t=55")], Some(55));
        check(&[("ratelimit", "\"api\";r=0;t=0")], None);
        check(&[("ratelimit", "\"api\";r=1;t=55")], None);
        check(&[("ratelimit", "\"api\";t=55")], None);
        check(&[("ratelimit", "\"api\";r=0")], None);
        check(&[("ratelimit", "api ; t=55 ; r=0 ; pk=:YQ==:")], Some(55));
        check(&[("ratelimit", "\"api\";r=0;t=55, \"pages\";r=0;t=90,\"resolvers\";r=3;t=300")], Some(90));
        check(&[("ratelimit", "\"a,b;r=0;t=9\\\"\";r=0;t=55")], Some(55));
        check(&[("ratelimit", "\"api\";r=0;t=55"), ("retry-after", "7")], Some(55));
        check(&[("ratelimit", "\"api\";r=0;t=5"), ("retry-after", "7")], Some(7));
        check(&[("ratelimit", "\"api\";r=0;t=99999999999999999999")], None);
        check(&[("ratelimit", "limit=500, remaining=0, reset=55")], None);
        check(&[("ratelimit", "\"")], None);
    }

    #[test]
    fn a_date_is_compared_with_the_time() {
        assert!(of_retry_after("Wed, 21 Oct 2195 07:28:00 GMT").unwrap().as_secs() > 1_000_000);
    }

    #[test]
    fn an_origin_is_left_alone_and_no_other() {
        let url = |text: &str| Url::parse(text).unwrap();
        let limits = RateLimits::default();
        limits.pause(&url("https://hub/a"), Duration::from_secs(55));
        limits.pause(&url("https://hub/b"), Duration::from_secs(5));
        assert!(limits.left(&url("https://hub:443/c")).unwrap() > Duration::from_secs(50));
        assert_eq!(limits.left(&url("http://hub/a")), None);
        limits.pause(&url("http://hub/a"), Duration::ZERO);
        assert_eq!(limits.left(&url("http://hub/a")), None);
        limits.pause(&url("https://hub/a"), Duration::MAX);
        assert!(limits.left(&url("https://hub/a")).unwrap() <= LONGEST);
    }
}
