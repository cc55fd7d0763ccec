//! What the telescope sees of organisations' addresses, on its way to where it is written down and told ([`crate::organisations`]): at once
//! when an address is new, and now and then how it goes on.
//!
//! What cannot be written down just now is kept, up to a limit, and written when the database is there again.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use noroshi_model::organisation::{Role, Seen};
use noroshi_observe::telescope::{Attack, Telescope, Tool, Turn};
use noroshi_orient::enrich::Tenants;
use noroshi_store::StoreError;

use super::judged::time;
use super::subscribers::{OURS, Subscribers};
use super::watch::{Alert, Member, Watch};
use crate::house::House;
use crate::organisations::{self, Ranges};

/// How often it is written how known addresses go on.
const GOES_ON: Duration = Duration::from_secs(10);
/// How often it is looked which ranges there are now.
const RANGES: Duration = Duration::from_secs(10);
/// Pause after a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Sightings that wait for the database; of what is beyond only how it goes on is written later.
const WAITING_MAX: usize = 100_000;
/// Longest name of a telescope.
const NAME_BYTES_MAX: usize = 64;

/// Writes down what is seen of organisations' addresses.
pub struct Alerting<'a> {
    house: &'a House,
    /// What this telescope is called.
    name: String,
    /// Organisations named on the command line, which are told nothing from here.
    named: Vec<Member>,
    ranges: Ranges,
    registered: HashSet<String>,
    /// How much of a sender was written down: packets, and until when.
    written: HashMap<(IpAddr, Role), u64>,
    waiting: Vec<(String, Seen)>,
    subscribers: Option<Subscribers<'a>>,
    went_on: Instant,
    looked: Instant,
    /// When the database failed last.
    failed: Option<Instant>,
}

impl<'a> Alerting<'a> {
    /// For a telescope of this name; watches for ranges that are in force from now on.
    pub fn new(
        house: &'a House,
        name: &str,
        named: &[Member],
        telescope: &Telescope,
        watch: &Turn<Watch>,
    ) -> anyhow::Result<Self> {
        let wish = house.config.alerts.file.subscribers.as_ref();
        anyhow::ensure!(
            wish.is_none() || !house.config.own.is_empty(),
            "[alert.subscribers] needs network.own: everybody on the Internet would be a subscriber"
        );
        let subscribers = wish.map(|wish| Subscribers::new(house, wish)).transpose()?;
        let mut alerting = Self {
            house,
            subscribers,
            name: name.to_owned(),
            named: named.to_vec(),
            ranges: Vec::new(),
            registered: HashSet::new(),
            written: HashMap::new(),
            waiting: Vec::new(),
            went_on: Instant::now(),
            looked: Instant::now(),
            failed: None,
        };
        alerting.read_ranges(watch)?;
        say_there(house, name, telescope)?;
        Ok(alerting)
    }

    /// How many ranges it watches for.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Addresses are new.
    pub fn alert(&mut self, alerts: &[Alert], telescope: &Telescope) {
        self.see(alerts, telescope);
    }

    /// Sees what is new of addresses; gives back of which nothing is known any more.
    fn see(&mut self, alerts: &[Alert], telescope: &Telescope) -> Vec<(IpAddr, Role)> {
        let any_victim = alerts.iter().any(|alert| alert.role == Role::Victim);
        let attacks = if any_victim { telescope.attacks() } else { Vec::new() };
        let attacks: HashMap<IpAddr, &Attack> =
            attacks.iter().map(|attack| (attack.victim, attack)).collect();
        let mut gone = Vec::new();
        for alert in alerts {
            let is_there = match alert.role {
                Role::Sender => self.see_sender(alert, telescope),
                Role::Victim => attacks.get(&alert.ip).is_some_and(|attack| self.see_victim(alert, attack)),
            };
            if !is_there {
                gone.push((alert.ip, alert.role));
            }
        }
        gone
    }

    /// Writes down what is new and, when it is time, how the rest goes on; false where something could not be written.
    pub fn write(&mut self, telescope: &Telescope, watch: &Turn<Watch>) -> bool {
        if self.looked.elapsed() >= RANGES {
            self.looked = Instant::now();
            if let Err(e) = self.read_ranges(watch) {
                tracing::error!("which ranges there are: {e:#}");
            }
        }
        if self.went_on.elapsed() >= GOES_ON {
            self.went_on = Instant::now();
            self.go_on(telescope, watch);
        }
        if self.failed.is_some_and(|at| at.elapsed() < AFTER_FAILURE) {
            return false;
        }
        self.failed = None;
        self.write_waiting();
        self.failed.is_none()
    }

    fn write_waiting(&mut self) {
        if let Some(Err(e)) = self.subscribers.as_mut().map(Subscribers::take_in) {
            self.failed = Some(Instant::now());
            tracing::error!("senders of our own network wait: {e:#}");
        }
        if self.waiting.is_empty() {
            return;
        }
        match organisations::note(self.house, &self.waiting) {
            Ok(new) => {
                self.waiting.clear();
                if new > 0 {
                    tracing::info!(new, "addresses of organisations were seen");
                }
            }
            Err(e) => {
                self.failed = Some(Instant::now());
                tracing::error!("{} sightings wait for the database: {e}", self.waiting.len());
                self.waiting.truncate(WAITING_MAX);
            }
        }
    }

