//! Which wording works: every two wordings of a round beside each other, at each stage from the opened page to the clean line.
//!
//! The shares have Wilson's interval and the differences Newcombe's (his method 10), as in [`crate::effect`]. Where more than two
//! wordings are compared, one of several differences leaves its 95 % interval by chance more often than one in twenty: so the
//! intervals of all pairs are widened until together they hold with 95 % (Bonferroni: 5 % divided by the number of pairs). Holm's
//! way would tell a little more, but it has no intervals to show. The four stages are not corrected for: what a trial is decided by is one of
//! them, said beforehand, *clean*; the others say why.

use std::fmt::Write as _;

use noroshi_model::outcome::{Effect, Z, interval_at};
use noroshi_model::wording::{Comparison, Stage, WordingArm, WordingTrial};

use crate::effect::difference;
use crate::funnel::{escape, share};

/// How sure the intervals of all pairs are together, in percent.
const SURE_PERCENT: u32 = 95;
/// The quantile of the normal distribution at `1 - 0.05 / (2 m)` for the `m` pairs of two, three, four and five wordings.
const Z_OF: [f64; 4] = [Z, 2.393_979_799_818_510_4, 2.638_257_273_476_751, 2.807_033_768_343_811_4];

const WIDTH: u32 = 720;
const ROW: u32 = 30;
const LABEL: u32 = 190;
const AXIS: u32 = 380;

/// Colours (Okabe and Ito) that who sees no red or no green tells apart; each wording has its own shape as well.
const COLOURS: [&str; 5] = ["#000000", "#0072b2", "#d55e00", "#007a5a", "#a8558a"];

/// The quantile by which differences are judged where so many wordings are compared.
fn quantile(wordings: usize) -> f64 {
    Z_OF.get(wordings.saturating_sub(2)).or(Z_OF.last()).copied().unwrap_or(Z)
}

/// Compares each wording with each before it, at each stage.
pub fn compare(trial: &mut WordingTrial) {
    let arms = &trial.arms;
    let z = quantile(arms.len());
    let mut comparisons = Vec::new();
    for stage in Stage::ALL.iter().rev() {
        for (place, one) in arms.iter().enumerate() {
            for other in &arms[..place] {
                let effect = difference(one.at(*stage), other.at(*stage), z);
                comparisons.push(Comparison {
                    stage: *stage,
                    wording: one.wording.clone(),
                    with: other.wording.clone(),
                    says: says(*stage, &one.wording, &other.wording, effect),
                    effect,
                });
            }
        }
    }
    let wordings = arms.len() as u32;
    trial.pairs = wordings * wordings.saturating_sub(1) / 2;
    trial.sure_percent = SURE_PERCENT;
    trial.comparisons = comparisons;
}

fn says(stage: Stage, one: &str, other: &str, effect: Option<Effect>) -> String {
    let better = |better: &str, worse: &str| match stage {
        Stage::Opened => format!("'{better}' is opened more often than '{worse}'"),
        Stage::Steps => format!("after '{better}' more ask for the steps than after '{worse}'"),
        Stage::Done => format!("after '{better}' more say that it is done than after '{worse}'"),
        Stage::Clean => format!("after '{better}' more lines are clean than after '{worse}'"),
    };
    match effect {
        None => "not known yet".into(),
        Some(effect) if effect.low > 0.0 => better(one, other),
        Some(effect) if effect.high < 0.0 => better(other, one),
        Some(_) => "no difference can be told".into(),
    }
}

/// How the intervals of a trial were made, in a sentence.
pub fn method(trial: &WordingTrial) -> String {
    match trial.pairs {
        0 | 1 => "Differences with their 95 % interval (Newcombe's).".into(),
        pairs => format!(
            "Differences of {pairs} pairs, with intervals (Newcombe's) that hold together with 95 % (Bonferroni: each with {:.2} %).",
            100.0 - 5.0 / f64::from(pairs)
        ),
    }
}

