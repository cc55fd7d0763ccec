//! How infected each network is: which week is counted next, the count itself, and how it is told.
//!
//! ```text
//!   cases open in a week ──▶ Tally ──▶ counts in the store ──▶ rates ──▶ table, picture; without small numbers for the public
//! ```
//!
//! A week is counted every hour while it lasts, and the last time when it has been over for two days; after that it stays as it
//! is: when cases are opened and closed is written down at that moment, and a case that a person rejects later was counted as one. So a
//! page costs nothing but the counts.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use noroshi_law::evidence::disclosure::FEWER_THAN;
use noroshi_model::Id;
use noroshi_model::network::{
    ALL, Counted, ELSEWHERE, Infected, NetworkRate, NetworkWeek, Networks, PARTS_MAX, Week,
};

use crate::funnel::escape;

/// Weeks that are counted and told: two years.
pub const WEEKS_MAX: u32 = 104;
/// Weeks on a page and in a picture: half a year. JSON has all.
pub const WEEKS_SHOWN: usize = 26;
/// How often a week that is not over is counted.
const EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How long after its end a week is counted for the last time: what was seen in it may be told later.
const SETTLED: SignedDuration = SignedDuration::from_hours(48);

/// The week to be counted now, the newest first. `counted` says by which networks and when each was, `key` what the networks are now.
/// Of what was closed until `forgotten_until` nobody knows any more in which network it was: what was counted then stays as it is.
pub fn due(
    counted: &BTreeMap<Week, (String, Timestamp)>,
    key: &Id,
    first_opened: Option<Timestamp>,
    forgotten_until: Option<Timestamp>,
    now: Timestamp,
) -> Option<Week> {
    let this = Week::of(now);
    let first = Week::of(first_opened?);
    let is_due = |week: &Week| match counted.get(week) {
        None => true,
        Some((networks, _)) if networks != key.as_str() => {
            forgotten_until.is_none_or(|until| until < week.start())
        }
        Some((_, at)) => *at < week.end() + SETTLED && now.duration_since(*at) >= EVERY,
    };
    (0..WEEKS_MAX).map(|weeks| this.before(weeks)).take_while(|week| *week >= first).find(is_due)
}

/// What is counted of one network. Sets of hashes: nobody counts twice.
#[derive(Default)]
struct Sets {
    infected: HashSet<u128>,
    seen: HashSet<u128>,
    opened: HashSet<u128>,
}

/// A week being counted.
pub struct Tally<'a> {
    networks: &'a Networks,
    week: Week,
    /// The parts, then what lies elsewhere, then all.
    sets: Vec<Sets>,
}

impl<'a> Tally<'a> {
    /// Nothing counted yet.
    pub fn new(networks: &'a Networks, week: Week) -> Self {
        let sets = (0..networks.parts().len() + 2).map(|_| Sets::default()).collect();
        Self { networks, week, sets }
    }

    /// Counts a case. It is in the network of the address at which it was seen first, and stays there, whatever address its line has
    /// later: or one line would be infected in several networks at once.
    pub fn add(&mut self, case: &Infected) {
        let elsewhere = self.networks.parts().len();
        let place = case.ip.and_then(|ip| self.networks.of(ip)).unwrap_or(elsewhere);
        let (party, id) = (number(&Id::of("party", &[case.party.as_bytes()])), number(&case.case));
        for place in [place, elsewhere + 1] {
            let sets = &mut self.sets[place];
            sets.infected.insert(party);
            if case.seen {
                sets.seen.insert(party);
            }
            if case.opened >= self.week.start() {
                sets.opened.insert(id);
            }
        }
    }

    /// The counts. What lies elsewhere is told only where there is something.
    pub fn counts(&self, now: Timestamp) -> Vec<Counted> {
        let parts = self.networks.parts().iter().map(|part| (part.name.as_str(), part.lines));
        let named = parts.chain([(ELSEWHERE, None), (ALL, self.networks.lines())]);
        let counted = |((network, lines), sets): ((&str, Option<u64>), &Sets)| Counted {
            week: self.week,
            network: network.to_owned(),
            lines,
            infected: sets.infected.len() as u64,
            seen: sets.seen.len() as u64,
            opened: sets.opened.len() as u64,
            at: now,
        };
        named.zip(&self.sets).map(counted).filter(|c| c.network != ELSEWHERE || c.infected > 0).collect()
    }
}

