//! What telling does, measured: the share of lines that are not seen any more, among cases that were told and among cases that chance
//! held out, and the difference with its interval (Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10). Whoever
//! was not held out counts as told, whatever became of the mail, or the comparison would no longer be chance's.

use std::fmt::Write as _;

use noroshi_model::outcome::{Arm, Effect, Trial, Z, interval, interval_at};

use crate::funnel::share;

/// The difference of the two arms; none while one of them says nothing.
pub fn effect(told: &Arm, held_out: &Arm) -> Option<Effect> {
    difference((told.gone, told.observed), (held_out.gone, held_out.observed), Z)
}

/// The difference of two shares, each so many of so many, with its interval for a quantile.
pub(crate) fn difference(one: (u64, u64), other: (u64, u64), z: f64) -> Option<Effect> {
    let of = |(part, whole): (u64, u64)| {
        interval_at(part, whole, z).map(|(l, h)| (part as f64 / whole as f64, l, h))
    };
    let ((p1, l1, u1), (p2, l2, u2)) = (of(one)?, of(other)?);
    let difference = p1 - p2;
    Some(Effect {
        difference,
        low: difference - ((p1 - l1).powi(2) + (u2 - p2).powi(2)).sqrt(),
        high: difference + ((u1 - p1).powi(2) + (p2 - l2).powi(2)).sqrt(),
    })
}

/// The trials as a text.
pub fn table(trials: &[Trial]) -> String {
    let mut out = String::new();
    for trial in trials {
        let _infallible = writeln!(
            out,
            "{}: not seen from day {} to day {} after the case was opened",
            trial.campaign,
            trial.days / 2 + 1,
            trial.days
        );
        for (name, arm) in trial.arms() {
            let range = interval(arm.gone, arm.observed);
            let range = range.map(|(l, h)| format!(", 95 %: {:.1} to {:.1} %", l * 100.0, h * 100.0));
            let _infallible = writeln!(
                out,
                "  {name:<18} {:>8} of {} observed ({}{}){}",
                arm.gone,
                arm.observed,
                share(arm.gone, arm.observed),
                range.unwrap_or_default(),
                match arm.cases - arm.observed {
                    0 => String::new(),
                    blind => format!(", {blind} not observed"),
                }
            );
        }
        let _infallible = match trial.effect {
            Some(effect) => writeln!(
                out,
                "  effect             {:+.1} points, 95 %: {:+.1} to {:+.1}: {}",
                effect.difference * 100.0,
                effect.low * 100.0,
                effect.high * 100.0,
                effect.words()
            ),
            None => writeln!(out, "  effect             not known yet"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(gone: u64, observed: u64) -> Arm {
        Arm { cases: observed, observed, gone }
    }

    #[test]
    fn the_difference_is_newcombes() {
        // The paper's table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/20.
        for (told, held_out, low, high) in [
            (arm(56, 70), arm(48, 80), 0.0524, 0.3339),
            (arm(9, 10), arm(3, 10), 0.1705, 0.8090),
            (arm(10, 10), arm(0, 20), 0.6791, 1.0),
        ] {
            let effect = effect(&told, &held_out).unwrap();
            assert!((effect.low - low).abs() < 5e-5 && (effect.high - high).abs() < 5e-5, "{effect:?}");
        }
        assert_eq!(effect(&arm(3, 5), &arm(0, 0)), None);
    }

    #[test]
    fn the_words_follow_the_interval() {
        let words = |a, b| effect(&a, &b).unwrap().words();
        assert_eq!(words(arm(92, 100), arm(66, 100)), "telling helps");
        assert_eq!(words(arm(66, 100), arm(66, 100)), "no effect that can be told from none");
        assert_eq!(words(arm(40, 100), arm(66, 100)), "telling harms");
        let trial =
            Trial { campaign: "c".into(), days: 14, told: arm(1, 2), held_out: arm(0, 0), effect: None };
        assert!(table(&[trial]).contains("not known yet"));
    }
}
