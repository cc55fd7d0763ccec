//! Shared addresses whose ports are given by rule: nothing is logged, and who had a port can be computed, if one knows which
//! rule was in force.
//!
//! ```text
//!   deterministic (RFC 7422)   address, block of ports ──▶ the n-th inside address
//!   map-e         (RFC 7597)   address bits + PSID ──────▶ end-user IPv6 prefix
//!   lw4o6         (RFC 7596)   address + PSID ──table────▶ softwire
//! ```
//!
//! Rules change, so each says from when until when it was in force, and those of one address must not overlap. Without the
//! port there is no answer: up to 256 subscribers share an address (v6 Plus: 240 ports each, in 15 ranges of 16).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most rules.
pub const RULES_MAX: usize = 4096;
/// Most softwires of a table.
pub const BINDINGS_MAX: usize = 4_000_000;
/// Most reserved ranges of ports of a rule.
pub const RESERVED_MAX: usize = 64;

/// A rule as it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NatRule {
    /// Deterministic NAT.
    Deterministic(Deterministic),
    /// MAP-E, and MAP-T, which maps alike.
    MapE(MapE),
    /// Lightweight 4over6: a table of softwires.
    #[serde(rename = "lw4o6")]
    Lw4o6(Lw4o6),
}

/// Deterministic NAT (RFC 7422 §2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deterministic {
    /// From when it was in force; always, if not said.
    pub from: Option<Timestamp>,
    /// Until when, exclusive.
    pub until: Option<Timestamp>,
    /// The subscribers' addresses.
    pub inside: IpNet,
    /// Whether the first and last address of an IPv4 `inside` are subscribers' too.
    #[serde(default)]
    pub boundary_addresses: bool,
    /// The prefix that one subscriber has, in an IPv6 `inside`; 128 if not said.
    pub subscriber_length: Option<u8>,
    /// The shared addresses, in order.
    pub outside: Vec<Ipv4Net>,
    /// Subscribers per shared address (the compression ratio, C).
    pub ratio: u32,
    /// Blocks per shared address that are given out as needed and logged (the dynamic factor, D).
    #[serde(default)]
    pub dynamic: u32,
    /// The first port.
    #[serde(default = "first_port")]
    pub first_port: u16,
    /// The last port.
    #[serde(default = "last_port")]
    pub last_port: u16,
    /// Ports within that are nobody's: `[[5060, 5061]]`.
    #[serde(default)]
    pub reserved: Vec<(u16, u16)>,
    /// Ports per subscriber, where it is not all of them divided by C + D.
    pub block_size: Option<u32>,
    /// In which order ports are given.
    #[serde(default)]
    pub order: Order,
}

/// The algorithm (RFC 7422 §2.2, A).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A block of neighbouring ports each.
    #[default]
    Sequential,
    /// Every (C + D)-th port each.
    Staggered,
}

/// A mapping rule of MAP-E (RFC 7597 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MapE {
    /// From when it was in force; always, if not said.
    pub from: Option<Timestamp>,
    /// Until when, exclusive.
    pub until: Option<Timestamp>,
    /// Rule IPv6 prefix.
    pub ipv6_prefix: Ipv6Net,
    /// Rule IPv4 prefix.
    pub ipv4_prefix: Ipv4Net,
    /// How many bits of address and PSID follow the rule's IPv6 prefix.
    pub ea_length: u8,
    /// How many bits come before the PSID in a port; all zeros there are nobody's.
    #[serde(default = "psid_offset")]
    pub psid_offset: u8,
}

/// The binding table of a border relay (RFC 7596 §6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lw4o6 {
    /// From when it was in force; always, if not said.
    pub from: Option<Timestamp>,
    /// Until when, exclusive.
    pub until: Option<Timestamp>,
    /// Bits of the PSID; 0 if addresses are not shared.
    pub psid_length: u8,
    /// How many bits come before the PSID in a port.
    #[serde(default)]
    pub psid_offset: u8,
    /// Who has what.
    pub bindings: Vec<Binding>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Binding {
    /// The subscriber's IPv6 address or prefix.
    pub softwire: Ipv6Net,
    /// The shared address.
    pub address: Ipv4Addr,
    /// Which part of its ports.
    #[serde(default)]
    pub psid: u16,
}

fn first_port() -> u16 {
    1024
}

fn last_port() -> u16 {
    u16::MAX
}

/// RFC 7597 §5.1.
fn psid_offset() -> u8 {
    6
}

/// What is wrong with a rule, counted from 1 in the order they were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It contradicts itself.
    #[error("rule {0}: {1}")]
    Rule(usize, &'static str),
    /// Both say who has an address at some time.
    #[error("rules {0} and {1} are in force for the same address at the same time")]
    Overlap(usize, usize),
    /// Too many.
    #[error("more than {RULES_MAX} rules")]
    Many,
}

