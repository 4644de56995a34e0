//! Decides which hosts a fetcher may connect to.

use crate::denial::Denial;

/// Returns the denial of a host. `*.hf.co` allows every host below `hf.co`, and not that one.
pub(super) fn refuse(hosts: Option<&[String]>, host: &str) -> Option<Denial> {
    let is_allowed = hosts?.iter().any(|pattern| matches(pattern, host));
    (!is_allowed).then(|| {
        Denial::new("hosts", host, format!("the host `{host}`"))
            .with_remedy(format!("add `{host}` to the policy's `hosts`"))
    })
}

/// Returns the denial of a source that asks about no host.
pub(super) fn refuse_any(hosts: Option<&[String]>) -> Option<Denial> {
    Some(Denial::new("hosts", hosts?.join(", "), "hosts that its `hosts` do not name"))
}

/// Returns whether the rule names this very host, without a `*`. `None` where there is no rule.
pub(super) fn names(hosts: Option<&[String]>, host: &str) -> Option<bool> {
    Some(hosts?.iter().any(|pattern| bare(pattern).eq_ignore_ascii_case(bare(host))))
}

fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (bare(pattern).to_ascii_lowercase(), bare(host).to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(above) => host.strip_suffix(above).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == host,
    }
}

/// Returns a host without the brackets of an IPv6 address and without the dot of a whole name.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']']).trim_end_matches('.')
}
