//! What all threads' news come down to, in the order in which it was sent: campaigns, attacks, and members' addresses that were seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use noroshi_model::organisation::Role;
use noroshi_observe::telescope::{Arrival, Asked, Attack, Counts, Glance};
use noroshi_orient::enrich::{Tenants, WarningLists};
use noroshi_orient::onset::{Campaign, Onsets};

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

impl Member {
    /// What is whose.
    pub fn of(&self) -> (IpNet, &str) {
        (self.network, &self.name)
    }
}

/// The members' address space.
pub fn members(all: &[Member]) -> anyhow::Result<Option<Tenants>> {
    let space = Tenants::new(all.iter().map(|member| (member.network, &member.name)))?;
    Ok((!all.is_empty()).then_some(space))
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
    /// From which port.
    pub from: Option<u16>,
}

/// Something that is told at once.
#[derive(Clone, Debug)]
pub enum Fresh {
    Alert(Alert),
    Campaign(Campaign<Asked>),
    /// An attack on somebody else that begins, or has ended.
    Victim(Attack),
}

/// News that wait for being told; what is beyond is told in the end only.
const FRESH_MAX: usize = 10_000;

/// Arrivals that are looked at together.
const AT_ONCE: usize = 32;

/// Arrivals that are told one by one, of all since that was asked last.
pub const SAMPLES_MAX: usize = 20;

/// Some of many arrivals, each with the same chance (Vitter 1985, algorithm R).
#[derive(Debug, Default)]
struct Samples {
    some: Vec<Arrival>,
    /// Of how many.
    of: u64,
    /// All there were.
    ever: u64,
    chance: RandomState,
}

impl Samples {
    fn add(&mut self, new: &Arrival) {
        (self.of, self.ever) = (self.of + 1, self.ever + 1);
        if self.some.len() < SAMPLES_MAX {
            self.some.push(*new);
            return;
        }
        let chance = self.chance.hash_one(self.ever) % self.of;
        if let Some(place) = usize::try_from(chance).ok().and_then(|place| self.some.get_mut(place)) {
            *place = *new;
        }
    }

    fn take(&mut self) -> (u64, Vec<Arrival>) {
        (std::mem::take(&mut self.of), std::mem::take(&mut self.some))
    }
}

/// What is watched for.
#[derive(Debug, Default)]
pub struct Watch {
    pub counts: Counts,
    members: Option<Tenants>,
    /// Warning lists, among them those who scan for research.
    lists: Arc<WarningLists>,
    onsets: Onsets<Asked>,
    ended: Vec<Campaign<Asked>>,
    attacks: Vec<Attack>,
    alerts: HashMap<(IpAddr, Role), Alert>,
    fresh: Vec<Fresh>,
    samples: Samples,
    /// With those that came late.
    arrived: u64,
    forgotten: u64,
    now_ns: u64,
}

impl Watch {
    /// For these members. Who scans for research by one of the lists is no part of a campaign: they all begin at once when there is
    /// something new to look for.
    pub fn new(members: Option<Tenants>, lists: Arc<WarningLists>) -> Self {
        Self { members, lists, ..Self::default() }
    }

