//! The ids that are in no run yet, in memory: a dense list in order of their numbers with a hash table over it. It can
//! be thrown away at any time, because the log's blocks hold the same ids.

/// Ids with their sequence numbers, which have no gaps.
#[derive(Debug)]
pub(super) struct Recent {
    first_seq: u64,
    ids: Vec<u128>,
    /// Position in `ids` plus one; 0 is free. Open addressing, at most half full.
    slots: Vec<u32>,
}

impl Recent {
    /// None yet; the first to come has the number `first_seq`.
    pub fn new(first_seq: u64, room: usize) -> Self {
        let slots = vec![0; (room.max(8) * 2).next_power_of_two()];
        Self { first_seq, ids: Vec::with_capacity(room), slots }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number the next id will have.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.ids.len() as u64
    }

    /// All ids with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u128, u64)> {
        self.ids.iter().copied().zip(self.first_seq..)
    }

    /// The number of an id.
    pub fn find(&self, id: u128) -> Option<u64> {
        match self.slots[self.slot(id)] {
            0 => None,
            taken => Some(self.first_seq + u64::from(taken) - 1),
        }
    }

    /// Adds an id under the next number; false, and no number used, where it is there already.
    pub fn insert(&mut self, id: u128) -> bool {
        if (self.ids.len() + 1) * 2 > self.slots.len() {
            self.slots = vec![0; self.slots.len() * 2];
            for position in 0..self.ids.len() {
                let slot = self.slot(self.ids[position]);
                self.slots[slot] = position as u32 + 1;
            }
        }
        let slot = self.slot(id);
        if self.slots[slot] != 0 {
            return false;
        }
        self.ids.push(id);
        self.slots[slot] = self.ids.len() as u32;
        true
    }

    /// Forgets the ids numbered below `seq`: they are in a run now.
    pub fn forget_below(&mut self, seq: u64) {
        let gone = usize::try_from(seq.saturating_sub(self.first_seq)).unwrap_or(usize::MAX);
        let rest = self.ids.split_off(gone.min(self.ids.len()));
        let mut kept = Self::new(seq.max(self.first_seq), rest.len());
        for id in rest {
            kept.insert(id);
        }
        *self = kept;
    }

    /// Where an id is, or where it would go.
    fn slot(&self, id: u128) -> usize {
        let mask = self.slots.len() - 1;
        // Ids are hashes already; the multiplication only guards against ids that somebody chose.
        let mixed = ((id >> 64) as u64 ^ id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut slot = (mixed >> 32) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return slot,
                taken if self.ids[taken as usize - 1] == id => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_under_their_numbers_until_forgotten() {
        let mut recent = Recent::new(10, 0);
        assert!((0..1000u128).all(|n| recent.insert(n << 90 | n)));
        assert!(!recent.insert(0), "there already");
        assert_eq!((recent.len(), recent.next_seq()), (1000, 1010));
        assert_eq!(recent.find(7 << 90 | 7), Some(17));
        recent.forget_below(510);
        assert_eq!((recent.len(), recent.next_seq()), (500, 1010));
        assert_eq!((recent.find(7 << 90 | 7), recent.find(700 << 90 | 700)), (None, Some(710)));
        recent.forget_below(5000);
        assert_eq!((recent.len(), recent.next_seq()), (0, 5000));
    }
}
