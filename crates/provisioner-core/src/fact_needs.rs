//! Says which facts a caller needs of a source.

/// Says which of the [`SourceFacts`](crate::SourceFacts) a caller needs that a source does not tell unasked. What a source tells in
/// any case, a fetcher passes on in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FactNeeds {
    /// Says how much the caller needs the licence.
    pub license: Need,
    /// Says how much the caller needs the results of the source's scanners.
    pub scans: Need,
}

/// Says how much a caller needs a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Need {
    /// The caller does not look at the fact. A fetcher makes no request for it.
    #[default]
    No,
    /// A person reads the fact. A fetcher leaves it out where the source does not tell it.
    Shown,
    /// A rule of the policy decides by the fact. A fetcher that asks for it and gets no answer fails.
    Decisive,
}

impl FactNeeds {
    /// Returns the needs of a caller that shows all facts to a person.
    pub const fn shown() -> Self {
        Self { license: Need::Shown, scans: Need::Shown }
    }

    /// Returns what either of two callers needs.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { license: self.license.max(other.license), scans: self.scans.max(other.scans) }
    }
}

impl Need {
    /// Returns [`Decisive`](Self::Decisive) where a rule of the policy is about the fact, and otherwise [`No`](Self::No).
    pub fn of_rule(has_rule: bool) -> Self {
        if has_rule { Self::Decisive } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_needs_a_fact_more_than_a_reader_does() {
        let rule = FactNeeds { scans: Need::of_rule(true), ..FactNeeds::default() };
        let both = FactNeeds { license: Need::Shown, scans: Need::Decisive };
        assert_eq!((rule.or(FactNeeds::shown()), FactNeeds::shown().or(rule)), (both, both));
        assert_eq!(Need::of_rule(false), Need::No);
    }
}