    /// How it goes on with addresses that are known, up to now.
    pub fn go_on(&mut self, telescope: &Telescope, watch: &Turn<Watch>) {
        let known = watch.look(|watch| watch.alerts().into_iter().cloned().collect::<Vec<_>>());
        let gone = self.see(&known, telescope);
        for key in &gone {
            self.written.remove(key);
            if let Some(subscribers) = &mut self.subscribers {
                subscribers.forget(key.0);
            }
        }
        watch.now(|watch| watch.forget(&gone));
        if let Err(e) = say_there(self.house, &self.name, telescope) {
            tracing::error!("that the telescope is there: {e}");
        }
    }

    /// Sees what is new of a sender; false where nothing is known of it any more.
    fn see_sender(&mut self, alert: &Alert, telescope: &Telescope) -> bool {
        let Some(source) = telescope.source(alert.ip) else { return false };
        if alert.organisation == OURS {
            let class = telescope.class_of(alert.ip, &source);
            if let Some(subscribers) = &mut self.subscribers {
                subscribers.see(alert, &source, class);
            }
            return true;
        }
        let written = self.written.get(&(alert.ip, Role::Sender)).copied();
        let packets = u64::from(source.packets);
        let first_ns = if written.is_some() { source.last_ns } else { source.first_ns };
        let seen = Seen {
            ip: alert.ip,
            role: Role::Sender,
            class: telescope.class_of(alert.ip, &source).id().to_owned(),
            tool: Tool::of(&source).map_or("", Tool::id).to_owned(),
            protocol: protocol(alert).to_owned(),
            source_port: alert.from,
            port: alert.asked.map(|asked| asked.port),
            packets: packets - written.unwrap_or(0).min(packets),
            sensors: source.sensors(),
            first: time(first_ns),
            last: time(source.last_ns),
        };
        self.put(alert, seen, packets);
        true
    }

    fn see_victim(&mut self, alert: &Alert, attack: &Attack) -> bool {
        let written = self.written.get(&(alert.ip, Role::Victim)).copied();
        let first_ns = if written.is_some() { attack.last_ns } else { attack.first_ns };
        let seen = Seen {
            ip: alert.ip,
            role: Role::Victim,
            class: String::new(),
            tool: String::new(),
            protocol: protocol(alert).to_owned(),
            source_port: None,
            port: alert.asked.map(|asked| asked.port),
            packets: attack.packets - written.unwrap_or(0).min(attack.packets),
            sensors: 1,
            first: time(first_ns),
            last: time(attack.last_ns),
        };
        self.put(alert, seen, attack.packets);
        true
    }

    fn put(&mut self, alert: &Alert, seen: Seen, packets: u64) {
        if !self.registered.contains(&alert.organisation) || seen.packets == 0 {
            return;
        }
        if self.waiting.len() < WAITING_MAX {
            self.written.insert((alert.ip, alert.role), packets);
            self.waiting.push((alert.organisation.clone(), seen));
        }
    }

    fn read_ranges(&mut self, watch: &Turn<Watch>) -> anyhow::Result<()> {
        let ranges = organisations::in_force(self.house)?;
        if ranges == self.ranges && !self.registered.is_empty() {
            return Ok(());
        }
        let registered = ranges.iter().map(|(prefix, key)| (*prefix, key.as_str()));
        let named: Vec<_> = registered.chain(self.named.iter().map(Member::of)).collect();
        // An organisation in our network is told itself; of the rest, who it is is found out.
        let own = self.house.config.own.iter().filter(|_| self.subscribers.is_some()).map(|net| (*net, OURS));
        let own = own.filter(|(net, _)| !named.iter().any(|(taken, _)| taken == net));
        let space = Tenants::new(named.iter().copied().chain(own)).context("ranges of organisations")?;
        watch.now(|watch| watch.watch_for(Some(space)));
        self.registered = ranges.iter().map(|(_, key)| key.clone()).collect();
        self.ranges = ranges;
        Ok(())
    }
}

fn protocol(alert: &Alert) -> &'static str {
    alert.asked.map_or("", |asked| if asked.tcp { "tcp" } else { "udp" })
}

/// Writes down that a telescope is there.
pub fn say_there(house: &House, name: &str, telescope: &Telescope) -> Result<(), StoreError> {
    let (now, addresses) = (house.clock.now(), telescope.addresses());
    house.store.tx("telescope.there", |tx| tx.put_telescope(name, addresses, now))
}

/// A telescope's name, if it can be one.
pub fn name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("a telescope's name has from 1 to {NAME_BYTES_MAX} bytes"))
}

/// What a telescope of this interface is called where nothing else is said: the machine's name is somebody's business, its interface
/// nobody's.
pub fn usual_name(interface: &str) -> String {
    format!("live-{interface}")
}
