//! Whose line has agreed to a measure, by the address that it has now: a bit for each line of the operator's networks.
//!
//! It is looked at before any rule is: the names that somebody asks for who has not agreed are held against no list. So it must
//! cost next to nothing, and a change must hold at once for all threads. Nobody has agreed of whom nothing is said: an empty map, as
//! after a start, means plain answers. So does one of which nothing was heard for a while, because whoever keeps it up to date may be gone, and
//! with it the word of who has changed their mind.
//!
//! ```text
//!   spaces, sorted      a network of the operator's, cut into lines: IPv4 by addresses, IPv6 by prefixes of one length
//!     pages             of 32,768 lines each, made when one of them agrees first
//!       words           64 lines each
//! ```

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ipnet::IpNet;

/// Words of a page.
const WORDS: usize = 512;
/// Lines of a page.
const LINES: u128 = WORDS as u128 * 64;
/// Lines of one network at most: a /32 of IPv6 cut into /60, or all of IPv4.
pub const LINES_MAX: u128 = 1 << 32;

type Page = Box<[AtomicU64; WORDS]>;

/// A network cut into lines.
#[derive(Debug)]
struct Space {
    network: IpNet,
    first: u128,
    /// Bits of an address below those that tell lines apart.
    within: u32,
    pages: Box<[OnceLock<Page>]>,
}

/// Why a network cannot be cut into lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// A line is larger than the network.
    #[error("{0} has no lines of /{1}")]
    Longer(IpNet, u8),
    /// There are more lines than a map of them may have.
    #[error("{0} has more than {LINES_MAX} lines of /{1}")]
    Large(IpNet, u8),
    /// Another network has some of its addresses.
    #[error("{0} and {1} overlap")]
    Overlaps(IpNet, IpNet),
}

/// Who has agreed to one measure.
#[derive(Debug, Default)]
pub struct Consents {
    /// By their first address, IPv4 before IPv6.
    spaces: Vec<Space>,
    /// Until when what is said holds.
    until_s: AtomicU32,
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn family_bits(network: IpNet) -> u32 {
    u32::from(network.max_prefix_len())
}

impl Consents {
    /// Nobody, of lines that are single addresses (IPv4) or prefixes of `v6_line_len` (IPv6) of `networks`.
    ///
    /// # Errors
    ///
    /// [`SpaceError`], which network cannot be taken.
    pub fn nobody(networks: &[IpNet], v6_line_len: u8) -> Result<Self, SpaceError> {
        let mut spaces = Vec::with_capacity(networks.len());
        for network in networks {
            let network = network.trunc();
            let line_len = if network.addr().is_ipv4() { 32 } else { v6_line_len.min(128) };
            let longer = line_len.checked_sub(network.prefix_len());
            let lines_log = u32::from(longer.ok_or(SpaceError::Longer(network, line_len))?);
            if lines_log > LINES_MAX.ilog2() {
                return Err(SpaceError::Large(network, line_len));
            }
            let pages = (1u128 << lines_log).div_ceil(LINES) as usize;
            spaces.push(Space {
                network,
                first: bits(network.addr()),
                within: family_bits(network) - u32::from(line_len),
                pages: std::iter::repeat_with(OnceLock::new).take(pages).collect(),
            });
        }
        spaces.sort_unstable_by_key(|space| (space.network.addr().is_ipv6(), space.first));
        for two in spaces.windows(2) {
            if two[0].network.contains(&two[1].network) {
                return Err(SpaceError::Overlaps(two[0].network, two[1].network));
            }
        }
        Ok(Self { spaces, until_s: AtomicU32::new(0) })
    }

    fn space(&self, address: IpAddr) -> Option<&Space> {
        let key = (address.is_ipv6(), bits(address));
        let behind =
            self.spaces.partition_point(|space| (space.network.addr().is_ipv6(), space.first) <= key);
        let space = self.spaces.get(behind.checked_sub(1)?)?;
        space.network.contains(&address).then_some(space)
    }

    /// Whether the line that has `address` at `now_s` has agreed.
    #[inline]
    pub fn agrees(&self, address: IpAddr, now_s: u32) -> bool {
        if !self.is_believed(now_s) {
            return false;
        }
        let address = address.to_canonical();
        let Some(space) = self.space(address) else { return false };
        let line = (bits(address) - space.first) >> space.within;
        let Some(page) = space.pages.get((line / LINES) as usize).and_then(OnceLock::get) else {
            return false;
        };
        let at = (line % LINES) as usize;
        page[at / 64].load(Ordering::Acquire) >> (at % 64) & 1 == 1
    }

