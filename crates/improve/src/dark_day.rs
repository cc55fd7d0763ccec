//! A telescope's day as a picture: packets, and senders that are new, by ten minutes. Each has a scale of its own, because one is a thousand
//! times the other; time of which nothing was written is left empty, because nothing written is not nothing seen.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use noroshi_model::telescope::MinuteCount;

use crate::networks::round_up;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 704.0;
/// Where each of the two pictures ends, and how high it is.
const BOTTOMS: [f64; 2] = [120.0, 224.0];
const HIGH: f64 = 80.0;
/// Blue and vermilion of Okabe and Ito's colours.
const COLOURS: [&str; 2] = ["#0072b2", "#d55e00"];
const NAMES: [&str; 2] = ["packets", "new senders"];
/// Ten minutes of a day.
const BINS: usize = 144;
const BIN_MS: i64 = 600_000;

/// The day until then as a self-contained picture with a text alternative.
pub fn svg(minutes: &[MinuteCount], until: Timestamp) -> String {
    let bins = bins(minutes, until);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\"><title>{}</title>\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>",
        in_words(&bins)
    );
    for which in 0..2 {
        panel(&mut out, &bins, which);
    }
    hours(&mut out, until);
    out.push_str("</svg>");
    out
}

/// Packets and new senders of each ten minutes, where any minute of them was written.
fn bins(minutes: &[MinuteCount], until: Timestamp) -> [Option<[u64; 2]>; BINS] {
    let mut bins: [Option<[u64; 2]>; BINS] = [None; BINS];
    let end = until.as_millisecond().div_euclid(BIN_MS) + 1;
    for count in minutes {
        let before = end - 1 - count.minute.as_millisecond().div_euclid(BIN_MS);
        let place = usize::try_from(before).ok().and_then(|before| (BINS - 1).checked_sub(before));
        if let Some(bin) = place.and_then(|place| bins.get_mut(place)) {
            let [packets, arrivals] = bin.get_or_insert([0_u64; 2]);
            *packets = packets.saturating_add(count.packets);
            *arrivals = arrivals.saturating_add(count.arrivals);
        }
    }
    bins
}

fn panel(out: &mut String, bins: &[Option<[u64; 2]>], which: usize) {
    let bottom = BOTTOMS[which];
    let most = bins.iter().flatten().map(|bin| bin[which]).max().unwrap_or(0);
    let top = round_up(most as f64);
    for share in [0.0, 1.0] {
        let y = bottom - HIGH * share;
        let _infallible = write!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{RIGHT}\" y2=\"{y}\" stroke=\"#d3d6dc\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#4d4d52\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            short(top * share)
        );
    }
    let _infallible = write!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#1a1a1c\">{} in ten minutes</text>",
        bottom - HIGH - 8.0,
        NAMES[which]
    );
    let wide = (RIGHT - LEFT) / BINS as f64;
    for (place, bin) in bins.iter().enumerate() {
        let Some(bin) = bin else { continue };
        let high = (HIGH * bin[which] as f64 / top).max(0.5);
        let _infallible = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\" fill=\"{}\"/>",
            LEFT + wide * place as f64,
            bottom - high,
            wide - 0.6,
            COLOURS[which]
        );
    }
}

/// Every fourth hour, Japan's time.
fn hours(out: &mut String, until: Timestamp) {
    let tokyo = TimeZone::fixed(jiff::tz::offset(9));
    let end = until.as_millisecond().div_euclid(BIN_MS) + 1;
    for place in 0..BINS as i64 {
        let at = Timestamp::from_millisecond((end - BINS as i64 + place) * BIN_MS).unwrap_or(until);
        let at = at.to_zoned(tokyo.clone());
        if at.minute() == 0 && at.hour() % 4 == 0 {
            let x = LEFT + (RIGHT - LEFT) * place as f64 / BINS as f64;
            let _infallible = write!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{0}\" x2=\"{x:.1}\" y2=\"{1}\" stroke=\"#4d4d52\"/>\
                 <text x=\"{x:.1}\" y=\"{2}\" text-anchor=\"middle\" fill=\"#4d4d52\">{3:02}:00</text>",
                BOTTOMS[1],
                BOTTOMS[1] + 5.0,
                BOTTOMS[1] + 22.0,
                at.hour()
            );
        }
    }
    let _infallible = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#4d4d52\">JST</text>",
        LEFT - 8.0,
        BOTTOMS[1] + 22.0
    );
}

/// A number in few characters.
fn short(value: f64) -> String {
    let (divided, unit) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    if divided.fract() == 0.0 { format!("{divided:.0}{unit}") } else { format!("{divided:.1}{unit}") }
}

/// The picture for who does not see it: what the last ten minutes had, and the busiest.
fn in_words(bins: &[Option<[u64; 2]>]) -> String {
    let Some([packets, arrivals]) = bins.iter().rev().flatten().next() else {
        return "Nothing was counted".to_owned();
    };
    let most = |which: usize| bins.iter().flatten().map(|bin| bin[which]).max().unwrap_or(0);
    format!(
        "In ten minutes, last {packets} packets and {arrivals} new senders; most {} packets and {} new senders",
        most(0),
        most(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(at: &str, packets: u64) -> MinuteCount {
        MinuteCount { minute: at.parse().unwrap(), packets, arrivals: packets / 100 }
    }

    #[test]
    fn a_day_is_drawn_by_ten_minutes_and_what_was_not_written_is_empty() {
        let until = "2026-11-27T12:05:30Z".parse().unwrap();
        let minutes = [
            minute("2026-11-26T12:00:00Z", 9), // of the bin before the first
            minute("2026-11-26T12:10:00Z", 1000),
            minute("2026-11-27T12:00:00Z", 300),
            minute("2026-11-27T12:05:00Z", 400),
            minute("2026-11-27T12:11:00Z", 9), // not yet
        ];
        let bins = bins(&minutes, until);
        assert_eq!(bins.iter().flatten().count(), 2);
        assert_eq!((bins[0], bins[BINS - 1]), (Some([1000, 10]), Some([700, 7])));
        let svg = svg(&minutes, until);
        assert!(svg.contains("last 700 packets and 7 new senders; most 1000 packets and 10 new"), "{svg}");
        assert_eq!(svg.matches("fill=\"#0072b2\"").count(), 2);
        assert!(svg.contains(">20:00<") && !svg.contains("style="));
        assert!(super::svg(&[], until).contains("Nothing was counted"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 2000.0, 5e4, 2.5e6, 1e10].map(short), ["0", "2000", "50 k", "2.5 M", "10 G"]);
    }
}
