//! How much to expect in the next hour and tomorrow, how sure that is, and whether it is better than last week's number.
//!
//! On the logarithm of an hour's count a forecast is a level that follows the series, plus what is usual for the hour of
//! the day and of the week; both are learned with errors cut off, so that a spike does not become next week's forecast
//! (Gelper, Fried and Croux, "Robust Forecasting with Exponential and Holt-Winters Smoothing", 2010). Several levels run
//! beside each other, from quick to slow; that which lately erred least for the horizon is believed.
//!
//! The interval assumes no distribution: its ends move up and down after each hour until one in ten falls below and one in ten
//! above (Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021). Each forecast is made with what was
//! known at the time, so the skill that is told is that of a rolling origin.

use std::collections::VecDeque;

use serde::Serialize;

/// Part of the hours that the interval is meant to hold.
pub const COVERAGE: f64 = 0.8;
/// The skill is measured against the same hour a week before.
pub const SEASON_H: usize = 168;
/// The longest horizon.
pub const HORIZON_MAX_H: usize = 168;

/// Hours before errors count: two weeks, so that the week is known.
const WARM_H: usize = 2 * SEASON_H;
/// How quickly the levels follow: the part of an error they take over.
const GAINS: [f64; 4] = [0.02, 0.08, 0.25, 0.6];
/// What of an hour's error the hour of the day and the hour of the week take over.
const DAY_GAIN: f64 = 0.08;
const WEEK_GAIN: f64 = 0.2;
/// Errors are cut off at so many times the usual one.
const CUT: f64 = 3.0;
/// What of the usual error is new each hour.
const USUAL_GAIN: f64 = 0.01;
/// Steps of the interval's ends, in usual errors.
const STEP: f64 = 0.06;

/// What to expect of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The count to expect: as often too high as too low.
    pub mean: f64,
    /// One hour in ten is below.
    pub low: f64,
    /// One hour in ten is above.
    pub high: f64,
    /// Mean absolute error so far, to that of the same hour a week before: below one is better. None before three weeks.
    pub mase: Option<f64>,
    /// Part of the hours so far that were within the interval.
    pub coverage: Option<f64>,
}

/// Forecasts the hour that is `horizon_h` hours after the last of `hours`, counts without a gap; none is an hour without a
/// sensor. Of no hours, or a horizon of none or more than [`HORIZON_MAX_H`], there is no forecast. Takes well under a
/// millisecond for eight weeks.
pub fn forecast(hours: &[Option<f64>], horizon_h: usize) -> Option<Forecast> {
    if horizon_h == 0 || horizon_h > HORIZON_MAX_H {
        return None;
    }
    let count =
        |hour: usize| hours.get(hour).copied().flatten().filter(|count| count.is_finite() && *count >= 0.0);
    let mut model = Model::new((0..hours.len()).find_map(count)?.ln_1p());
    let mut record = Record::default();
    // What was forecast for the hours to come, the next first.
    let mut made = VecDeque::with_capacity(horizon_h + 1);
    for hour in 0..hours.len() {
        let due = if made.len() == horizon_h { made.pop_front() } else { None };
        if let Some(actual) = count(hour) {
            if let Some(due) = &due {
                let week_before = hour.checked_sub(SEASON_H).and_then(count);
                record.take(due, actual, week_before.filter(|_| hour >= WARM_H));
            }
            model.take(hour, actual.ln_1p());
        }
        made.push_back(record.due(model.at(hour + horizon_h)));
    }
    made.pop_back().map(|last| last.forecast)
}

/// A forecast, the logarithm it is of, and what each level had for it.
struct Due {
    forecast: Forecast,
    y: f64,
    levels: [f64; GAINS.len()],
}

struct Model {
    levels: [f64; GAINS.len()],
    day: [f64; 24],
    week: [f64; SEASON_H],
    usual: f64,
}

impl Model {
    fn new(first: f64) -> Self {
        Self { levels: [first; GAINS.len()], day: [0.0; 24], week: [0.0; SEASON_H], usual: 0.5 }
    }

    fn season(&self, hour: usize) -> f64 {
        self.day[hour % 24] + self.week[hour % SEASON_H]
    }

    /// What each level has for an hour.
    fn at(&self, hour: usize) -> [f64; GAINS.len()] {
        self.levels.map(|level| level + self.season(hour))
    }

    fn take(&mut self, hour: usize, y: f64) {
        let season = self.season(hour);
        let cut = CUT * self.usual;
        for (level, gain) in self.levels.iter_mut().zip(GAINS) {
            *level += gain * (y - season - *level).clamp(-cut, cut);
        }
        // Against a level of about a day, so that the season does not follow a level that already has it.
        let error = (y - season - self.levels[1]).clamp(-cut, cut);
        self.usual += USUAL_GAIN * (error.abs().max(0.02) - self.usual);
        self.day[hour % 24] += DAY_GAIN * error;
        self.week[hour % SEASON_H] += WEEK_GAIN * error;
    }
}

/// How the forecasts of one horizon did.
#[derive(Default)]
struct Record {
    /// Lately, by level.
    errors: [f64; GAINS.len()],
    /// Ends of the interval below and above, in logarithms.
    below: f64,
    above: f64,
    usual: f64,
    hours: f64,
    within: f64,
    absolute: f64,
    naive: f64,
}

impl Record {
    /// `week_before` is none for an hour that does not count.
    fn take(&mut self, due: &Due, actual: f64, week_before: Option<f64>) {
        let (forecast, y) = (due.forecast, actual.ln_1p());
        if let Some(before) = week_before {
            self.hours += 1.0;
            self.within += if (forecast.low..=forecast.high).contains(&actual) { 1.0 } else { 0.0 };
            self.absolute += (actual - forecast.mean).abs();
            self.naive += (actual - before).abs();
        }
        let error = y - due.y;
        self.usual =
            if self.usual > 0.0 { self.usual + 0.02 * (error.abs() - self.usual) } else { error.abs() };
        let (tail, step) = ((1.0 - COVERAGE) / 2.0, STEP * self.usual);
        self.below += step * if error < -self.below { 1.0 - tail } else { -tail };
        self.above += step * if error > self.above { 1.0 - tail } else { -tail };
        for (lately, level) in self.errors.iter_mut().zip(due.levels) {
            *lately += 0.01 * ((y - level).abs() - *lately);
        }
    }

    fn due(&self, levels: [f64; GAINS.len()]) -> Due {
        let best = (0..GAINS.len()).min_by(|a, b| self.errors[*a].total_cmp(&self.errors[*b]));
        let (y, hours) = (levels[best.unwrap_or(0)], self.hours);
        let count = |y: f64| y.exp_m1().max(0.0);
        let skilled = hours >= SEASON_H as f64;
        let forecast = Forecast {
            mean: count(y),
            low: count(y - self.below).min(count(y)),
            high: count(y + self.above).max(count(y)),
            mase: (skilled && self.naive > 0.0).then(|| self.absolute / self.naive),
            coverage: skilled.then(|| self.within / hours),
        };
        Due { forecast, y, levels }
    }
}
