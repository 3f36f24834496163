//! The order in which requests wait: `priority` before `default` before `flex`, each by arrival. Bounded; when full, the youngest of the
//! lowest tier makes room for one of a higher tier.

use std::collections::VecDeque;

use fleet::ServiceTier;

/// Where a request stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    tier: usize,
    number: u64,
}

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    /// By tier, the first to be served first.
    tiers: [VecDeque<(u64, W)>; 3],
    next: u64,
}

impl<W> Default for Lines<W> {
    fn default() -> Self {
        Self { tiers: [VecDeque::new(), VecDeque::new(), VecDeque::new()], next: 0 }
    }
}

/// There is no room left for one of this tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

const fn rank(tier: ServiceTier) -> usize {
    match tier {
        ServiceTier::Priority => 0,
        ServiceTier::Default => 1,
        ServiceTier::Flex | ServiceTier::Batch => 2,
    }
}

impl<W> Lines<W> {
    /// Puts one at the end of its tier's line of at most `max` in all; gives whoever had to go for it.
    pub fn join(&mut self, tier: ServiceTier, who: W, max: usize) -> Result<(Stand, Option<W>), NoRoom> {
        let tier = rank(tier);
        let shed = if self.len() < max {
            None
        } else {
            let lowest = (tier + 1..self.tiers.len()).rev().find(|lower| !self.tiers[*lower].is_empty()).ok_or(NoRoom)?;
            self.tiers[lowest].pop_back()
        };
        let number = self.next;
        self.next += 1;
        self.tiers[tier].push_back((number, who));
        Ok((Stand { tier, number }, shed.map(|(_, who)| who)))
    }

    /// Takes one out; `None` when it is no longer there.
    pub fn leave(&mut self, stand: Stand) -> Option<W> {
        let line = &mut self.tiers[stand.tier];
        let place = line.binary_search_by_key(&stand.number, |(number, _)| *number).ok()?;
        line.remove(place).map(|(_, who)| who)
    }

    /// Whether one is still there.
    pub fn has(&self, stand: Stand) -> bool {
        self.tiers[stand.tier].binary_search_by_key(&stand.number, |(number, _)| *number).is_ok()
    }

    /// Everyone in the order in which they are served.
    pub fn iter(&self) -> impl Iterator<Item = (Stand, &W)> {
        self.tiers.iter().enumerate().flat_map(|(tier, line)| line.iter().map(move |(number, who)| (Stand { tier, number: *number }, who)))
    }

    /// The first after `stand`.
    pub fn after(&self, stand: Stand) -> Option<&W> {
        self.iter().find(|(other, _)| (other.tier, other.number) > (stand.tier, stand.number)).map(|(_, who)| who)
    }

    /// Whether anyone of this tier or a higher one waits.
    pub fn is_ahead(&self, tier: ServiceTier) -> bool {
        self.tiers[..=rank(tier)].iter().any(|line| !line.is_empty())
    }

    pub fn len(&self) -> usize {
        self.tiers.iter().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServiceTier::{Default as Normal, Flex, Priority};

    #[test]
    fn higher_tiers_go_first_and_flex_is_shed_first() {
        let mut lines = Lines::default();
        let (first, _) = lines.join(Flex, "f1", 4).expect("there is room");
        lines.join(Normal, "d1", 4).expect("there is room");
        lines.join(Flex, "f2", 4).expect("there is room");
        lines.join(Priority, "p1", 4).expect("there is room");
        let order = |lines: &Lines<&'static str>| lines.iter().map(|(_, who)| *who).collect::<Vec<_>>();
        assert_eq!(order(&lines), ["p1", "d1", "f1", "f2"]);
        assert_eq!(lines.join(Flex, "f3", 4), Err(NoRoom));
        assert_eq!(lines.join(Normal, "d2", 4).map(|(_, shed)| shed), Ok(Some("f2")));
        assert_eq!(lines.join(Priority, "p2", 4).map(|(_, shed)| shed), Ok(Some("f1")));
        assert_eq!(lines.join(Normal, "d3", 4), Err(NoRoom), "nobody goes for one of its own tier");
        assert_eq!(lines.join(Priority, "p3", 4).map(|(_, shed)| shed), Ok(Some("d2")));
        assert_eq!(order(&lines), ["p1", "p2", "p3", "d1"]);
        assert!((lines.leave(first).is_none(), lines.has(first)) == (true, false), "who was shed is gone");
    }

    #[test]
    fn who_is_ahead_and_who_comes_after() {
        let mut lines = Lines::default();
        let (flex, _) = lines.join(Flex, 1, 9).expect("there is room");
        assert_eq!((lines.is_ahead(Flex), lines.is_ahead(Normal)), (true, false));
        let (normal, _) = lines.join(Normal, 2, 9).expect("there is room");
        assert_eq!((lines.after(normal), lines.after(flex)), (Some(&1), None));
        assert_eq!((lines.leave(normal), lines.len()), (Some(2), 1));
    }
}