/// An id as a number.
fn number(id: &Id) -> u128 {
    u128::from_str_radix(id.as_str(), 16).unwrap_or_default()
}

/// The counts as they are told, all networks together first.
pub fn rates(counted: &[Counted]) -> Vec<NetworkRate> {
    let mut rates: Vec<NetworkRate> = Vec::new();
    for c in counted {
        let week = NetworkWeek {
            week: c.week,
            lines: c.lines,
            infected: Some(c.infected),
            infected_per_10k: per_10k(c.infected, c.lines),
            seen: Some(c.seen),
            opened: Some(c.opened),
            opened_per_10k: per_10k(c.opened, c.lines),
            counted: c.at,
        };
        match rates.iter_mut().find(|rate| rate.network == c.network) {
            Some(rate) => rate.weeks.push(week),
            None => rates.push(NetworkRate { network: c.network.clone(), weeks: vec![week] }),
        }
    }
    rates.iter_mut().for_each(|rate| rate.weeks.sort_by_key(|week| week.week));
    // Networks that are no longer there come last, where so many names were used that a page would not end.
    rates.sort_by(|a, b| (a.network != ALL, &a.network).cmp(&(b.network != ALL, &b.network)));
    rates.truncate(PARTS_MAX + 2);
    rates
}

fn per_10k(count: u64, lines: Option<u64>) -> Option<f64> {
    // Two decimals: more would be noise.
    lines.filter(|lines| *lines > 0).map(|lines| (count as f64 * 1e6 / lines as f64).round() / 100.0)
}

/// Takes out what would tell the public of few people: numbers from 1 to 4, and the sum of all networks where those numbers would
/// follow from it and the others.
pub fn for_the_public(rates: &mut [NetworkRate]) {
    let weeks: Vec<Week> = rates.iter().flat_map(|rate| rate.weeks.iter().map(|week| week.week)).collect();
    for week in weeks.into_iter().collect::<HashSet<_>>() {
        let mut hidden = [0_u64; 3];
        let mut all = None;
        for rate in rates.iter_mut() {
            let Some(told) = rate.weeks.iter_mut().find(|told| told.week == week) else { continue };
            if rate.network == ALL {
                all = Some(told);
                continue;
            }
            for (count, hidden) in numbers(told).into_iter().zip(&mut hidden) {
                if let Some(few) = count.take_if(|count| is_few(*count)) {
                    *hidden += few;
                }
            }
            without_rates(told);
        }
        let Some(all) = all else { continue };
        for (count, hidden) in numbers(all).into_iter().zip(hidden) {
            if count.is_some_and(is_few) || is_few(hidden) {
                *count = None;
            }
        }
        without_rates(all);
    }
}

fn numbers(week: &mut NetworkWeek) -> [&mut Option<u64>; 3] {
    [&mut week.infected, &mut week.seen, &mut week.opened]
}

fn without_rates(week: &mut NetworkWeek) {
    if week.infected.is_none() {
        week.infected_per_10k = None;
    }
    if week.opened.is_none() {
        week.opened_per_10k = None;
    }
}

fn is_few(count: u64) -> bool {
    (1..FEWER_THAN).contains(&count)
}

/// The newest weeks of a network, the oldest first.
pub fn newest(rate: &NetworkRate) -> &[NetworkWeek] {
    &rate.weeks[rate.weeks.len().saturating_sub(WEEKS_SHOWN)..]
}

/// The rates as a text.
pub fn table(rates: &[NetworkRate]) -> String {
    let mut out = String::new();
    for rate in rates {
        let _infallible = writeln!(
            out,
            "{}\n  {:<8} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8}",
            rate.name(),
            "week",
            "lines",
            "infected",
            "/10,000",
            "seen",
            "new",
            "/10,000"
        );
        for week in newest(rate).iter().rev() {
            let _infallible = writeln!(
                out,
                "  {:<8} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8}{}",
                week.week.to_string(),
                week.lines.map_or_else(|| "–".into(), |lines| lines.to_string()),
                told(week.infected),
                per(week.infected_per_10k),
                told(week.seen),
                told(week.opened),
                per(week.opened_per_10k),
                note(week)
            );
        }
    }
    out
}

