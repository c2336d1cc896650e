//! Log-likelihoods of long sequences against a recursion in twice the digits.

use elbo_hmm::{Categorical, Hmm};

/// An unevaluated sum of two doubles, about 32 digits.
#[derive(Clone, Copy)]
struct Twofold(f64, f64);

impl Twofold {
    fn of(x: f64) -> Self {
        Self(x, 0.0)
    }

    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }

    fn plus(self, other: Self) -> Self {
        let Self(high, low) = Self::sum(self.0, other.0);
        let low = low + self.1 + other.1;
        let s = high + low;
        Self(s, low - (s - high))
    }

    fn times(self, other: Self) -> Self {
        let high = self.0 * other.0;
        let low = self.0.mul_add(other.0, -high) + (self.0 * other.1 + self.1 * other.0);
        let s = high + low;
        Self(s, low - (s - high))
    }
}

/// `ln p(x)`, with messages in twofold numbers that are divided by powers of two, which is exact.
fn log_likelihood(hmm: &Hmm<Categorical>, x: &[u32]) -> f64 {
    let k = hmm.k();
    let mut message: Vec<Twofold> = hmm.initial().iter().map(|p| Twofold::of(*p)).collect();
    let (mut exponent, mut next) = (0_i64, message.clone());
    for (t, x) in x.iter().enumerate() {
        if t > 0 {
            for (j, next) in next.iter_mut().enumerate() {
                *next = Twofold::of(0.0);
                for (i, p) in message.iter().enumerate() {
                    *next = next.plus(p.times(Twofold::of(hmm.transition(i)[j])));
                }
            }
            message.copy_from_slice(&next);
        }
        for (j, p) in message.iter_mut().enumerate() {
            *p = p.times(Twofold::of(hmm.emission()[j].probabilities()[*x as usize]));
        }
        let largest = message.iter().map(|p| p.0).fold(0.0, f64::max);
        if largest < 1e-100 {
            for p in &mut message {
                *p = Twofold(p.0 * 2.0_f64.powi(300), p.1 * 2.0_f64.powi(300));
            }
            exponent -= 300;
        }
    }
    let sum = (0..k).map(|j| message[j]).fold(Twofold::of(0.0), Twofold::plus);
    sum.0.ln() + exponent as f64 * std::f64::consts::LN_2
}

fn chain(k: usize, m: usize) -> Hmm<Categorical> {
    let mut state = 7_u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let mut row = |stay: Option<usize>, m: usize| {
        let weights: Vec<f64> = (0..m)
            .map(|j| -uniform().ln() + if stay == Some(j) { m as f64 } else { 0.0 })
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect::<Vec<f64>>()
    };
    let rows: Vec<Vec<f64>> = (0..k).map(|i| row(Some(i), k)).collect();
    let emission = (0..k).map(|_| Categorical::new(row(None, m)).unwrap()).collect();
    Hmm::new(&row(None, k), &rows, emission).unwrap()
}

fn agrees(k: usize, m: usize, n: usize) {
    let hmm = chain(k, m);
    let mut state = 3_u32;
    let x: Vec<u32> = (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % u32::try_from(m).unwrap()
        })
        .collect();
    let (found, expected) = (hmm.log_likelihood(&x[..]).unwrap(), log_likelihood(&hmm, &x));
    let error = ((found - expected) / expected).abs();
    assert!(error < 1e-12, "K = {k}, T = {n}: {found} {expected}, {error:e}");
}

#[test]
fn long_sequences_keep_twelve_digits() {
    agrees(5, 20, 30_000);
    agrees(20, 30, 2_000);
}

#[test]
#[ignore = "a minute"]
fn a_million_steps_of_fifty_states_keep_twelve_digits() {
    agrees(5, 20, 1_000_000);
    agrees(50, 20, 1_000_000);
}