/// Why nobody can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatRefusal {
    /// Not for that address, or not then.
    #[error("no rule was in force for this address then")]
    NoRule,
    /// Several share the address.
    #[error("the address is shared, and no port is given")]
    NoPort,
    /// The rule gives the port to nobody.
    #[error("the port is reserved")]
    Reserved,
    /// Given out as needed.
    #[error("the port is of the dynamic pool; only the translator's log can say whose it was")]
    Dynamic,
    /// The rule's part of that address and port is no subscriber's.
    #[error("no subscriber is behind this address and port")]
    Nobody,
}

/// Who was behind an address and port. Prints nothing of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// The inside address, or the subscriber's IPv6 prefix.
    pub inside: IpNet,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapped(‹redacted›)")
    }
}

/// Rules that were checked.
#[derive(Clone, Debug, Default)]
pub struct NatRules {
    rules: Vec<Checked>,
}

#[derive(Clone, Debug)]
struct Checked {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    outside: Vec<Ipv4Net>,
    rule: Computed,
}

#[derive(Clone, Debug)]
enum Computed {
    Deterministic { rule: Deterministic, block: u32 },
    MapE(MapE),
    Table { psid_length: u8, psid_offset: u8, bindings: BTreeMap<(Ipv4Addr, u16), Ipv6Net> },
}

impl NatRules {
    /// Checks rules: each on its own, and that no two speak of one address at the same time.
    pub fn new(rules: Vec<NatRule>) -> Result<Self, RuleError> {
        if rules.len() > RULES_MAX {
            return Err(RuleError::Many);
        }
        let check = |(at, rule): (usize, NatRule)| rule.checked().map_err(|why| RuleError::Rule(at + 1, why));
        let rules = rules.into_iter().enumerate().map(check).collect::<Result<Vec<_>, _>>()?;
        for (later, rule) in rules.iter().enumerate() {
            if let Some(earlier) = rules[..later].iter().position(|other| other.overlaps(rule)) {
                return Err(RuleError::Overlap(earlier + 1, later + 1));
            }
        }
        Ok(Self { rules })
    }

    /// Whether any rule, whenever in force, is about this address: it is a shared one.
    pub fn is_shared(&self, outside: IpAddr) -> bool {
        self.of(outside).next().is_some()
    }

    /// Whether a rule for this address came into force or ceased to be within so many seconds of a moment: there the clocks
    /// decide which one holds.
    pub fn changes_near(&self, outside: IpAddr, at: Timestamp, within_s: i64) -> bool {
        let near = |border: Timestamp| (border.as_second() - at.as_second()).abs() <= within_s;
        self.of(outside).any(|rule| [rule.from, rule.until].into_iter().flatten().any(near))
    }

    /// Who was behind an address and port then.
    ///
    /// # Errors
    /// Why nobody can be named.
    pub fn inside(&self, outside: IpAddr, port: Option<u16>, at: Timestamp) -> Result<Mapped, NatRefusal> {
        let IpAddr::V4(ip) = outside.to_canonical() else { return Err(NatRefusal::NoRule) };
        let rule = self.of(outside).find(|rule| rule.in_force(at)).ok_or(NatRefusal::NoRule)?;
        let inside = match &rule.rule {
            Computed::Deterministic { rule, block } => rule.inside_of(ip, port, *block)?,
            Computed::MapE(rule) => rule.prefix_of(ip, port)?.into(),
            Computed::Table { psid_length, psid_offset, bindings } => {
                let psid = psid(port, *psid_offset, *psid_length)?;
                IpNet::V6(*bindings.get(&(ip, psid)).ok_or(NatRefusal::Nobody)?)
            }
        };
        Ok(Mapped { inside })
    }

    fn of(&self, outside: IpAddr) -> impl Iterator<Item = &Checked> {
        let ip = match outside.to_canonical() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        self.rules.iter().filter(move |rule| ip.is_some_and(|ip| rule.covers(ip)))
    }
}

impl Checked {
    fn covers(&self, ip: Ipv4Addr) -> bool {
        match &self.rule {
            Computed::Table { bindings, .. } => bindings.range((ip, 0)..=(ip, u16::MAX)).next().is_some(),
            _ => self.outside.iter().any(|net| net.contains(&ip)),
        }
    }

    fn in_force(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.until.zip(b.from).is_some_and(|(until, from)| until <= from);
        if before(self, other) || before(other, self) {
            return false;
        }
        let (table, rest) = match (&self.rule, &other.rule) {
            (Computed::Table { bindings, .. }, _) => (bindings, other),
            (_, Computed::Table { bindings, .. }) => (bindings, self),
            _ => {
                let share = |a: &Ipv4Net| other.outside.iter().any(|b| a.contains(b) || b.contains(a));
                return self.outside.iter().any(share);
            }
        };
        table.keys().any(|(ip, _)| rest.covers(*ip))
    }
}