/// The trials as a text.
pub fn table(trials: &[WordingTrial]) -> String {
    let mut out = String::new();
    for trial in trials {
        let _infallible = writeln!(
            out,
            "round {}, cases of {} to {}; clean: not seen from day {} to day {} after the allotment",
            trial.name(),
            trial.since.strftime("%Y-%m-%d"),
            trial.until.strftime("%Y-%m-%d"),
            trial.days / 2 + 1,
            trial.days
        );
        for arm in &trial.arms {
            let _infallible = writeln!(
                out,
                "  {} ({} %, form {}): {} cases, {} notified{}",
                arm.wording,
                arm.percent,
                arm.form,
                arm.cases,
                arm.notified,
                match arm.otherwise {
                    0 => String::new(),
                    others => format!(", {others} of them in other words too"),
                }
            );
            for stage in Stage::ALL {
                let _infallible = writeln!(out, "    {:<8} {}", stage.id(), counted(arm, *stage));
            }
        }
        let _infallible = writeln!(out, "  {}", method(trial));
        for c in &trial.comparisons {
            let _infallible = writeln!(
                out,
                "    {:<8} {:<28} {}{}",
                c.stage.id(),
                format!("{} - {}", c.wording, c.with),
                c.effect.map(|effect| format!("{}: ", points(&effect))).unwrap_or_default(),
                c.says
            );
        }
    }
    out
}

/// So many of so many, with the share's interval.
fn counted(arm: &WordingArm, stage: Stage) -> String {
    let (part, whole) = arm.at(stage);
    let range = interval_at(part, whole, Z);
    format!(
        "{part:>8} of {whole}{} ({}{})",
        if stage == Stage::Clean { " observed" } else { "" },
        share(part, whole),
        range.map(|(l, h)| format!(", 95 %: {:.1} to {:.1} %", l * 100.0, h * 100.0)).unwrap_or_default()
    )
}

/// A difference in points, with its interval: `+4.1 points, +1.2 to +7.0`.
pub fn points(effect: &Effect) -> String {
    format!(
        "{:+.1} points, {:+.1} to {:+.1}",
        effect.difference * 100.0,
        effect.low * 100.0,
        effect.high * 100.0
    )
}

/// One trial as a self-contained picture with a text alternative: for each stage and wording the share as a mark, and its 95 % interval
/// as a line, over one axis from 0 to 100 %.
pub fn svg(trial: &WordingTrial) -> String {
    let rows = Stage::ALL.len() * trial.arms.len();
    let height = 48 + ROW * rows as u32 + 12 * Stage::ALL.len() as u32;
    let told: Vec<String> = Stage::ALL
        .iter()
        .flat_map(|stage| trial.arms.iter().map(move |arm| (arm, *stage)))
        .map(|(arm, stage)| {
            let (part, whole) = arm.at(stage);
            format!("{} {} {}", arm.wording, stage.id(), share(part, whole))
        })
        .collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\"><title>Round {}: {}</title>\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>",
        trial.name(),
        escape(&told.join(", "))
    );
    for percent in [0, 25, 50, 75, 100] {
        let x = LABEL + AXIS * percent / 100;
        let _infallible = write!(
            out,
            "<line x1=\"{x}\" y1=\"24\" x2=\"{x}\" y2=\"{}\" stroke=\"#d3d6dc\"/>\
             <text x=\"{x}\" y=\"16\" text-anchor=\"middle\" fill=\"#4d4d52\">{percent} %</text>",
            height - 8
        );
    }
    let mut y = 44;
    for stage in Stage::ALL {
        for (place, arm) in trial.arms.iter().enumerate() {
            let label = format!("{} · {}", stage.id(), arm.wording);
            line(&mut out, &label, arm.at(*stage), place, y);
            y += ROW;
        }
        y += 12;
    }
    out.push_str("</svg>");
    out
}

fn line(out: &mut String, label: &str, (part, whole): (u64, u64), place: usize, y: u32) {
    let _infallible = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#1a1a1c\">{}</text>\
         <text x=\"{}\" y=\"{}\" fill=\"#1a1a1c\">{part} ({})</text>",
        LABEL - 14,
        y + 5,
        escape(label),
        LABEL + AXIS + 14,
        y + 5,
        share(part, whole)
    );
    let Some((low, high)) = interval_at(part, whole, Z) else { return };
    let x = |share: f64| f64::from(LABEL) + f64::from(AXIS) * share;
    let (at, y) = (x(part as f64 / whole as f64), f64::from(y));
    let colour = COLOURS[place % COLOURS.len()];
    let _infallible = write!(
        out,
        "<line x1=\"{:.1}\" y1=\"{y}\" x2=\"{:.1}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"/>{}",
        x(low),
        x(high),
        mark(place, at, y, colour)
    );
}

