//! Keeps sets of bytes.

use std::{collections::BTreeMap, ops::Range};

/// Holds a set of bytes of a file, as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// From the start of each range to its end.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds a range.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        // The last range that begins before or at ours may reach into it. Those that begin within it end in it, or
        // continue it.
        if let Some((&before, &before_end)) = self.ends.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
        }
        while let Some((&next, &next_end)) = self.ends.range(start..=end).next() {
            end = end.max(next_end);
            self.ends.remove(&next);
        }
        self.ends.insert(start, end);
    }

    /// Returns the number of bytes before the first gap.
    pub(crate) fn frontier(&self) -> u64 {
        self.ends.get(&0).copied().unwrap_or(0)
    }

    /// Returns the ranges, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.ends.iter().map(|(&start, &end)| start..end)
    }

    /// Returns how many bytes the set has.
    pub(crate) fn len(&self) -> u64 {
        self.ends.iter().map(|(start, end)| end - start).sum()
    }

    /// Returns the parts of a range that the set lacks, in ascending order.
    pub(crate) fn missing_in(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = range.start;
        let first = self.ends.range(..=range.start).next_back().map_or(range.start, |(&start, _)| start);
        for (&start, &end) in self.ends.range(first..range.end) {
            if at < start {
                missing.push(at..start);
            }
            at = at.max(end);
        }
        if at < range.end {
            missing.push(at..range.end);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_set_of_bytes(adds in prop::collection::vec((0..60u64, 0..20u64), 0..12)) {
            let (mut ranges, mut bytes) = (Ranges::default(), [false; 80]);
            for (start, len) in adds {
                ranges.add(start..start + len);
                bytes[usize::try_from(start).unwrap()..usize::try_from(start + len).unwrap()].fill(true);
            }
            prop_assert_eq!(ranges.len(), bytes.iter().filter(|b| **b).count() as u64);
            prop_assert_eq!(ranges.frontier(), bytes.iter().take_while(|b| **b).count() as u64);
            let within: Vec<_> = ranges.missing_in(&(10..50)).into_iter().flatten().collect();
            let lacking: Vec<_> = (10..50u64).filter(|&n| !bytes[usize::try_from(n).unwrap()]).collect();
            prop_assert_eq!(within, lacking);
        }
    }
}