impl NatRule {
    fn checked(self) -> Result<Checked, &'static str> {
        let checked = match self {
            Self::Deterministic(rule) => {
                let block = rule.check()?;
                let outside = rule.outside.iter().map(Ipv4Net::trunc).collect();
                let (from, until) = (rule.from, rule.until);
                Checked { from, until, outside, rule: Computed::Deterministic { rule, block } }
            }
            Self::MapE(rule) => {
                rule.check()?;
                let outside = vec![rule.ipv4_prefix.trunc()];
                Checked { from: rule.from, until: rule.until, outside, rule: Computed::MapE(rule) }
            }
            Self::Lw4o6(Lw4o6 { from, until, psid_length, psid_offset, bindings }) => {
                if psid_length > 16 || psid_offset > 16 || psid_length + psid_offset > 16 {
                    return Err("`psid-offset` and `psid-length` are more than 16 bits together");
                }
                if bindings.len() > BINDINGS_MAX {
                    return Err("more softwires than a table may have");
                }
                let mut table = BTreeMap::new();
                for binding in bindings {
                    if u32::from(binding.psid) >= 1 << psid_length {
                        return Err("a `psid` is longer than `psid-length`");
                    }
                    if table.insert((binding.address, binding.psid), binding.softwire.trunc()).is_some() {
                        return Err("two softwires have the same address and PSID");
                    }
                }
                let rule = Computed::Table { psid_length, psid_offset, bindings: table };
                Checked { from, until, outside: Vec::new(), rule }
            }
        };
        match (checked.from, checked.until) {
            (Some(from), Some(until)) if until <= from => Err("`until` is not after `from`"),
            _ => Ok(checked),
        }
    }
}

impl Deterministic {
    /// Ports per subscriber.
    fn check(&self) -> Result<u32, &'static str> {
        if self.outside.is_empty() || self.ratio == 0 || self.first_port > self.last_port {
            return Err("`outside`, `ratio` or the range of ports is empty");
        }
        if self.reserved.len() > RESERVED_MAX || self.reserved.iter().any(|(first, last)| first > last) {
            return Err("`reserved` has a range that ends before it begins, or too many");
        }
        let overlap =
            |(at, a): (usize, &Ipv4Net)| self.outside[..at].iter().any(|b| a.contains(b) || b.contains(a));
        if self.outside.iter().enumerate().any(overlap) {
            return Err("two of `outside` overlap");
        }
        let longest = if matches!(self.inside, IpNet::V4(_)) { 32 } else { 128 };
        if !(self.inside.prefix_len()..=longest).contains(&self.length()) {
            return Err("`subscriber-length` does not fit `inside`");
        }
        let blocks = self.ratio.checked_add(self.dynamic).ok_or("`ratio` and `dynamic` are too large")?;
        let block = self.block_size.unwrap_or(self.ports() / blocks);
        let fits = block.checked_mul(self.ratio).is_some_and(|all| all <= self.ports());
        if block == 0 || !fits {
            return Err("there are not enough ports for `ratio` and `dynamic`");
        }
        if self.order == Order::Staggered && self.block_size.is_some() {
            return Err("`block-size` is for the sequential order");
        }
        Ok(block)
    }

    fn length(&self) -> u8 {
        match self.inside {
            IpNet::V4(_) => self.subscriber_length.unwrap_or(32),
            IpNet::V6(_) => self.subscriber_length.unwrap_or(128),
        }
    }

    fn is_reserved(&self, port: u16) -> bool {
        let range = self.first_port..=self.last_port;
        !range.contains(&port) || self.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// How many ports below this one are somebody's.
    fn below(&self, port: u32) -> u32 {
        let range = u32::from(self.first_port)..port.min(u32::from(self.last_port) + 1);
        let free = |port: &u32| u16::try_from(*port).is_ok_and(|port| !self.is_reserved(port));
        if self.reserved.is_empty() {
            return range.end.saturating_sub(range.start);
        }
        u32::try_from(range.filter(free).count()).unwrap_or(u32::MAX)
    }

    fn ports(&self) -> u32 {
        self.below(1 << 16)
    }

    fn inside_of(&self, ip: Ipv4Addr, port: Option<u16>, block: u32) -> Result<IpNet, NatRefusal> {
        let port = port.ok_or(NatRefusal::NoPort)?;
        if self.is_reserved(port) {
            return Err(NatRefusal::Reserved);
        }
        let place = self.below(port.into());
        let blocks = self.ratio + self.dynamic;
        let of_address = match self.order {
            Order::Sequential => place / block,
            // What does not fill a round is nobody's.
            Order::Staggered if place >= block * blocks => return Err(NatRefusal::Reserved),
            Order::Staggered => place % blocks,
        };
        if of_address >= self.ratio {
            return Err(if self.dynamic > 0 { NatRefusal::Dynamic } else { NatRefusal::Reserved });
        }
        let mut before = 0u128;
        let mut address = None;
        for net in &self.outside {
            if net.contains(&ip) {
                address = Some(before + u128::from(u32::from(ip) - u32::from(net.network())));
                break;
            }
            before += 1u128 << (32 - net.prefix_len());
        }
        let address = address.ok_or(NatRefusal::NoRule)?;
        self.subscriber(address * u128::from(self.ratio) + u128::from(of_address)).ok_or(NatRefusal::Nobody)
    }

    /// The n-th subscriber, from 0.
    fn subscriber(&self, n: u128) -> Option<IpNet> {
        let length = self.length();
        let bits = u32::from(length - self.inside.prefix_len());
        let edges = self.inside.addr().is_ipv4() && bits >= 2 && length == 32 && !self.boundary_addresses;
        let (n, end) = if edges { (n.checked_add(1)?, 1) } else { (n, 0) };
        if bits < 128 && n >= (1u128 << bits) - end {
            return None;
        }
        let net = match self.inside {
            IpNet::V4(inside) => {
                let address =
                    u32::from(inside.network()).checked_add(u32::try_from(n).ok()? << (32 - length))?;
                IpNet::new(Ipv4Addr::from(address).into(), length)
            }
            IpNet::V6(inside) => {
                let shifted = n.checked_shl(u32::from(128 - length))?;
                IpNet::new(Ipv6Addr::from(u128::from(inside.network()).checked_add(shifted)?).into(), length)
            }
        };
        net.ok()
    }
}

