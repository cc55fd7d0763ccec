//! Logistic regression with sparse signs, learned online: FTRL-Proximal (McMahan et al., "Ad Click Prediction: a View from the
//! Trenches", KDD 2013, algorithm 1). Its L1 leaves most fragments without a weight, so that the table stays small.

/// How hard it learns and forgets.
pub struct Pace {
    pub alpha: f32,
    pub beta: f32,
    pub l1: f32,
    pub l2: f32,
    pub rounds: usize,
}

/// One name: its signs' numbers, and whether it is bad.
pub struct Example {
    pub signs: Box<[u32]>,
    pub bad: bool,
    pub weight: f32,
}

/// Weights by sign; the last is the base's, which is not held down.
pub fn learn(
    examples: &[Example],
    signs: usize,
    held: &[f32],
    pace: &Pace,
    random: &mut fastrand::Rng,
) -> Vec<f32> {
    let base = signs;
    let (mut z, mut n) = (vec![0.0f32; signs + 1], vec![0.0f32; signs + 1]);
    let weight = |z: f32, n: f32, l1: f32, l2: f32| {
        if z.abs() <= l1 {
            return 0.0;
        }
        -(z - l1 * z.signum()) / ((pace.beta + n.sqrt()) / pace.alpha + l2)
    };
    let of = |at: usize, z: &[f32], n: &[f32]| match at == base {
        true => weight(z[at], n[at], 0.0, 0.0),
        false => weight(z[at], n[at], pace.l1 * held[at], pace.l2 * held[at]),
    };
    let mut order: Vec<u32> = (0..examples.len() as u32).collect();
    for _ in 0..pace.rounds {
        random.shuffle(&mut order);
        for at in &order {
            let example = &examples[*at as usize];
            let all = || example.signs.iter().map(|sign| *sign as usize).chain([base]);
            let sum: f32 = all().map(|at| of(at, &z, &n)).sum();
            let p = 1.0 / (1.0 + (-sum).exp());
            let gradient = (p - f32::from(u8::from(example.bad))) * example.weight;
            for at in all() {
                let sigma = ((n[at] + gradient * gradient).sqrt() - n[at].sqrt()) / pace.alpha;
                z[at] += gradient - sigma * of(at, &z, &n);
                n[at] += gradient * gradient;
            }
        }
    }
    (0..=signs).map(|at| of(at, &z, &n)).collect()
}

/// Platt's scaling: `a` and `b` for which `a·x + b` are the log-odds that fit best, classes weighed alike (Newton's method on
/// two parameters).
pub fn platt(scores: &[(f32, bool)]) -> (f32, f32) {
    let count = |bad: bool| scores.iter().filter(|(_, is)| *is == bad).count().max(1) as f64;
    let (bad, good) = (count(true), count(false));
    let (mut a, mut b) = (1.0f64, 0.0f64);
    for _ in 0..100 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-6, 0.0, 1e-6);
        for (x, is_bad) in scores {
            let (x, y) = (f64::from(*x), f64::from(u8::from(*is_bad)));
            let weight = 0.5 / if *is_bad { bad } else { good };
            let p = 1.0 / (1.0 + (-(a * x + b)).exp());
            let (g, h) = (weight * (p - y), weight * p * (1.0 - p));
            (ga, gb) = (ga + g * x, gb + g);
            (haa, hab, hbb) = (haa + h * x * x, hab + h * x, hbb + h);
        }
        let det = haa * hbb - hab * hab;
        // Newton's step may go far where the curve is flat.
        let step = |by: f64| (by / det).clamp(-0.5, 0.5);
        let (da, db) = (step(hbb * ga - hab * gb), step(haa * gb - hab * ga));
        (a, b) = (a - da, b - db);
        if da.abs() + db.abs() < 1e-9 {
            break;
        }
    }
    (a as f32, b as f32)
}
