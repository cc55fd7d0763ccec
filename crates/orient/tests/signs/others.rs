//! Detectors that the default is compared with. Each gives a score for each day of a port's logarithms of counts; none
//! for a day without a sensor. They are given the best threshold that there is on the very worlds they are judged on.

/// A port's days.
pub type Days = [Option<f64>];
/// A detector: a score for each day, the higher the more it rises.
pub type Detector = fn(&Days) -> Vec<f64>;

/// Every detector with its name.
pub const ALL: [(&str, Detector); 4] = [
    ("robust z, 28 days", robust_z),
    ("CUSUM on robust z", cusum),
    ("ChangeFinder", change_finder),
    ("Bayesian change points", change_points),
];

const NOISE_MIN: f64 = 0.25;

/// Standard deviations above the median of the days from `from` to `to` days ago.
fn z(days: &Days, day: usize, from: usize, to: usize) -> f64 {
    let Some(now) = days[day] else { return 0.0 };
    let mut before: Vec<f64> =
        days[day.saturating_sub(from)..=day.saturating_sub(to)].iter().flatten().copied().collect();
    if before.len() < 14 {
        return 0.0;
    }
    let middle = before.len() / 2;
    let median = *before.select_nth_unstable_by(middle, f64::total_cmp).1;
    before.iter_mut().for_each(|y| *y = (*y - median).abs());
    let mad = *before.select_nth_unstable_by(middle, f64::total_cmp).1;
    (now - median) / (1.4826 * mad).max(NOISE_MIN)
}

fn robust_z(days: &Days) -> Vec<f64> {
    (0..days.len()).map(|day| z(days, day, 28, 1)).collect()
}

/// The baseline is two weeks old, so that a rise does not become its own baseline; a spike counts three at most.
fn cusum(days: &Days) -> Vec<f64> {
    let sum = |sum: &mut f64, day: usize| {
        if days[day].is_some() {
            *sum = (*sum + z(days, day, 42, 14).min(3.0) - 0.75).max(0.0);
        }
        Some(*sum)
    };
    (0..days.len()).scan(0.0, sum).collect()
}

/// Sequentially discounting autoregression of first order: the logarithmic loss of each value.
struct Sdar {
    mean: f64,
    variance: f64,
    covariance: f64,
    noise: f64,
    before: f64,
}

impl Sdar {
    const DISCOUNT: f64 = 0.05;

    fn new(first: f64) -> Self {
        Self { mean: first, variance: 0.1, covariance: 0.0, noise: 0.1, before: first }
    }

    fn loss(&mut self, y: f64) -> (f64, bool) {
        let keep = |old: f64, new: f64| (1.0 - Self::DISCOUNT) * old + Self::DISCOUNT * new;
        let slope = (self.covariance / self.variance.max(1e-6)).clamp(-0.95, 0.95);
        let expected = self.mean + slope * (self.before - self.mean);
        let noise = self.noise.max(NOISE_MIN * NOISE_MIN);
        let loss = 0.5 * (std::f64::consts::TAU * noise).ln() + (y - expected).powi(2) / (2.0 * noise);
        self.mean = keep(self.mean, y);
        self.variance = keep(self.variance, (y - self.mean).powi(2));
        self.covariance = keep(self.covariance, (y - self.mean) * (self.before - self.mean));
        self.noise = keep(self.noise, (y - expected).powi(2));
        self.before = y;
        (loss, y > expected)
    }
}

/// Takeuchi and Yamanishi, "A Unifying Framework for Detecting Outliers and Change Points from Time Series" (2006): losses,
/// smoothed over five days, are a series whose losses, smoothed again, are the score. Only upward changes count.
fn change_finder(days: &Days) -> Vec<f64> {
    const SMOOTH: usize = 5;
    let smooth = |values: &[f64]| values.iter().rev().take(SMOOTH).sum::<f64>() / SMOOTH as f64;
    let first = days.iter().flatten().next().copied().unwrap_or(0.0);
    let (mut one, mut two) = (Sdar::new(first), None::<Sdar>);
    let (mut losses, mut scores, mut ups) = (Vec::new(), Vec::new(), Vec::new());
    let score = |day: &Option<f64>| {
        let Some(y) = day else { return 0.0 };
        let (loss, up) = one.loss(*y);
        losses.push(loss);
        ups.push(if up { 1.0 } else { 0.0 });
        let smoothed = smooth(&losses);
        scores.push(two.get_or_insert_with(|| Sdar::new(smoothed)).loss(smoothed).0);
        if smooth(&ups) > 0.5 { smooth(&scores) } else { 0.0 }
    };
    days.iter().map(score).collect()
}

/// Adams and MacKay, "Bayesian Online Changepoint Detection" (2007), with normal data of unknown mean and variance. The
/// score is the logarithm of the odds of a change within two weeks, when it is upward.
fn change_points(days: &Days) -> Vec<f64> {
    const RUN_MAX: usize = 80;
    const RECENT: usize = 14;
    const HAZARD: f64 = 1.0 / 200.0;
    let first = days.iter().flatten().next().copied().unwrap_or(0.0);
    // Mean, weight, shape, scale of the normal-gamma belief of each run length.
    let prior = (first, 0.1, 2.0, 2.0 * NOISE_MIN * NOISE_MIN);
    let mut runs = vec![(1.0, prior)];
    let score = |day: &Option<f64>| {
        let Some(y) = *day else { return 0.0 };
        let mut next = vec![(0.0, prior)];
        for (p, (mean, weight, shape, scale)) in &runs {
            let likely = p * student((y - mean).powi(2) * weight / (weight + 1.0) / (2.0 * scale), *shape)
                / (scale * (weight + 1.0) / weight).sqrt();
            let belief = (
                (weight * mean + y) / (weight + 1.0),
                weight + 1.0,
                shape + 0.5,
                scale + weight * (y - mean).powi(2) / (2.0 * (weight + 1.0)),
            );
            next[0].0 += likely * HAZARD;
            next.push((likely * (1.0 - HAZARD), belief));
        }
        next.truncate(RUN_MAX);
        let all: f64 = next.iter().map(|(p, _)| p).sum::<f64>().max(1e-300);
        next.iter_mut().for_each(|(p, _)| *p /= all);
        runs = next;
        let recent: f64 = runs.iter().take(RECENT).map(|(p, _)| p).sum();
        let (_, (old, ..)) = runs[runs.len() - 1];
        let likeliest = runs.iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(old, |(_, belief)| belief.0);
        if likeliest > old { (recent / (1.0 - recent).max(1e-12)).max(1e-12).ln() } else { 0.0 }
    };
    days.iter().map(score).collect()
}

/// Student's density but for its scale; the quotient of gammas by Stirling.
fn student(x: f64, shape: f64) -> f64 {
    (shape - 0.25).sqrt() * (1.0 + x).powf(-(shape + 0.5))
}
