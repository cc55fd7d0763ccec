//! Who goes on in spite of a warning: for a client and a name, until some moment.
//!
//! Response policy zones cannot say this: a rule is for all clients or for all names. So it is kept beside the policy and looked at where a rule warns, and
//! nowhere else: a question that no rule is for never comes here. Nothing of it is written anywhere; with the process it is gone.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use crate::name::{Name, NameHash, Realm, Secret};

/// Exemptions at most; beyond that the oldest ends.
const EXEMPTIONS_MAX: usize = 200_000;
/// Of one client at most; beyond that its oldest ends.
const OF_ONE_MAX: usize = 64;
/// Octets of an IPv6 address that a line has for itself: a /56 (RFC 6177), within which its devices change theirs.
const LINE_OCTETS: usize = 7;

/// The line that an address belongs to, as far as an address tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line(IpAddr);

impl Line {
    /// The whole address, or the first 56 bits of one of IPv6.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let mut octets = v6.octets();
                octets[LINE_OCTETS..].fill(0);
                Self(Ipv6Addr::from(octets).into())
            }
            v4 => Self(v4),
        }
    }
}

/// A name of a line, and until when.
#[derive(Clone, Copy, Debug)]
struct Exemption {
    name: NameHash,
    until_s: u32,
}

#[derive(Debug, Default)]
struct Kept {
    of: HashMap<Line, VecDeque<Exemption>>,
    /// In the order in which they came; some of them have ended.
    order: VecDeque<(Line, Exemption)>,
}

/// All exemptions.
#[derive(Debug)]
pub struct Exemptions {
    secret: Secret,
    kept: Mutex<Kept>,
    /// So that nobody waits for the others where there are none.
    count: AtomicUsize,
}

impl Exemptions {
    /// Nobody goes on.
    pub fn new(secret: Secret) -> Self {
        Self { secret, kept: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Lets a client go on to `name` and to names below it until `until_s`; whatever has ended at `now_s` is forgotten.
    pub fn add(&self, client: IpAddr, name: &Name, now_s: u32, until_s: u32) {
        let line = Line::of(client);
        let added = Exemption { name: self.secret.name(Realm::Query, name), until_s };
        let mut kept = self.kept();
        let Kept { of, order } = &mut *kept;
        let own = of.entry(line).or_default();
        own.retain(|exemption| exemption.until_s > now_s && exemption.name != added.name);
        if own.len() >= OF_ONE_MAX {
            own.pop_front();
        }
        own.push_back(added);
        order.push_back((line, added));
        while order.len() > EXEMPTIONS_MAX || order.front().is_some_and(|(_, oldest)| oldest.until_s <= now_s)
        {
            let Some((line, ended)) = order.pop_front() else { break };
            if let Some(own) = of.get_mut(&line) {
                own.retain(|exemption| exemption.name != ended.name || exemption.until_s != ended.until_s);
                if own.is_empty() {
                    of.remove(&line);
                }
            }
        }
        self.count.store(order.len(), Ordering::Release);
    }

    /// Whether a client goes on to `name`, or to a name above it, at `now_s`.
    pub fn holds(&self, client: IpAddr, name: &Name, now_s: u32) -> bool {
        self.until(client, name, now_s).is_some()
    }

    /// Until when it does.
    pub fn until(&self, client: IpAddr, name: &Name, now_s: u32) -> Option<u32> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut hashes = [self.secret.root(Realm::Query); crate::name::LABELS_MAX];
        let mut labels = 0;
        let mut at = Some(*name);
        while let Some(name) = at.filter(|name| !name.is_root()) {
            hashes[labels] = self.secret.name(Realm::Query, &name);
            labels += 1;
            at = name.parent();
        }
        let kept = self.kept();
        let own = kept.of.get(&Line::of(client))?;
        let holding = own.iter().filter(|exemption| exemption.until_s > now_s);
        holding
            .filter(|exemption| hashes[..labels].contains(&exemption.name))
            .map(|found| found.until_s)
            .max()
    }

    /// Whether a client goes on to anything at all.
    pub fn any(&self, client: IpAddr, now_s: u32) -> bool {
        self.count.load(Ordering::Acquire) != 0
            && self
                .kept()
                .of
                .get(&Line::of(client))
                .is_some_and(|own| own.iter().any(|exemption| exemption.until_s > now_s))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_for_one_line_for_a_name_and_those_below_and_ends() {
        let exemptions = Exemptions::new(Secret([8; 16]));
        assert!(!exemptions.any(ip("192.0.2.1"), 0));
        exemptions.add(ip("192.0.2.1"), &name("bad.example."), 100, 160);
        let holds = |client: &str, asked: &str, now| exemptions.holds(ip(client), &name(asked), now);
        assert!(holds("192.0.2.1", "bad.example.", 159));
        assert!(holds("::ffff:192.0.2.1", "img.bad.example.", 159));
        assert!(!holds("192.0.2.1", "bad.example.", 160));
        assert!(!holds("192.0.2.2", "bad.example.", 100));
        assert!(!holds("192.0.2.1", "example.", 100));
        assert!(!holds("192.0.2.1", "notbad.example.", 100));
        exemptions.add(ip("2001:db8:1:100::5"), &name("bad.example."), 100, 160);
        assert!(holds("2001:db8:1:1ff::9", "bad.example.", 100), "the same /56");
        assert!(!holds("2001:db8:1:200::5", "bad.example.", 100));
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let exemptions = Exemptions::new(Secret([8; 16]));
        for number in 0..100 {
            exemptions.add(ip("192.0.2.1"), &name(&format!("n{number}.example.")), 0, 60);
        }
        let held =
            (0..100).filter(|n| exemptions.holds(ip("192.0.2.1"), &name(&format!("n{n}.example.")), 1));
        assert_eq!(held.collect::<Vec<_>>(), (36..100).collect::<Vec<_>>(), "the oldest end");
        for number in 0..EXEMPTIONS_MAX as u32 {
            let client = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            exemptions.add(client, &name("bad.example."), 0, 60);
        }
        assert!(!exemptions.any(ip("192.0.2.1"), 1));
        assert!(exemptions.kept().order.len() <= EXEMPTIONS_MAX);
        exemptions.add(ip("192.0.2.1"), &name("bad.example."), 60, 120);
        assert_eq!(exemptions.kept().of.len(), 1, "what has ended is forgotten");
    }
}