    /// Takes in what is new of a batch.
    pub fn take(&mut self, glance: &mut Glance) {
        self.counts.add(&glance.counts);
        // The telescope tells of them part by part.
        glance.news.arrivals.sort_unstable();
        glance.news.attacks.sort_unstable_by_key(|attack| (attack.known_ns, attack.victim));
        for some in glance.news.arrivals.chunks(AT_ONCE) {
            self.onsets.approach(some.iter().filter_map(|new| new.asked));
            some.iter().for_each(|new| self.arrive(new));
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

    /// Takes in what is new of a batch of a time that others have left behind: it is no part of a campaign, for those who come at once
    /// after a link was cut did not begin at once.
    pub fn take_late(&mut self, glance: &mut Glance) {
        self.counts.add(&glance.counts);
        glance.news.arrivals.sort_unstable();
        self.arrived += glance.news.arrivals.len() as u64;
        for new in &glance.news.arrivals {
            self.alert(new.source, Role::Sender, new.at_ns, (new.asked, new.from));
        }
        glance.news.attacks.sort_unstable_by_key(|attack| (attack.known_ns, attack.victim));
        for attack in glance.news.attacks.drain(..) {
            self.attacked(attack);
        }
    }

    fn arrive(&mut self, new: &Arrival) {
        self.arrived += 1;
        self.samples.add(new);
        if let Some(asked) = new.asked
            && self.lists.scanner(new.source).is_none()
            && let Some(campaign) = self.onsets.add(asked, new.source, new.at_ns)
        {
            self.tell(Fresh::Campaign(campaign));
        }
        self.alert(new.source, Role::Sender, new.at_ns, (new.asked, new.from));
    }

    fn attacked(&mut self, attack: Attack) {
        self.tell(Fresh::Victim(attack.clone()));
        if attack.goes_on {
            let asked = attack.ports.iter().find_map(|(protocol, port)| {
                Some(Asked { tcp: *protocol == TCP, port: (*port)?, tool: None })
            });
            self.alert(attack.victim, Role::Victim, attack.known_ns, (asked, None));
        } else if self.attacks.len() < KEPT_MAX {
            self.attacks.push(attack);
        } else {
            self.forgotten += 1;
        }
    }

    fn alert(&mut self, ip: IpAddr, role: Role, known_ns: u64, (asked, from): (Option<Asked>, Option<u16>)) {
        let Some(name) = self.members.as_ref().and_then(|members| members.tenant_of(ip)) else { return };
        let room = self.alerts.len() < KEPT_MAX;
        match self.alerts.entry((ip, role)) {
            Entry::Occupied(_) => {}
            Entry::Vacant(free) if room => {
                let organisation = name.to_owned();
                let alert = free.insert(Alert { organisation, ip, role, known_ns, asked, from }).clone();
                self.tell(Fresh::Alert(alert));
            }
            Entry::Vacant(_) => self.forgotten += 1,
        }
    }

    fn tell(&mut self, news: Fresh) {
        if self.fresh.len() < FRESH_MAX {
            self.fresh.push(news);
        }
    }

    /// How many arrivals there were since this was asked last, and some of them. Those that came late are not among them.
    pub fn arrivals(&mut self) -> (u64, Vec<Arrival>) {
        self.samples.take()
    }

    /// How many arrivals there were in all.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Who scans for research is looked up in these lists from now on.
    pub fn look_up_in(&mut self, lists: Arc<WarningLists>) {
        self.lists = lists;
    }

    /// Watches for these members from now on.
    pub fn watch_for(&mut self, members: Option<Tenants>) {
        self.members = members;
    }

    /// Forgets addresses that are not seen any more: they are told of anew when they come again.
    pub fn forget(&mut self, gone: &[(IpAddr, Role)]) {
        gone.iter().for_each(|key| drop(self.alerts.remove(key)));
    }

    /// What is new since this was asked last.
    pub fn fresh(&mut self) -> Vec<Fresh> {
        std::mem::take(&mut self.fresh)
    }

    /// Campaigns, attacks and alerts that were not remembered for want of room, and arrivals that were not looked at.
    pub fn forgotten(&self) -> u64 {
        self.forgotten + self.onsets.beyond
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use noroshi_orient::enrich::ListsBuilder;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn glance(arrivals: impl IntoIterator<Item = (u32, [u8; 4], u16)>) -> Glance {
        let mut glance = Glance::default();
        glance.news.arrivals = arrivals
            .into_iter()
            .map(|(at_s, source, port)| Arrival {
                at_ns: u64::from(at_s) * SECOND_NS,
                source: Ipv4Addr::from(source).into(),
                asked: Some(Asked { tcp: true, port, tool: None }),
                from: Some(40_000),
            })
            .collect();
        glance
    }

    #[test]
    fn who_scans_for_research_is_no_part_of_a_campaign() {
        let mut lists = ListsBuilder::default();
        let list = br#"{"name":"Somebody's scanners","type":"cidr","matching_attributes":["ip-src"],"list":["9.0.0.0/8"]}"#;
        lists.add(list).unwrap();
        let mut watch = Watch::new(None, Arc::new(lists.build().unwrap()));
        let botnet = |first: u8, port| (0..20u8).map(move |n| (5000 + u32::from(n), [first, n, 7, 7], port));
        let early = [(0, [1, 2, 3, 4], 22)];
        watch.take(&mut glance(early.into_iter().chain(botnet(9, 1000)).chain(botnet(8, 2000))));
        let ports: Vec<_> = watch.campaigns().iter().map(|campaign| campaign.key.port).collect();
        assert_eq!(ports, [2000]);
        assert!(matches!(&watch.fresh()[..], [Fresh::Campaign(_)]) && watch.fresh().is_empty());
    }

    #[test]
    fn some_of_many_arrivals_are_told_each_with_the_same_chance() {
        let mut seen = HashMap::<IpAddr, u32>::new();
        let mut watch = Watch::default();
        for _ in 0..500 {
            watch.take(&mut glance((0..100u8).map(|n| (n.into(), [n, 1, 7, 7], 2000))));
            let (of, some) = watch.arrivals();
            assert_eq!((of, some.len()), (100, SAMPLES_MAX));
            some.iter().for_each(|new| *seen.entry(new.source).or_default() += 1);
        }
        // 100 to be expected of each, with a deviation of 9.
        assert!(seen.len() == 100 && seen.values().all(|times| (50..=150).contains(times)), "{seen:?}");
        assert_eq!((watch.arrivals().0, watch.arrived()), (0, 50_000));
    }

    #[test]
    fn an_address_of_a_member_is_told_once() {
        let members = ["city=192.0.2.0/24", "school=192.0.2.128/25"].map(|text| text.parse().unwrap());
        let mut watch = Watch::new(members_of(&members), Arc::default());
        for port in [22, 23] {
            watch.take(&mut glance([
                (7, [192, 0, 2, 200], port),
                (9, [192, 0, 2, 1], port),
                (9, [192, 0, 3, 1], port),
            ]));
        }
        let told: Vec<_> =
            watch.alerts().iter().map(|alert| (alert.organisation.clone(), alert.known_ns)).collect();
        assert_eq!(told, [("school".into(), 7 * SECOND_NS), ("city".into(), 9 * SECOND_NS)]);
        assert_eq!(watch.fresh().len(), 2);
    }

    #[test]
    fn what_comes_late_is_no_campaign_and_is_told_to_those_whose_it_is() {
        let botnet = || glance((0..60u8).map(|n| (5000 + u32::from(n), [n, 1, 7, 7], 2000)));
        let watch = || Watch::new(members_of(&["city=9.1.0.0/16".parse().unwrap()]), Arc::default());
        let early = || glance([(0, [1, 2, 3, 4], 22)]);
        let (mut on_time, mut late) = (watch(), watch());
        on_time.take(&mut early());
        on_time.take(&mut botnet());
        late.take(&mut early());
        late.take_late(&mut botnet());
        assert_eq!((on_time.campaigns().len(), late.campaigns().len()), (1, 0));
        let alerted = |watch: &Watch| watch.alerts().iter().map(|alert| alert.known_ns).collect::<Vec<_>>();
        assert_eq!((alerted(&on_time), alerted(&late)), (vec![5009 * SECOND_NS], vec![5009 * SECOND_NS]));
    }

    fn members_of(all: &[Member]) -> Option<Tenants> {
        members(all).unwrap()
    }
}