    /// Says whether the lines of `network` have agreed: a single address, or all lines of a larger one. From then on it holds for all who
    /// ask. `false` where it is no part of the operator's networks.
    pub fn say(&self, network: IpNet, agrees: bool) -> bool {
        let network = network.trunc();
        let Some(space) = self.space(network.addr()) else { return false };
        if !space.network.contains(&network) {
            return false;
        }
        let first = (bits(network.addr()) - space.first) >> space.within;
        let last = (bits(network.broadcast()) - space.first) >> space.within;
        space.say(first, last, agrees);
        true
    }

    /// What is said holds until then.
    pub fn holds_until(&self, until_s: u32) {
        self.until_s.store(until_s, Ordering::Release);
    }

    /// Nobody has agreed any more, until it is said anew.
    pub fn forget(&self) {
        self.holds_until(0);
        for page in self.pages() {
            page.iter().for_each(|word| word.store(0, Ordering::Release));
        }
    }

    /// Whether what is said still holds at `now_s`.
    pub fn is_believed(&self, now_s: u32) -> bool {
        now_s < self.until_s.load(Ordering::Acquire)
    }

    /// How many lines have agreed.
    pub fn count(&self) -> u64 {
        let of = |page: &Page| {
            page.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum::<u64>()
        };
        self.pages().map(of).sum()
    }

    fn pages(&self) -> impl Iterator<Item = &Page> {
        self.spaces.iter().flat_map(|space| space.pages.iter()).filter_map(OnceLock::get)
    }
}

impl Space {
    fn say(&self, first: u128, last: u128, agrees: bool) {
        let mut line = first;
        while line <= last {
            let end = last.min(line | 63);
            let Some(place) = self.pages.get((line / LINES) as usize) else { return };
            let page = match place.get() {
                None if !agrees => None,
                _ => Some(place.get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORDS]))),
            };
            if let Some(page) = page {
                let count = (end - line + 1) as u32;
                let mask = (u64::MAX >> (64 - count)) << (line % 64) as u32;
                let word = &page[(line % LINES) as usize / 64];
                if agrees {
                    word.fetch_or(mask, Ordering::Release);
                } else {
                    word.fetch_and(!mask, Ordering::Release);
                }
            }
            line = end + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_has_agreed_until_it_is_said_and_no_longer_than_that() {
        let networks = [net("203.0.112.0/20"), net("2001:db8::/32"), net("198.51.100.0/24")];
        let consents = Consents::nobody(&networks, 56).unwrap();
        consents.holds_until(100);
        let agrees = |text: &str| consents.agrees(ip(text), 99);
        assert!(!agrees("198.51.100.7"));
        assert!(consents.say(net("198.51.100.7/32"), true));
        assert!(consents.say(net("2001:db8:0:ab00::/56"), true));
        assert!(agrees("198.51.100.7") && !agrees("198.51.100.8"));
        assert!(agrees("::ffff:198.51.100.7"), "as a socket of both families says it");
        assert!(agrees("2001:db8:0:abcd::1") && !agrees("2001:db8:0:ac00::1"));
        assert_eq!(consents.count(), 2);
        assert!(consents.say(net("198.51.100.7/32"), false));
        assert!(!agrees("198.51.100.7"));
        assert!(!consents.say(net("192.0.2.1/32"), true) && !agrees("192.0.2.1"), "not ours");
        assert!(!consents.say(net("198.51.0.0/16"), true), "more than ours");
        consents.say(net("203.0.112.0/20"), true);
        assert_eq!(consents.count(), 4097);
        consents.say(net("203.0.120.0/21"), false);
        assert_eq!(consents.count(), 2049);
        assert!(agrees("203.0.119.255") && !agrees("203.0.120.0"));
        assert!(!consents.agrees(ip("203.0.119.255"), 100), "nothing was heard for too long");
        consents.forget();
        assert_eq!(consents.count(), 0);
    }

    #[test]
    fn what_cannot_be_a_map_is_told() {
        let of = |networks: &[&str], len| {
            let networks: Vec<IpNet> = networks.iter().map(|text| net(text)).collect();
            Consents::nobody(&networks, len).map(|_| ())
        };
        assert_eq!(of(&["2001:db8::/29"], 56), Ok(()));
        assert_eq!(of(&["2001:db8::/29"], 64), Err(SpaceError::Large(net("2001:db8::/29"), 64)));
        assert_eq!(of(&["2001:db8::/60"], 56), Err(SpaceError::Longer(net("2001:db8::/60"), 56)));
        assert_eq!(
            of(&["10.0.0.0/8", "192.0.2.0/24", "10.1.0.0/16"], 56),
            Err(SpaceError::Overlaps(net("10.0.0.0/8"), net("10.1.0.0/16")))
        );
    }
}