fn told(count: Option<u64>) -> String {
    count.map_or_else(|| format!("<{FEWER_THAN}"), |count| count.to_string())
}

fn per(rate: Option<f64>) -> String {
    rate.map_or_else(|| "–".into(), |rate| format!("{rate:.2}"))
}

fn note(week: &NetworkWeek) -> &'static str {
    match (week.is_over(), week.is_silent()) {
        (_, true) => "  nobody was seen: have the feeds fallen silent?",
        (false, _) => "  not over",
        _ => "",
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 600.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 250.0;
/// Blue and vermilion of Okabe and Ito's colours, which everybody tells apart; the lines differ in shape and dashes too.
const INFECTED: &str = "#0072b2";
const NEW: &str = "#d55e00";

/// A network's weeks as a self-contained picture with a text alternative: infected subscribers (circles, whole line) and new cases
/// (squares, dashed), per 10,000 lines where that is known of every week, else as they were counted.
pub fn svg(rate: &NetworkRate) -> String {
    let weeks = newest(rate);
    let is_rate = !weeks.is_empty() && weeks.iter().all(|week| week.lines.is_some());
    let value = |count: Option<u64>, rate: Option<f64>| if is_rate { rate } else { count.map(|n| n as f64) };
    let infected: Vec<Option<f64>> = weeks.iter().map(|w| value(w.infected, w.infected_per_10k)).collect();
    let new: Vec<Option<f64>> = weeks.iter().map(|w| value(w.opened, w.opened_per_10k)).collect();
    let unit = if is_rate { "per 10,000 lines" } else { "counted" };
    let top = round_up(infected.iter().chain(&new).flatten().copied().fold(0.0, f64::max));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\"><title>{}: {}</title>\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\
         <text x=\"{LEFT}\" y=\"20\" fill=\"#1a1a1c\">{}, {unit}, by week</text>",
        escape(rate.name()),
        escape(&in_words(weeks, &infected, unit)),
        escape(rate.name())
    );
    axes(&mut out, weeks, top);
    series(&mut out, &new, top, (NEW, " stroke-dasharray=\"6 4\"", ("■", "new cases")), false);
    series(&mut out, &infected, top, (INFECTED, "", ("●", "infected")), true);
    out.push_str("</svg>");
    out
}

/// The picture for who does not see it: the last week, and the highest.
fn in_words(weeks: &[NetworkWeek], infected: &[Option<f64>], unit: &str) -> String {
    let mut told = weeks.iter().zip(infected).filter_map(|(week, value)| Some((week.week, (*value)?)));
    let highest = told.clone().max_by(|a, b| a.1.total_cmp(&b.1));
    match told.next_back().zip(highest) {
        Some(((last, n), (peak, most))) => {
            format!("infected subscribers, {unit}: {n:.1} in {last}, most {most:.1} in {peak}")
        }
        None => "nothing was counted yet".into(),
    }
}

/// 1, 2 or 5 times a power of ten, no less than the value.
pub(crate) fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|top| *top >= value).unwrap_or(10.0 * power)
}

fn x_of(place: usize, weeks: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * (place as f64 + 0.5) / weeks.max(1) as f64
}

fn y_of(value: f64, top: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * value / top
}

fn axes(out: &mut String, weeks: &[NetworkWeek], top: f64) {
    for share in [0.0, 0.5, 1.0] {
        let (value, y) = (top * share, y_of(top * share, top));
        let text = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") };
        let _infallible = write!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#d3d6dc\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#4d4d52\">{text}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let every = weeks.len().div_ceil(6).max(1);
    for (place, week) in weeks.iter().enumerate().filter(|(place, _)| place % every == 0) {
        let _infallible = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#4d4d52\">{}</text>",
            x_of(place, weeks.len()),
            BOTTOM + 22.0,
            week.week
        );
    }
}

