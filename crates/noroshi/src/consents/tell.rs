//! Telling resolvers: whole to one that is new, then what changes, and every second that it still holds.

use std::collections::VecDeque;
use std::io::{BufWriter, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use jiff::SignedDuration;
use noroshi_book::{LineNumber, Looked, Moved, Present, Slot};
use noroshi_law::purpose::InPassing;
use noroshi_law::{Ask, Permit, Role, Use};

use super::BELIEVED_S;
use super::roll::Roll;
use crate::house::House;

/// A session of which nothing was heard for so long is not counted on.
const SILENT: SignedDuration = SignedDuration::from_hours(24);
/// A permit is asked for anew this long before the old one ends.
const RENEW: SignedDuration = SignedDuration::from_mins(1);
/// How often resolvers are told that all of it still holds, and those that are gone are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// How often the whole register is read, whatever its newest entry says.
const REREAD: Duration = Duration::from_secs(10);
/// How often everything is gone through: leases end without anybody saying so.
const AGAIN: Duration = Duration::from_secs(15 * 60);
/// How long the directory is asked in one step; others wait meanwhile.
const ASKING: Duration = Duration::from_millis(50);
/// After how long a directory that could not be asked is tried again.
const AWAY: Duration = Duration::from_secs(10);
/// How long a resolver may take to take what it is told.
const TAKEN: Duration = Duration::from_secs(5);

/// Tells resolvers of one measure.
pub struct Telling<P: InPassing> {
    usage: Use,
    resolvers: Vec<Resolver>,
    permit: Option<Permit<P>>,
    roll: Roll,
    looked: Looked,
    /// Where it is not known yet whose line it is.
    unknown: VecDeque<Slot>,
    told: Option<Instant>,
    reread: Option<Instant>,
    gone_through: Option<Instant>,
    away: Option<Instant>,
}

/// A resolver's socket.
struct Resolver {
    path: PathBuf,
    stream: Option<BufWriter<UnixStream>>,
    /// Whether it has been told everything.
    whole: bool,
}

impl<P: InPassing> Telling<P> {
    /// To these sockets.
    pub fn new(usage: Use, sockets: Vec<PathBuf>) -> Self {
        let resolver = |path| Resolver { path, stream: None, whole: false };
        Self {
            usage,
            resolvers: sockets.into_iter().map(resolver).collect(),
            permit: None,
            roll: Roll::default(),
            looked: Looked::default(),
            unknown: VecDeque::new(),
            told: None,
            reread: None,
            gone_through: None,
            away: None,
        }
    }

    /// What is to be done now.
    pub fn step(&mut self, house: &House) -> anyhow::Result<()> {
        let now = clock();
        let beats = due(self.told, now, EVERY);
        if beats {
            self.told = Some(now);
            self.resolvers.iter_mut().for_each(|resolver| resolver.reach(P::MEASURE));
        }
        if self.resolvers.iter().all(|resolver| resolver.stream.is_none()) {
            return Ok(());
        }
        if !self.may(house)? {
            return Ok(());
        }
        if self.roll.is_behind(house)? || due(self.reread, now, REREAD) {
            self.reread = Some(now);
            let changed = self.roll.read_register(house, P::MEASURE)?;
            if !changed.is_empty() {
                self.say_again(house, |line| changed.contains(&line))?;
            }
        }
        self.follow(house, now)?;
        self.ask(house, now)?;
        if beats {
            self.each(|resolver| resolver.say(format_args!("until {BELIEVED_S}")));
        }
        self.each(Resolver::flush);
        Ok(())
    }

    /// Whether the rules still allow it. Where they do not, resolvers forget what they were told.
    fn may(&mut self, house: &House) -> anyhow::Result<bool> {
        let now = house.clock.now();
        let ask = Ask::of::<P>(Role::System, self.usage, &["source.ip", "destination.fqdn"]);
        // Asked of the rules each time, so that a consent clause that ends, ends this at once; written down only with a new permit.
        let standing = house.standing(P::MEASURE)?;
        let ruling = house.gate().judge(&house.stated(ask.clone()), standing);
        if !ruling.allowed {
            if self.permit.take().is_some() {
                tracing::warn!(
                    measure = P::MEASURE,
                    rule = ruling.rule,
                    "resolvers give plain answers: {}",
                    ruling.reason
                );
            }
            self.each(|resolver| resolver.say(format_args!("forget")));
            self.each(Resolver::flush);
            self.resolvers.iter_mut().for_each(|resolver| resolver.whole = false);
            return Ok(false);
        }
        if self.permit.as_ref().is_none_or(|permit| !permit.in_force(now + RENEW)) {
            self.permit = house.permit::<P>(house.stated(ask), "")?.ok();
        }
        Ok(self.permit.is_some())
    }

    /// What changed in the session book, and everything for who is new.
    fn follow(&mut self, house: &House, now: Instant) -> anyhow::Result<()> {
        let (moved, looked) = house.book()?.moved(self.looked);
        self.looked = looked;
        if due(self.gone_through, now, AGAIN) || moved == Moved::All {
            self.gone_through = Some(now);
            self.roll.renumbered();
            self.resolvers.iter_mut().for_each(|resolver| resolver.whole = false);
        }
        if self.resolvers.iter().any(|resolver| resolver.stream.is_some() && !resolver.whole) {
            self.say_whole(house)?;
        }
        if let Moved::Slots(slots) = moved {
            let mut said = Vec::new();
            self.look(house, |roll, present| {
                for slot in slots {
                    said.push((slot, present.line_on(slot).map_or(Some(false), |line| roll.agrees(line))));
                }
            })?;
            for (slot, agrees) in said {
                match agrees {
                    Some(agrees) => self.each(|resolver| resolver.say_of(slot.net(), agrees)),
                    None => {
                        // Whoever had it before is not asked any more.
                        self.each(|resolver| resolver.say_of(slot.net(), false));
                        self.unknown.push_back(slot);
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything to resolvers that have not been told, first that nobody agrees.
    fn say_whole(&mut self, house: &House) -> anyhow::Result<()> {
        let mut resolvers = std::mem::take(&mut self.resolvers);
        let unknown = &mut self.unknown;
        unknown.clear();
        let mut new: Vec<&mut Resolver> =
            resolvers.iter_mut().filter(|resolver| resolver.stream.is_some() && !resolver.whole).collect();
        new.iter_mut().for_each(|resolver| resolver.say(format_args!("forget")));
        let told = look(house, self.permit.as_ref(), |present| {
            present.each_slot(|slot, line| match self.roll.agrees(line) {
                Some(true) => new.iter_mut().for_each(|resolver| resolver.say_of(slot.net(), true)),
                Some(false) => {}
                None => unknown.push_back(slot),
            });
        });
        for resolver in &mut new {
            resolver.whole = true;
            resolver.say(format_args!("until {BELIEVED_S}"));
        }
        self.resolvers = resolvers;
        told
    }

    /// Says anew what is known of some lines.
    fn say_again(&mut self, house: &House, of: impl Fn(LineNumber) -> bool) -> anyhow::Result<()> {
        let mut said: Vec<(IpNet, bool)> = Vec::new();
        self.look(house, |roll, present| {
            present.each_slot(|slot, line| {
                if of(line) {
                    said.push((slot.net(), roll.agrees(line).unwrap_or(false)));
                }
            });
        })?;
        for (net, agrees) in said {
            self.each(|resolver| resolver.say_of(net, agrees));
        }
        Ok(())
    }

    /// Asks the directory about lines that are not known, as many as the time allows.
    fn ask(&mut self, house: &House, now: Instant) -> anyhow::Result<()> {
        if self.unknown.is_empty() || self.away.is_some_and(|away| now < away) {
            return Ok(());
        }
        let mut said: Vec<(IpNet, bool)> = Vec::new();
        let (unknown, roll, away) = (&mut self.unknown, &mut self.roll, &mut self.away);
        look(house, self.permit.as_ref(), |present| {
            while clock().duration_since(now) < ASKING
                && let Some(slot) = unknown.pop_front()
            {
                let Some(line) = present.line_on(slot) else { continue };
                if roll.agrees(line).is_none()
                    && let Some(name) = present.name(line)
                    && let Err(error) = roll.ask(house, P::MEASURE, line, name)
                {
                    tracing::warn!(%error, "whose lines they are cannot be asked; they have not agreed until it can");
                    unknown.push_front(slot);
                    *away = Some(now + AWAY);
                    return;
                }
                said.push((slot.net(), roll.agrees(line).unwrap_or(false)));
            }
        })?;
        for (net, agrees) in said {
            self.each(|resolver| resolver.say_of(net, agrees));
        }
        Ok(())
    }

    fn look(&self, house: &House, see: impl FnOnce(&Roll, &Present<'_>)) -> anyhow::Result<()> {
        look(house, self.permit.as_ref(), |present| see(&self.roll, present))
    }

    fn each(&mut self, mut say: impl FnMut(&mut Resolver)) {
        self.resolvers.iter_mut().filter(|resolver| resolver.stream.is_some()).for_each(&mut say);
    }
}

/// Looks at who is there, under the permit; not at all where it has ended.
fn look<P: InPassing>(
    house: &House,
    permit: Option<&Permit<P>>,
    see: impl FnOnce(&Present<'_>),
) -> anyhow::Result<()> {
    let book = house.book()?;
    let now = house.clock.now();
    let opened = permit.and_then(|permit| book.present(now, SILENT).in_passing(permit, now));
    if let Some(present) = opened {
        see(present.read());
    }
    Ok(())
}

impl Resolver {
    /// Connects to one that is there and was not, and begins with the measure.
    fn reach(&mut self, measure: &str) {
        if self.stream.is_some() {
            return;
        }
        let Ok(stream) = UnixStream::connect(&self.path) else { return };
        if stream.set_write_timeout(Some(TAKEN)).is_err() {
            return;
        }
        let _ = stream.shutdown(Shutdown::Read);
        (self.stream, self.whole) = (Some(BufWriter::with_capacity(1 << 16, stream)), false);
        self.say(format_args!("measure {measure}"));
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(stream) = &mut self.stream
            && writeln!(stream, "{line}").is_err()
        {
            // It forgets by itself, and is told everything when it is back.
            self.lost();
        }
    }

    fn say_of(&mut self, net: IpNet, agrees: bool) {
        self.say(format_args!("{} {net}", if agrees { '+' } else { '-' }));
    }

    fn flush(&mut self) {
        if self.stream.as_mut().is_some_and(|stream| stream.flush().is_err()) {
            self.lost();
        }
    }

    fn lost(&mut self) {
        tracing::warn!(resolver = %self.path.display(), "is not told any more who has agreed; it is looked for again");
        if let Some(stream) = self.stream.take() {
            // What is still in the buffer is not worth waiting for.
            drop(stream.into_parts());
        }
    }
}

fn due(last: Option<Instant>, now: Instant, every: Duration) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= every)
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long something takes here is no matter of the house's clock"
)]
fn clock() -> Instant {
    Instant::now()
}
