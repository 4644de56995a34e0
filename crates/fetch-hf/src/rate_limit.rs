//! How long a server asks to be left alone, and that it is.
//!
//! A refusal may say so in `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3); and in `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers), which lists buckets: `"api";r=0;t=55` has no request left, and is full again in 55
//! seconds. The longest of them is the answer.
//!
//! A server counts the requests of all connections together. So until that time is over the client sends nothing to that origin, and
//! refuses every request itself, with the time that is left. It waits for nothing: the caller does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{
    Url,
    header::{HeaderMap, RETRY_AFTER},
};

/// A server that asks for more is asked again after this, in case that was a mistake.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The origins that asked to be left alone, and until when.
#[derive(Debug, Default)]
pub(crate) struct LeftAlone(Mutex<HashMap<String, Instant>>);

impl LeftAlone {
    /// How long the origin of an address still wants to be left alone.
    pub(crate) fn left(&self, url: &Url) -> Option<Duration> {
        let origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left =
            origins.get(&url.origin().ascii_serialization())?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Leaves the origin of an address alone for so long.
    pub(crate) fn leave(&self, url: &Url, wait: Duration) {
        let (now, mut origins) = (Instant::now(), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        origins.retain(|_, until| *until > now);
        let until = origins.entry(url.origin().ascii_serialization()).or_insert(now);
        *until = (*until).max(now + wait.min(LONGEST));
    }
}

/// How long the headers of a refusal ask to wait.
pub(crate) fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| of_retry_after(value.to_str().ok()?));
    let limits = headers.get_all("ratelimit").iter();
    let limits = limits.filter_map(|value| of_rate_limit(value.to_str().ok()?)).max();
    retry_after.max(limits)
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

/// The longest time until a bucket that has nothing left is full again.
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

/// The parts of a structured field (RFC 9651) between separators that stand in no quotes.
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
        check(&[("retry-after", "-7")], None);
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None);
        check(&[("ratelimit", "\"api\";r=0;t=55")], Some(55));
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
        let left_alone = LeftAlone::default();
        left_alone.leave(&url("https://hub/a"), Duration::from_secs(55));
        left_alone.leave(&url("https://hub/b"), Duration::from_secs(5));
        assert!(left_alone.left(&url("https://hub:443/c")).unwrap() > Duration::from_secs(50));
        assert_eq!(left_alone.left(&url("http://hub/a")), None);
        left_alone.leave(&url("http://hub/a"), Duration::ZERO);
        assert_eq!(left_alone.left(&url("http://hub/a")), None);
        left_alone.leave(&url("https://hub/a"), Duration::MAX);
        assert!(left_alone.left(&url("https://hub/a")).unwrap() <= LONGEST);
    }
}