/// A shape for each wording: circle, square, triangle, diamond, cross.
fn mark(place: usize, x: f64, y: f64, colour: &str) -> String {
    let points = match place % COLOURS.len() {
        0 => return format!("<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\"/>"),
        1 => [(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)].as_slice(),
        2 => &[(0.0, -6.0), (6.0, 5.0), (-6.0, 5.0)],
        3 => &[(0.0, -7.0), (6.0, 0.0), (0.0, 7.0), (-6.0, 0.0)],
        _ => {
            return format!(
                "<path d=\"M{:.1} {:.1} l10 10 m0 -10 l-10 10\" stroke=\"{colour}\" stroke-width=\"3\"/>",
                x - 5.0,
                y - 5.0
            );
        }
    };
    let points: Vec<String> = points.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    format!("<polygon points=\"{}\" fill=\"{colour}\"/>", points.join(" "))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use noroshi_model::Id;

    use super::*;

    fn trial(counts: &[(u64, u64, u64, u64)]) -> WordingTrial {
        let arm = |(n, (cases, opened, observed, clean)): (usize, &(u64, u64, u64, u64))| WordingArm {
            wording: ["standard", "short", "<long>"][n].into(),
            percent: 33,
            form: "1f0c33ab".into(),
            cases: *cases,
            notified: *cases,
            opened: *opened,
            observed: *observed,
            clean: *clean,
            ..WordingArm::default()
        };
        let mut trial = WordingTrial {
            round: Id::of("round", &[]),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            days: 14,
            arms: counts.iter().enumerate().map(arm).collect(),
            pairs: 0,
            sure_percent: 0,
            comparisons: Vec::new(),
        };
        compare(&mut trial);
        trial
    }

    fn found<'a>(trial: &'a WordingTrial, stage: Stage, wording: &str, with: &str) -> &'a Comparison {
        let same = |c: &&Comparison| c.stage == stage && c.wording == wording && c.with == with;
        trial.comparisons.iter().find(same).unwrap()
    }

    #[test]
    fn two_wordings_are_compared_by_newcombes_interval_and_a_zero_in_it_is_said_plainly() {
        // Newcombe's table II again: 56 of 70 less 48 of 80.
        let trial = trial(&[(100, 40, 80, 48), (100, 41, 70, 56)]);
        assert_eq!((trial.pairs, trial.sure_percent), (1, 95));
        let clean = found(&trial, Stage::Clean, "short", "standard");
        let effect = clean.effect.unwrap();
        assert!((effect.low - 0.0524).abs() < 5e-5 && (effect.high - 0.3339).abs() < 5e-5, "{effect:?}");
        assert_eq!(clean.says, "after 'short' more lines are clean than after 'standard'");
        assert_eq!(found(&trial, Stage::Opened, "short", "standard").says, "no difference can be told");
        let text = table(&[trial]);
        assert!(text.contains("no difference can be told") && text.contains("+20.0 points"), "{text}");
    }

    #[test]
    fn three_wordings_are_told_apart_only_by_a_wider_interval() {
        let two = trial(&[(400, 120, 400, 200), (400, 150, 400, 230)]);
        let three = trial(&[(400, 120, 400, 200), (400, 150, 400, 230), (400, 120, 400, 200)]);
        let of = |trial: &WordingTrial| found(trial, Stage::Clean, "short", "standard").clone();
        assert_eq!(of(&two).says, "after 'short' more lines are clean than after 'standard'");
        assert_eq!(of(&three).says, "no difference can be told");
        let (narrow, wide) = (of(&two).effect.unwrap(), of(&three).effect.unwrap());
        assert!(wide.low < narrow.low && wide.high > narrow.high);
        assert_eq!((three.pairs, three.comparisons.len()), (3, 12));
        assert!(method(&three).contains("each with 98.33 %"), "{}", method(&three));
        assert_eq!(quantile(1), Z);
        assert!(Z_OF.is_sorted() && quantile(5) > 2.8 && quantile(99) > 2.8);
    }

    #[test]
    fn who_does_worse_is_named_and_nothing_is_said_of_nothing() {
        let trial = trial(&[(500, 300, 0, 0), (500, 200, 0, 0)]);
        assert_eq!(
            found(&trial, Stage::Opened, "short", "standard").says,
            "'standard' is opened more often than 'short'"
        );
        assert_eq!(found(&trial, Stage::Clean, "short", "standard").says, "not known yet");
    }

    #[test]
    fn the_picture_carries_every_share_and_escapes_names() {
        let svg = svg(&trial(&[(10, 4, 8, 5), (10, 5, 8, 6), (10, 6, 0, 0)]));
        assert!(svg.contains("&lt;long&gt;") && !svg.contains("<long>"));
        assert!(svg.contains("4 (40.0 %)") && svg.contains("6 (75.0 %)") && svg.contains("0 (–)"));
        assert!(svg.contains("<circle") && svg.contains("<polygon") && !svg.contains("style="));
    }
}