impl MapE {
    /// Bits of the IPv4 address that the rule leaves open (RFC 7597 §5.2: p).
    fn suffix_bits(&self) -> u8 {
        32 - self.ipv4_prefix.prefix_len()
    }

    /// Bits of the PSID (q).
    fn psid_bits(&self) -> u8 {
        self.ea_length.saturating_sub(self.suffix_bits())
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.ea_length > 48 {
            return Err("`ea-length` is more than 48 (RFC 7597 §5)");
        }
        if self.ipv6_prefix.prefix_len() + self.ea_length > 128 {
            return Err("`ea-length` does not fit behind `ipv6-prefix`");
        }
        if self.psid_offset > 15 || self.psid_offset + self.psid_bits() > 16 {
            return Err("`psid-offset` and the PSID are more than 16 bits together");
        }
        Ok(())
    }

    /// The end-user prefix: rule prefix, address suffix, PSID (RFC 7597 §5.2, §5.3).
    fn prefix_of(&self, ip: Ipv4Addr, port: Option<u16>) -> Result<Ipv6Net, NatRefusal> {
        let (suffix_bits, psid_bits) = (self.suffix_bits(), self.psid_bits());
        let suffix = u64::from(u32::from(ip)) & ((1u64 << suffix_bits) - 1);
        let psid = u64::from(psid(port, self.psid_offset, psid_bits)?);
        // Where there are fewer bits than the suffix has, the subscriber has a whole prefix of IPv4.
        let ea = if self.ea_length >= suffix_bits {
            (suffix << psid_bits) | psid
        } else {
            suffix >> (suffix_bits - self.ea_length)
        };
        let length = self.ipv6_prefix.prefix_len() + self.ea_length;
        let ea = u128::from(ea).checked_shl(u32::from(128 - length)).unwrap_or(0);
        let prefix = u128::from(self.ipv6_prefix.network()) | ea;
        Ipv6Net::new(Ipv6Addr::from(prefix), length).map_err(|_| NatRefusal::Nobody)
    }
}

/// The PSID of a port: the bits behind the offset; where all of the offset's bits are zero, the port is nobody's (RFC 7597
/// §5.1). Addresses that are not shared need no port.
fn psid(port: Option<u16>, offset: u8, length: u8) -> Result<u16, NatRefusal> {
    if length == 0 {
        return Ok(0);
    }
    let port = u32::from(port.ok_or(NatRefusal::NoPort)?);
    if offset > 0 && port >> (16 - offset) == 0 {
        return Err(NatRefusal::Reserved);
    }
    let psid = (port >> (16 - offset - length)) & ((1 << length) - 1);
    u16::try_from(psid).map_err(|_| NatRefusal::Nobody)
}

#[cfg(test)]
mod tests;