/// A line through what is told; it breaks where nothing is.
fn series(
    out: &mut String,
    values: &[Option<f64>],
    top: f64,
    (colour, dashes, (shape, label)): (&str, &str, (&str, &str)),
    is_round: bool,
) {
    let mut path = String::new();
    let mut is_on = false;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_on = false;
            continue;
        };
        let (x, y) = (x_of(place, values.len()), y_of(*value, top));
        let _infallible = write!(path, "{}{x:.1} {y:.1}", if is_on { 'L' } else { 'M' });
        is_on = true;
        let _infallible = match is_round {
            true => write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"),
            false => write!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"{colour}\"/>",
                x - 3.5,
                y - 3.5
            ),
        };
    }
    let y = if is_round { TOP } else { TOP + 20.0 };
    let _infallible = write!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>\
         <text x=\"{}\" y=\"{}\" fill=\"#1a1a1c\"><tspan fill=\"{colour}\">{shape}</tspan> {label}</text>",
        RIGHT + 10.0,
        y + 4.0
    );
}

#[cfg(test)]
mod tests {
    use noroshi_model::network::Part;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Week 47 of 2026.
    const IN_W47: &str = "2026-11-18T03:00:00Z";

    fn networks() -> Networks {
        let part = |name: &str, prefix: &str, lines| Part {
            name: name.into(),
            prefixes: vec![prefix.parse().unwrap()],
            lines: Some(lines),
        };
        let parts = vec![part("east", "198.51.100.0/24", 20_000), part("west", "203.0.113.0/24", 5_000)];
        Networks::new(parts, &[]).unwrap()
    }

    fn case(n: u64, party: &str, ip: &str, opened: &str, seen: bool) -> Infected {
        Infected {
            case: Id::of("case", &[&n.to_be_bytes()]),
            party: party.into(),
            opened: at(opened),
            ip: ip.parse().ok(),
            seen,
        }
    }

