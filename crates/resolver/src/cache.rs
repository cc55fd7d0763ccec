//! Steps that are known already, for all workers.
//!
//! A name, a type and what the client wants of signatures are hashed to 128 bits with a secret key; the name is compared as well. What is
//! too old is kept until its room is needed: it is better than nothing when nobody can be asked (RFC 8767).

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache as Map, DefaultLifecycle};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::name::{Name, Secret};
use crate::step::Step;

/// What is asked of other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The name.
    pub name: Name,
    /// The type's number.
    pub rtype: u16,
    /// Whether signatures are wanted.
    pub dnssec_ok: bool,
    /// Whether they are checked by the client.
    pub checking_disabled: bool,
}

/// Steps by what was wanted.
#[derive(Debug)]
pub struct Cache {
    secret: Secret,
    map: Map<Key, Arc<Step>, ByOctets, BuildHasherDefault<AsIs>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64, u64);

#[derive(Clone, Debug)]
struct ByOctets;

impl Weighter<Key, Arc<Step>> for ByOctets {
    fn weight(&self, _: &Key, step: &Arc<Step>) -> u64 {
        // The map's own part of an entry, about.
        step.octets() as u64 + 64
    }
}

/// A key is a hash already.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write_u64(&mut self, half: u64) {
        self.0 = self.0.rotate_left(32) ^ half;
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Cache {
    /// An empty one of so many octets at most.
    pub fn new(secret: Secret, octets_max: u64) -> Self {
        // An entry with one address takes some 500 octets.
        let items = usize::try_from(octets_max / 512).unwrap_or(usize::MAX).max(64);
        Self {
            secret,
            map: Map::with(
                items,
                octets_max,
                ByOctets,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    fn key(&self, wanted: &Wanted) -> Key {
        let mut hasher = SipHasher13::new_with_key(&self.secret.0);
        hasher.write(wanted.name.wire());
        let wishes = u32::from(wanted.dnssec_ok) << 16 | u32::from(wanted.checking_disabled) << 17;
        hasher.write_u32(u32::from(wanted.rtype) | wishes);
        let both = hasher.finish128();
        Key(both.h1, both.h2)
    }

    /// What is known, however old.
    #[inline]
    pub fn find(&self, wanted: &Wanted) -> Option<Arc<Step>> {
        self.map.get(&self.key(wanted)).filter(|step| *step.name == *wanted.name.wire())
    }

    /// Keeps what was learned.
    pub fn keep(&self, wanted: &Wanted, step: Arc<Step>) {
        self.map.insert(self.key(wanted), step);
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Octets that entries take, about.
    pub fn octets(&self) -> u64 {
        self.map.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wanted_otherwise_is_something_else_and_memory_is_bounded() {
        let cache = Cache::new(Secret([2; 16]), 1 << 20);
        let name =
            |number: u32| Name::from_text(format!("n{number}.example.").as_bytes(), &Name::ROOT).unwrap();
        let wanted = |number, rtype, dnssec_ok| Wanted {
            name: name(number),
            rtype,
            dnssec_ok,
            checking_disabled: false,
        };
        let step = |number| Arc::new(Step::failed(&name(number), None, 0, 10));
        cache.keep(&wanted(1, 1, false), step(1));
        assert!(cache.find(&wanted(1, 1, false)).is_some());
        assert!(cache.find(&wanted(1, 28, false)).is_none());
        assert!(cache.find(&wanted(1, 1, true)).is_none());
        for number in 0..20_000 {
            cache.keep(&wanted(number, 1, false), step(number));
        }
        assert!(cache.octets() <= 1 << 20, "{}", cache.octets());
        assert!(cache.len() > 1000, "{}", cache.len());
    }
}
