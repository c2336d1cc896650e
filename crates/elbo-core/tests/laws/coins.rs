//! The smallest latent-variable model: packets of tosses, each made with one of several coins picked equally often.

use elbo_core::{
    CompleteDataModel, EStepError, EstimateError, FlatModel, Inference, LatentModel, Range,
    Repairs, RowError,
};

/// Coins that show heads with unknown probabilities.
pub(crate) struct Coins {
    /// Tosses in each packet.
    pub(crate) tosses: f64,
    /// What the M-step gets wrong.
    pub(crate) fault: Fault,
}

/// A planted fault.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// The M-step forgets the data: the objective falls.
    Forgets,
    /// The M-step refuses.
    Refuses,
    /// The M-step goes three times as far as it should, in log odds, but can retreat.
    Overshoots,
    /// Ends whose first coin shows more heads than the last are called spurious.
    CallsDescendingSpurious,
}

impl Coins {
    pub(crate) fn new(tosses: f64) -> Self {
        Self { tosses, fault: Fault::None }
    }

    /// `ln p(x ∣ heads)` but for the binomial coefficient, which no coin changes.
    pub(crate) fn log_density(&self, x: f64, heads: f64) -> f64 {
        let power = |count: f64, p: f64| if count == 0.0 { 0.0 } else { count * p.ln() };
        power(x, heads) + power(self.tosses - x, 1.0 - heads)
    }
}

impl LatentModel for Coins {
    type Data<'a> = &'a [f64]; // heads in each packet
    type Params = Vec<f64>; // probability of heads of each coin
    type Stats = (Vec<f64>, Vec<f64>); // expected packets and heads of each coin
    type Scratch = Vec<f64>; // log joint densities of one packet

    fn new_stats(&self, coins: &Vec<f64>) -> Self::Stats {
        (vec![0.0; coins.len()], vec![0.0; coins.len()])
    }

    fn new_scratch(&self, coins: &Vec<f64>) -> Vec<f64> {
        vec![0.0; coins.len()]
    }

    fn e_step(
        &self,
        coins: &Vec<f64>,
        packets: &[f64],
        how: &mut Inference<'_>,
        (count, heads): &mut Self::Stats,
        joint: &mut Vec<f64>,
    ) -> Result<f64, EStepError> {
        let log_weight = -(coins.len() as f64).ln();
        let mut data_term = 0.0;
        for (row, x) in packets.iter().enumerate() {
            for (joint, coin) in joint.iter_mut().zip(coins) {
                *joint = log_weight + self.log_density(*x, *coin);
            }
            data_term += how.assign(joint).map_err(|error| match error {
                RowError::Impossible => EStepError::Impossible { row },
                RowError::NotFinite => EStepError::NotFinite { row },
            })?;
            for (j, share) in joint.iter().enumerate() {
                count[j] += share;
                heads[j] += share * x;
            }
        }
        Ok(data_term)
    }

    fn m_step(
        &self,
        coins: &Vec<f64>,
        (count, heads): &Self::Stats,
        next: &mut Vec<f64>,
    ) -> Result<Repairs, EstimateError> {
        for (j, coin) in next.iter_mut().enumerate() {
            if self.fault == Fault::Refuses || count[j] <= 0.0 {
                return Err(EstimateError::NoWeight { component: j, weight: count[j] });
            }
            let best = heads[j] / (self.tosses * count[j]);
            *coin = match self.fault {
                Fault::Forgets => 0.01,
                Fault::Overshoots => {
                    let here = log_odds(coins[j]);
                    probability(here + 3.0 * (log_odds(best) - here))
                }
                _ => best,
            };
        }
        Ok(Repairs::default())
    }

    fn retreat(&self, coins: &Vec<f64>, next: &mut Vec<f64>) -> bool {
        for (coin, next) in coins.iter().zip(next) {
            *next = probability(0.5 * (log_odds(*coin) + log_odds(*next)));
        }
        self.fault == Fault::Overshoots
    }

    fn free_parameters(&self, coins: &Vec<f64>) -> usize {
        coins.len()
    }

    fn is_spurious(&self, coins: &Vec<f64>, _: &Self::Stats) -> bool {
        self.fault == Fault::CallsDescendingSpurious && coins[0] > coins[coins.len() - 1]
    }
}

fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Packets of ten tosses from coins of 20 % and 70 % heads, no two data sets of different size alike.
pub(crate) fn packets(n: usize) -> Vec<f64> {
    (0..n as u64)
        .map(|i| {
            let bits = mix(i);
            let chance = if bits & 1 == 0 { 51 } else { 179 }; // of 256
            (0..10).map(|toss| mix(bits ^ toss) % 256).filter(|x| *x < chance).count() as f64
        })
        .collect()
}

/// Unrelated bits for neighboring numbers (the finalizer of `SplitMix64`).
fn mix(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The coordinates are the log odds of heads.
impl FlatModel for Coins {
    fn write_unconstrained(&self, coins: &Vec<f64>, out: &mut Vec<f64>) {
        out.extend(coins.iter().map(|coin| log_odds(*coin)));
    }

    fn with_unconstrained(&self, _: &Vec<f64>, from: &[f64]) -> Vec<f64> {
        from.iter().map(|x| probability(*x)).collect()
    }

    fn for_each_parameter(&self, coins: &Vec<f64>, see: &mut dyn FnMut(&str, f64, Range)) {
        for (j, coin) in coins.iter().enumerate() {
            see(&format!("coin {j}"), *coin, Range::Probability);
        }
    }
}

impl CompleteDataModel for Coins {
    fn expected_log_likelihood(&self, coins: &Vec<f64>, (count, heads): &Self::Stats) -> f64 {
        let power = |count: f64, p: f64| if count == 0.0 { 0.0 } else { count * p.ln() };
        let term = |(j, coin): (usize, &f64)| {
            power(heads[j], *coin) + power(self.tosses * count[j] - heads[j], 1.0 - coin)
        };
        coins.iter().enumerate().map(term).sum()
    }
}