    #[test]
    fn subscribers_count_once_in_a_network_and_once_in_all() {
        let networks = networks();
        let mut tally = Tally::new(&networks, Week::of(at(IN_W47)));
        for case in [
            case(1, "p", "198.51.100.7", "2026-11-01T00:00:00Z", true),
            case(2, "p", "198.51.100.9", IN_W47, false),
            case(2, "p", "198.51.100.9", IN_W47, false),
            case(3, "p", "203.0.113.4", IN_W47, true),
            case(4, "q", "192.0.2.1", "2026-11-01T00:00:00Z", false),
            case(5, "r", "", IN_W47, false),
        ] {
            tally.add(&case);
        }
        let counts = tally.counts(at(IN_W47));
        let told: Vec<_> =
            counts.iter().map(|c| (&*c.network, c.lines, c.infected, c.seen, c.opened)).collect();
        assert_eq!(
            told,
            [
                ("east", Some(20_000), 1, 1, 1),
                ("west", Some(5_000), 1, 1, 1),
                (ELSEWHERE, None, 2, 0, 1),
                (ALL, Some(25_000), 3, 1, 3)
            ]
        );
        let rates = rates(&counts);
        assert_eq!(rates[0].network, ALL);
        let east = rates.iter().find(|rate| rate.network == "east").unwrap();
        assert_eq!((east.weeks[0].infected_per_10k, east.weeks[0].opened_per_10k), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn a_week_is_counted_every_hour_and_once_more_when_it_is_over() {
        let key = Id::of("networks", &[]);
        let now = at(IN_W47);
        let (this, last) = (Week::of(now), Week::of(now).before(1));
        let ask = |counted: &[(Week, &Id, Timestamp)], now: Timestamp| {
            let counted = counted.iter().map(|(w, k, at)| (*w, (k.to_string(), *at))).collect();
            due(&counted, &key, Some(at("2026-11-10T00:00:00Z")), None, now)
        };
        let over = last.end() + SETTLED;
        assert_eq!(ask(&[], now), Some(this));
        assert_eq!(ask(&[(this, &key, now)], now), Some(last));
        assert_eq!(ask(&[(this, &key, now), (last, &key, over)], now), None, "nothing before the first case");
        let hour = now + EVERY;
        assert_eq!(ask(&[(this, &key, now), (last, &key, over)], hour), Some(this));
        assert_eq!(ask(&[(this, &key, hour), (last, &key, now)], hour), None, "over for three days");
        let early = last.end() + EVERY;
        assert_eq!(ask(&[(this, &key, hour), (last, &key, early)], hour), Some(last));
        let other = Id::of("other", &[]);
        assert_eq!(ask(&[(this, &key, now), (last, &other, over)], now), Some(last), "other networks");
        let of_others: BTreeMap<_, _> =
            [(this, now), (last, over)].map(|(w, at)| (w, (other.to_string(), at))).into();
        for (forgotten_until, expected) in [(last.start(), this), (this.start(), last)] {
            let recounted = due(&of_others, &key, Some(last.start()), Some(forgotten_until), now);
            assert_eq!(
                recounted,
                (expected == this).then_some(this),
                "of what was forgotten the networks are not known"
            );
        }
        assert_eq!(due(&BTreeMap::new(), &key, None, None, now), None, "no case");
        let years = due(&BTreeMap::new(), &key, Some(Timestamp::UNIX_EPOCH), None, now);
        assert_eq!(years, Some(this));
    }

    fn counted(network: &str, infected: u64, seen: u64, opened: u64) -> Counted {
        let week = Week::of(at(IN_W47));
        let lines = Some(10_000);
        Counted { week, network: network.into(), lines, infected, seen, opened, at: week.end() }
    }

    #[test]
    fn the_public_is_told_no_small_number_nor_what_it_follows_from() {
        let mut told = rates(&[
            counted(ALL, 113, 60, 12),
            counted("a", 100, 50, 3),
            counted("b", 10, 6, 4),
            counted("c", 3, 4, 5),
        ]);
        for_the_public(&mut told);
        let of = |name: &str| told.iter().find(|rate| rate.network == name).unwrap().weeks[0].clone();
        let numbers = |name: &str| (of(name).infected, of(name).seen, of(name).opened);
        assert_eq!(numbers("a"), (Some(100), Some(50), None));
        assert_eq!(numbers("c"), (None, None, Some(5)));
        assert_eq!(of("c").infected_per_10k, None, "the rate would tell it");
        // 113 - 100 - 10 would be the 3 that are not told; the two that hide in the new cases are 7 together.
        assert_eq!(numbers(ALL), (None, None, Some(12)));
        assert!(table(&told).contains("<5"));
        let mut none = rates(&[counted(ALL, 0, 0, 0)]);
        for_the_public(&mut none);
        assert_eq!(none[0].weeks[0].infected, Some(0), "nothing may be told");
    }

    #[test]
    fn the_picture_has_both_lines_and_breaks_where_nothing_is_told() {
        let week = |n: u32, infected: u64| Counted {
            week: Week::of(at(IN_W47)).before(n),
            ..counted("<net>", infected, 1, 6)
        };
        let mut told = rates(&[week(2, 20), week(1, 3), week(0, 35)]);
        for_the_public(&mut told);
        let svg = svg(&told[0]);
        assert!(svg.contains("&lt;net&gt;") && !svg.contains("<net>") && !svg.contains("style="));
        assert!(svg.contains("per 10,000 lines: 35.0 in 2026-W47, most 35.0 in 2026-W47"), "{svg}");
        let infected = svg.split("<path d=\"").nth(2).unwrap().split('"').next().unwrap();
        assert_eq!((infected.matches('M').count(), infected.matches('L').count()), (2, 0));
        assert_eq!((svg.matches("<circle").count(), svg.matches("width=\"7\"").count()), (2, 3));
        assert!(
            super::svg(&NetworkRate { network: ALL.into(), weeks: vec![] }).contains("nothing was counted")
        );
        assert_eq!([0.0, 0.3, 1.0, 3.2, 70.0].map(round_up), [1.0, 0.5, 1.0, 5.0, 100.0]);
    }

    #[test]
    fn a_week_in_which_nobody_was_seen_is_marked() {
        let told = rates(&[counted("a", 10, 0, 0)]);
        assert!(table(&told).contains("have the feeds fallen silent?"), "{}", table(&told));
    }
}
