//! A seeded world of ports with a truth: what a telescope might count, and which of it is a campaign.
//!
//! Harder than a world of Poisson counts in everything that telescopes are known for: counts are overdispersed, levels
//! wander, weeks have a shape, scanners come, go, and come to stay, some on one day of each week and some over all ports,
//! and the sensor fails in part or as a whole.

/// Numbers by chance, the same for the same seed: splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0 to 1, without both.
    pub fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Between two numbers, each order of magnitude as likely.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    pub fn once_in(&mut self, n: f64) -> bool {
        self.unit() * n < 1.0
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Marsaglia and Tsang (2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.unit().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// Negative binomial: variance `mean + mean²/shape`.
    pub fn count(&mut self, mean: f64, shape: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        let mean = mean * self.gamma(shape) / shape;
        self.poisson(mean)
    }
}

/// A campaign: from `onset`, the expected count grows by `growth` a day from `before` on.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    pub port: usize,
    pub onset: usize,
    pub growth: f64,
    /// The level that counts as once; of a silent port, five senders a day.
    pub before: f64,
}

impl Campaign {
    /// The first day whose expected count is five times that before.
    pub fn fivefold(&self) -> usize {
        self.onset + (5.0_f64.ln() / self.growth.ln_1p()).ceil() as usize
    }

    fn bots(&self, day: usize) -> f64 {
        match day.checked_sub(self.onset) {
            Some(days) => self.before * ((1.0 + self.growth).powi(days as i32).min(20.0) - 1.0),
            None => 0.0,
        }
    }
}

/// Days before the first campaign begins.
pub const WARM: usize = 56;
/// Days in all: the slowest campaign is five times its level within them.
pub const DAYS: usize = 120;

pub struct World {
    /// Counts by day and port.
    pub days: Vec<Vec<u32>>,
    pub campaigns: Vec<Campaign>,
}

struct Port {
    rate: f64,
    shape: f64,
    week: f64,
    wander: (f64, f64),
    /// Research scanner: day of the week, senders.
    pulse: Option<(usize, f64)>,
}

impl Port {
    fn new(dice: &mut Dice) -> Self {
        let rate = match dice.unit() {
            u if u < 0.75 => dice.log_between(0.003, 0.3),
            u if u < 0.93 => dice.log_between(0.3, 5.0),
            u if u < 0.99 => dice.log_between(5.0, 100.0),
            _ => dice.log_between(100.0, 20_000.0),
        };
        let shape = if dice.once_in(10.0) { dice.between(2.0, 5.0) } else { dice.log_between(10.0, 200.0) };
        let wander =
            if dice.once_in(3.0) { (dice.between(0.05, 0.25), dice.between(10.0, 40.0)) } else { (0.0, 1.0) };
        let pulse = dice.once_in(20.0).then(|| (dice.below(7), dice.log_between(5.0, 300.0)));
        Self { rate, shape, week: dice.between(0.0, 0.3), wander, pulse }
    }

    fn of(dice: &mut Dice, n: usize) -> Self {
        let rate = match n % 5 {
            0 => 0.0,
            1 | 2 => dice.log_between(2.0, 20.0),
            3 => dice.log_between(20.0, 200.0),
            _ => dice.log_between(200.0, 5000.0),
        };
        Self { rate, ..Self::new(dice) }
    }

    /// Counts of all days, `sensor` being the share that worked and `sweep` senders that were on every port.
    fn days(&self, dice: &mut Dice, sensor: &[f64], sweep: &[f64], campaign: Option<&Campaign>) -> Vec<u32> {
        let (mut wander, mut shift, mut guests, mut guests_until) = (0.0, 0.0, 0.0, 0);
        let (mut burst, mut burst_until) = (0.0, 0);
        let mut counts = Vec::with_capacity(sensor.len());
        for day in 0..sensor.len() {
            let keep = (-1.0 / self.wander.1).exp();
            wander = wander * keep + self.wander.0 * (1.0 - keep * keep).sqrt() * dice.normal();
            if self.rate > 1.0 && campaign.is_none() && dice.once_in(500.0) {
                shift += dice.between(-1.2, 1.2);
            }
            if campaign.is_none() && dice.once_in(5000.0) {
                (guests, guests_until) = (dice.log_between(1.0, 20.0), day + 5 + dice.below(40));
            }
            if dice.once_in(150.0) {
                burst = self.rate * dice.log_between(2.0, 30.0) + f64::from(dice.poisson(8.0));
                burst_until = day + 1 + if dice.once_in(5.0) { 1 + dice.below(2) } else { 0 };
            }
            let week = 1.0 + self.week * (std::f64::consts::TAU * day as f64 / 7.0).sin();
            let mut mean = self.rate * f64::exp(wander + shift) * week * if day % 7 < 2 { 0.9 } else { 1.0 };
            mean += campaign.map_or(0.0, |campaign| campaign.bots(day));
            mean += if day < guests_until { guests } else { 0.0 };
            mean += if day < burst_until { burst } else { 0.0 };
            mean += self.pulse.filter(|pulse| pulse.0 == day % 7).map_or(0.0, |pulse| pulse.1);
            let own = dice.count(mean * sensor[day], self.shape);
            counts.push(own + dice.poisson(sweep[day] * sensor[day]));
        }
        counts
    }
}

/// A world of so many ports, the last of which have a campaign each.
pub fn world(seed: u64, ports: usize, campaigns: usize) -> World {
    let dice = &mut Dice(seed);
    let sensor: Vec<f64> = (0..DAYS)
        .map(|_| match dice.below(60) {
            0 => 0.0,
            1 | 2 => dice.between(0.3, 0.8),
            _ => 1.0,
        })
        .collect();
    let sweep: Vec<f64> =
        (0..DAYS).map(|_| if dice.once_in(10.0) { dice.between(0.5, 3.0) } else { 0.0 }).collect();
    let mut days = vec![Vec::new(); DAYS];
    let mut truth = Vec::new();
    for port in 0..ports {
        let campaign = (port + campaigns).checked_sub(ports).map(|n| {
            let own = Port::of(dice, n);
            let (onset, growth) = (WARM + dice.below(6), dice.log_between(0.03, 0.2));
            (Campaign { port, onset, growth, before: own.rate.max(5.0) }, own)
        });
        let counts = match &campaign {
            Some((campaign, own)) => own.days(dice, &sensor, &sweep, Some(campaign)),
            None => Port::new(dice).days(dice, &sensor, &sweep, None),
        };
        truth.extend(campaign.map(|(campaign, _)| campaign));
        days.iter_mut().zip(counts).for_each(|(day, count)| day.push(count));
    }
    World { days, campaigns: truth }
}
