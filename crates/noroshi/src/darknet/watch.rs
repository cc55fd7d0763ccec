//! What all threads' news come down to, in the order in which it was sent: campaigns, attacks, and members' addresses that were seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use noroshi_observe::telescope::{Arrival, Asked, Attack, Counts, Glance};
use noroshi_orient::enrich::Tenants;
use noroshi_orient::onset::{Campaign, Onsets};
use serde::Serialize;

/// Campaigns, attacks and addresses of members that are remembered, each; what is beyond is counted.
pub const KEPT_MAX: usize = 100_000;

/// An organisation that is told when one of its addresses is seen.
#[derive(Clone, Debug)]
pub struct Member {
    name: String,
    network: IpNet,
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, network) = text.split_once('=').ok_or("an organisation is NAME=PREFIX")?;
        let network = network.parse().map_err(|e| format!("{network}: {e}"))?;
        Ok(Self { name: name.to_owned(), network })
    }
}

/// The members' address space.
pub fn members(all: &[Member]) -> anyhow::Result<Option<Tenants>> {
    let space = Tenants::new(all.iter().map(|member| (member.network, &member.name)))?;
    Ok((!all.is_empty()).then_some(space))
}

/// Why a member's address was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It sends: a machine that is infected, or wrongly set up.
    Sender,
    /// It answers: somebody attacks it.
    Victim,
}

/// A member's address was seen.
#[derive(Clone, Debug)]
pub struct Alert {
    pub organisation: String,
    pub ip: IpAddr,
    pub role: Role,
    /// When it was known, nanoseconds since 1970: for a sender with the first packet.
    pub known_ns: u64,
    /// What was asked for then, or is attacked.
    pub asked: Option<Asked>,
}

/// Something that is told at once.
#[derive(Clone, Debug)]
pub enum News {
    Alert(Alert),
    Campaign(Campaign<Asked>),
    /// An attack on somebody else that begins, or has ended.
    Victim(Attack),
}

/// News that wait for being told; what is beyond is told in the end only.
const FRESH_MAX: usize = 10_000;

/// What is watched for.
#[derive(Debug, Default)]
pub struct Watch {
    pub counts: Counts,
    members: Option<Tenants>,
    onsets: Onsets<Asked>,
    ended: Vec<Campaign<Asked>>,
    attacks: Vec<Attack>,
    alerts: HashMap<(IpAddr, Role), Alert>,
    fresh: Vec<News>,
    /// What was not remembered for want of room.
    pub forgotten: u64,
    now_ns: u64,
}

impl Watch {
    pub fn new(members: Option<Tenants>) -> Self {
        Self { members, ..Self::default() }
    }

    /// Takes in what is new of a batch.
    pub fn take(&mut self, glance: &mut Glance) {
        self.counts.add(&glance.counts);
        // The telescope tells of them part by part.
        glance.news.arrivals.sort_unstable();
        glance.news.attacks.sort_unstable_by_key(|attack| (attack.known_ns, attack.victim));
        for new in &glance.news.arrivals {
            self.arrive(new);
        }
        for attack in glance.news.attacks.drain(..) {
            self.attacked(attack);
        }
        if let Some(last) = glance.news.arrivals.last() {
            self.now_ns = last.at_ns;
        }
        let ended = self.onsets.ended(self.now_ns);
        let room = KEPT_MAX.saturating_sub(self.ended.len());
        self.forgotten += ended.len().saturating_sub(room) as u64;
        self.ended.extend(ended.into_iter().take(room));
    }

    fn arrive(&mut self, new: &Arrival) {
        if let Some(asked) = new.asked
            && let Some(campaign) = self.onsets.add(asked, new.source, new.at_ns)
        {
            self.tell(News::Campaign(campaign));
        }
        self.alert(new.source, Role::Sender, new.at_ns, new.asked);
    }

    fn attacked(&mut self, attack: Attack) {
        self.tell(News::Victim(attack.clone()));
        if attack.goes_on {
            let asked = attack.ports.iter().find_map(|(protocol, port)| {
                Some(Asked { tcp: *protocol == TCP, port: (*port)?, tool: None })
            });
            self.alert(attack.victim, Role::Victim, attack.known_ns, asked);
        } else if self.attacks.len() < KEPT_MAX {
            self.attacks.push(attack);
        } else {
            self.forgotten += 1;
        }
    }

    fn alert(&mut self, ip: IpAddr, role: Role, known_ns: u64, asked: Option<Asked>) {
        let Some(name) = self.members.as_ref().and_then(|members| members.tenant_of(ip)) else { return };
        if self.alerts.len() >= KEPT_MAX {
            self.forgotten += 1;
            return;
        }
        let organisation = name.to_owned();
        if let Entry::Vacant(free) = self.alerts.entry((ip, role)) {
            let alert = free.insert(Alert { organisation, ip, role, known_ns, asked }).clone();
            self.tell(News::Alert(alert));
        }
    }

    fn tell(&mut self, news: News) {
        if self.fresh.len() < FRESH_MAX {
            self.fresh.push(news);
        }
    }

    /// What is new since this was asked last.
    pub fn fresh(&mut self) -> Vec<News> {
        std::mem::take(&mut self.fresh)
    }

    /// All campaigns, in the order in which they were found.
    pub fn campaigns(&self) -> Vec<Campaign<Asked>> {
        let mut all = self.onsets.going_on();
        all.extend(self.ended.iter().cloned());
        all.sort_by_key(|campaign| (campaign.known_ns, campaign.key));
        all
    }

    /// All attacks, with those that go on, in the order in which they were found.
    pub fn attacks(&self, going_on: Vec<Attack>) -> Vec<Attack> {
        let mut all = self.attacks.clone();
        all.extend(going_on);
        all.sort_by_key(|attack| (attack.known_ns, attack.victim));
        all
    }

    /// All alerts, in the order in which they were known.
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut all: Vec<_> = self.alerts.values().collect();
        all.sort_by_key(|alert| (alert.known_ns, alert.ip, alert.role));
        all
    }
}

/// Its protocol number (IANA).
const TCP: u8 = 6;
