//! Forecasts of series with weeks, level shifts, spikes and gaps, from a rolling origin.

use std::time::Instant;

use noroshi_orient::signs::forecast::{Forecast, HORIZON_MAX_H, forecast};

use crate::world::Dice;

/// Hours of a port: mean from one to ten thousand, a day and a week, a wandering level, and what goes wrong.
fn port(dice: &mut Dice, weeks: usize) -> Vec<Option<f64>> {
    let (mean, shape) = (dice.log_between(1.0, 10_000.0), dice.log_between(5.0, 100.0));
    let (day, weekend, phase) = (dice.between(0.0, 0.8), dice.between(0.0, 0.5), dice.between(0.0, 6.0));
    let wander = if dice.once_in(2.0) { 0.02 } else { 0.005 };
    let (mut level, mut down_until) = (0.0, 0);
    let hour = |hour: usize| {
        level += wander * dice.normal();
        if dice.once_in(500.0) {
            level += dice.between(-0.8, 0.8);
        }
        if dice.once_in(400.0) {
            down_until = hour + 1 + dice.below(12);
        }
        let season = day * (std::f64::consts::TAU * hour as f64 / 24.0 + phase).sin()
            - if hour / 24 % 7 < 2 { weekend } else { 0.0 };
        let spike = if dice.once_in(200.0) { dice.log_between(2.0, 20.0) } else { 1.0 };
        let count = f64::from(dice.count(mean * f64::exp(level + season) * spike, shape));
        (hour >= down_until).then_some(count)
    };
    (0..weeks * 168).map(hour).collect()
}

#[test]
fn forecasts_beat_last_week_and_their_intervals_hold_four_hours_in_five() {
    let many = std::env::var("NOROSHI_TEST_SIGNS").is_ok();
    let seed: u64 = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(100);
    let dice = &mut Dice(seed);
    let ports: Vec<_> = (0..if many { 500 } else { 50 }).map(|_| port(dice, 8)).collect();
    for horizon_h in [1, 24] {
        let start = Instant::now();
        let forecasts: Vec<Forecast> = ports.iter().filter_map(|port| forecast(port, horizon_h)).collect();
        let seconds = start.elapsed().as_secs_f64() / ports.len() as f64;
        let sorted = |of: fn(&Forecast) -> Option<f64>| {
            let mut all: Vec<f64> = forecasts.iter().filter_map(of).collect();
            assert_eq!(all.len(), ports.len());
            all.sort_by(f64::total_cmp);
            all
        };
        let (mase, coverage) = (sorted(|f| f.mase), sorted(|f| f.coverage));
        let middle = |all: &[f64]| all[all.len() / 2];
        let under = mase.iter().filter(|mase| **mase < 0.9).count();
        let inside = coverage.iter().filter(|part| (0.75..=0.85).contains(*part)).count();
        println!(
            "{horizon_h:2} h: MASE median {:.3}, below 0.9 in {:3.0} %; interval holds {:.1} % (median), 75-85 % in {:3.0} %; {:.2} ms a port",
            middle(&mase),
            100.0 * under as f64 / ports.len() as f64,
            100.0 * middle(&coverage),
            100.0 * inside as f64 / ports.len() as f64,
            1e3 * seconds
        );
        assert!(middle(&mase) < 0.9, "{mase:?}");
        assert!((0.75..=0.85).contains(&middle(&coverage)) && inside * 10 >= ports.len() * 9, "{coverage:?}");
    }
}

#[test]
fn whatever_the_series_nothing_breaks() {
    assert_eq!(forecast(&[], 1), None);
    assert_eq!(forecast(&[None; 1000], 1), None);
    assert_eq!(forecast(&[Some(1.0)], 0), None);
    assert_eq!(forecast(&[Some(1.0)], HORIZON_MAX_H + 1), None);
    let odd = [Some(f64::NAN), Some(-1.0), Some(f64::INFINITY), Some(f64::MAX), None, Some(0.0)];
    let odd: Vec<_> = odd.into_iter().cycle().take(2000).collect();
    for horizon_h in [1, 24, HORIZON_MAX_H] {
        for series in [&odd[..], &[Some(0.0); 1500], &[Some(5.0); 1500], &[Some(5.0)]] {
            let forecast = forecast(series, horizon_h).unwrap();
            assert!(forecast.low <= forecast.mean && forecast.mean <= forecast.high, "{forecast:?}");
        }
    }
    let json = serde_json::to_value(forecast(&[Some(5.0)], 1)).unwrap();
    assert_eq!(json["mase"], serde_json::Value::Null);
    assert!(json["mean"].as_f64().unwrap() > 4.9);
}
