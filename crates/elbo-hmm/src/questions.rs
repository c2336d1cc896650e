//! More questions to a hidden Markov model: pairs, fixed lags, draws of paths, the best few paths, forecasts, durations.

use elbo_core::{Family, Inference};
use elbo_linalg::log_sum_exp;
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};

use crate::{Decoded, Hmm, HmmError, Sequences};

impl<F: Family> Hmm<F> {
    /// `ln p(x)` of each sequence, in nats, weights aside; 0 for a sequence of length 0.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn log_likelihoods<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Vec<f64>, HmmError> {
        let data = data.into();
        let mut all = vec![0.0; elbo_core::Batch::len(&data)];
        self.for_each_sequence(data, |i, view, sequence, scratch| {
            all[i] = scratch.forward(view, sequence)?;
            Ok(())
        })?;
        Ok(all)
    }

    /// The state that is most probable at each step on its own, `argmaxⱼ γₜⱼ`; of equals the lower one.
    ///
    /// This makes the fewest errors on average, but as a path it may be impossible; the most probable path is
    /// [`viterbi`](Self::viterbi).
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn decode<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Vec<usize>, HmmError> {
        let posterior = self.smooth(data)?;
        let largest = |row: &[f64]| {
            (1..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best })
        };
        Ok(posterior.chunks_exact(self.k()).map(largest).collect())
    }

    /// `ξₜᵢⱼ = p(zₜ = i, zₜ₊₁ = j ∣ x)` of all steps but the last of each sequence, one `k × k` matrix after the other.
    ///
    /// Cost: `2k²` exponentials and `k²` numbers per step; expected transitions alone are statistics of an E-step.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn smooth_pairs<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Vec<f64>, HmmError> {
        let (data, k) = (data.into(), self.k());
        let posterior = self.smooth(data)?;
        let (mut all, mut law) = (Vec::new(), vec![0.0; k * k]);
        self.for_each_sequence(data, |i, view, sequence, scratch| {
            let steps = data.positions(i);
            scratch.forward(view, sequence)?;
            for (t, next) in (steps.start + 1..steps.end).enumerate() {
                // Given the next state, steps after t say nothing more of state t.
                scratch.reversed(view.chain, t, &mut law);
                let next = &posterior[next * k..][..k];
                for i in 0..k {
                    all.extend((0..k).map(|j| law[j * k + i] * next[j]));
                }
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// `p(zₜ = j ∣ x₁, …, xₛ)` with `s = min(t + lag, T)`, `n × k`, row by row: what is known of a state `lag` steps later.
    ///
    /// Lag 0 is [`filter`](Self::filter), a lag of at least `T − 1` is [`smooth`](Self::smooth). Cost: `2k²` exponentials and
    /// `lag · k²` multiply-adds per step, `lag · k²` numbers.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn smooth_lagged<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
        lag: usize,
    ) -> Result<Vec<f64>, HmmError> {
        let (data, k) = (data.into(), self.k());
        let mut all = self.filter(data)?;
        self.for_each_sequence(data, |i, view, sequence, scratch| {
            let steps = data.positions(i);
            let n = steps.len();
            let filtered = all[steps.start * k..steps.end * k].to_vec();
            let lag = lag.min(n - 1);
            scratch.forward(view, sequence)?;
            // The laws from t + 1 back to t, of the last steps only, in a ring.
            let mut laws = vec![0.0; lag * k * k];
            let (mut law, mut earlier) = (vec![0.0; k], vec![0.0; k]);
            for last in 0..n {
                if last > 0 && lag > 0 {
                    let place = (last - 1) % lag * k * k;
                    scratch.reversed(view.chain, last - 1, &mut laws[place..place + k * k]);
                }
                law.copy_from_slice(&filtered[last * k..][..k]);
                let ends = last + 1 == n; // steps near the end wait for no more
                for t in (last.saturating_sub(lag)..last).rev() {
                    let back = &laws[t % lag * k * k..][..k * k];
                    earlier.fill(0.0);
                    for (p, row) in law.iter().zip(back.chunks_exact(k)) {
                        elbo_core::add_scaled(&mut earlier, *p, row);
                    }
                    std::mem::swap(&mut law, &mut earlier);
                    if t + lag == last || ends {
                        all[(steps.start + t) * k..][..k].copy_from_slice(&law);
                    }
                }
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Draws whole paths from `p(z ∣ x)`, `draws` of them, each with the states of all sequences one after the other: forward
    /// filtering, backward sampling.
    ///
    /// Cost: one forward pass, and `2k` logarithms per step and draw.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    ///
    /// # Source
    ///
    /// Scott (2002), JASA 97(457).
    pub fn sample_paths<'a, R: Rng + ?Sized>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
        draws: usize,
        rng: &mut R,
    ) -> Result<Vec<Vec<usize>>, HmmError> {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let mut own = ChaCha8Rng::from_seed(seed);
        let mut paths = vec![Vec::new(); draws];
        self.for_each_sequence(data.into(), |_, view, sequence, scratch| {
            let n = elbo_core::Batch::len(&sequence);
            scratch.forward(view, sequence)?;
            for path in &mut paths {
                scratch.sample(view.chain, n, &mut Inference::Sampled(&mut own))?;
                path.extend_from_slice(&scratch.path()[..n]);
            }
            Ok(())
        })?;
        Ok(paths)
    }

    /// The `count` most probable paths of one sequence, the best first; fewer if there are not that many of positive
    /// probability.
    ///
    /// Cost: `k² count` additions and a sort of `k count` numbers per state and step; `8k count` bytes per step.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    ///
    /// # Panics
    ///
    /// If there is more than one sequence.
    ///
    /// # Source
    ///
    /// Seshadri & Sundberg (1994), IEEE Trans. Commun. 42(2/3/4).
    pub fn best_paths<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
        count: usize,
    ) -> Result<Vec<Decoded>, HmmError> {
        let data = data.into();
        assert!(elbo_core::Batch::len(&data) <= 1, "the best paths are those of one sequence");
        let mut found = Vec::new();
        self.for_each_sequence(data, |_, view, sequence, scratch| {
            let mut lists = BestPaths::new(self.k(), count);
            scratch.for_each_score(view, sequence, |t, scores| {
                let chain = view.chain;
                if t == 0 {
                    lists.begin(chain.log_initial(), scores);
                } else {
                    lists.advance(|j| chain.log_column(j), scores);
                }
            })?;
            found = lists.paths();
            Ok(())
        })?;
        Ok(found)
    }

    /// The law of the state 1, 2, …, `steps` steps after the end of each sequence: per sequence `steps × k`, row by row. That of a
    /// sequence of length 0 begins with the initial law.
    ///
    /// What is then observed has the density `Σⱼ p(zⱼ) p(x ∣ θⱼ)`: see
    /// [`mixture_log_density_into`](Self::mixture_log_density_into).
    ///
    /// ```
    /// use elbo_hmm::{Hmm, Poisson};
    ///
    /// let rates = vec![Poisson::new(2.0)?, Poisson::new(20.0)?];
    /// let hmm = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.2, 0.8]], rates)?;
    /// let counts = [1_u64, 3, 2, 22];
    /// let law = hmm.forecast(&counts[..], 100)?;
    /// assert!((law[1] - 0.8).abs() < 1e-6); // it was busy just now …
    /// assert!((law[199] - 1.0 / 3.0).abs() < 1e-9); // … but will forget
    ///
    /// let mut log_density = [0.0; 2];
    /// hmm.mixture_log_density_into(&law[..2], &[2, 20], &mut log_density)?;
    /// assert!(log_density[0] < log_density[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn forecast<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
        steps: usize,
    ) -> Result<Vec<f64>, HmmError> {
        let (data, k) = (data.into(), self.k());
        let filtered = self.filter(data)?;
        let mut all = Vec::new();
        for i in 0..elbo_core::Batch::len(&data) {
            let seen = data.positions(i);
            let last = seen.clone().last();
            let mut law = last.map(|last| filtered[last * k..][..k].to_vec());
            for _ in 0..steps {
                let next = law.map_or_else(|| self.initial().to_vec(), |now| self.predict(&now, 1));
                all.extend_from_slice(&next);
                law = Some(next);
            }
        }
        Ok(all)
    }

    /// `out[i] = ln Σⱼ law[j] p(xᵢ ∣ θⱼ)`, in nats: each observation on its own, when its state has this law.
    ///
    /// # Errors
    ///
    /// [`HmmError::Data`] if the data do not fit the emissions.
    ///
    /// # Panics
    ///
    /// If `law` has not `k` numbers, or `out` is not as long as the data.
    pub fn mixture_log_density_into(
        &self,
        law: &[f64],
        data: F::Batch<'_>,
        out: &mut [f64],
    ) -> Result<(), HmmError> {
        assert_eq!(law.len(), self.k(), "a law has one number per state");
        self.emission()[0].check(data)?;
        let n = out.len();
        let mut scores = vec![0.0; n * self.k()];
        for (emission, scores) in self.emission().iter().zip(scores.chunks_mut(n.max(1))) {
            emission.log_density_into(data, scores);
        }
        let mut terms = vec![0.0; self.k()];
        for (i, out) in out.iter_mut().enumerate() {
            for (j, term) in terms.iter_mut().enumerate() {
                let p = law[j];
                *term = if p > 0.0 { p.ln() + scores[j * n + i] } else { f64::NEG_INFINITY };
            }
            *out = log_sum_exp(&terms);
        }
        Ok(())
    }

    /// `1 / (1 − A[j, j])`: how many steps a visit to each state takes on average; infinite where a state is never left.
    pub fn mean_durations(&self) -> Vec<f64> {
        let leave = |j: usize| {
            let others = self.transition(j).iter().enumerate().filter(|(to, _)| *to != j);
            others.map(|(_, p)| p).sum::<f64>()
        };
        (0..self.k()).map(|j| 1.0 / leave(j)).collect()
    }
}

/// Lists of the best paths to each state.
struct BestPaths {
    k: usize,
    count: usize,
    /// Per state, the log probabilities of its best paths, falling.
    lists: Vec<Vec<f64>>,
    /// Per step after the first and state: predecessor and place in its list, for each path.
    origins: Vec<Vec<Vec<(u32, u32)>>>,
}

impl BestPaths {
    fn new(k: usize, count: usize) -> Self {
        Self { k, count, lists: vec![Vec::new(); k], origins: Vec::new() }
    }

    fn begin(&mut self, log_initial: &[f64], scores: &[f64]) {
        for (list, (start, score)) in self.lists.iter_mut().zip(log_initial.iter().zip(scores)) {
            let x = start + score;
            if x > f64::NEG_INFINITY && self.count > 0 {
                list.push(x);
            }
        }
    }

    fn advance<'c>(&mut self, log_column: impl Fn(usize) -> &'c [f64], scores: &[f64]) {
        let mut next = vec![Vec::new(); self.k];
        let mut origins = vec![Vec::new(); self.k];
        let mut candidates: Vec<(f64, u32, u32)> = Vec::new();
        for j in 0..self.k {
            candidates.clear();
            for ((from, list), a) in (0..).zip(&self.lists).zip(log_column(j)) {
                let paths = (0..).zip(list).map(|(place, x)| (x + a + scores[j], from, place));
                candidates.extend(paths.filter(|(x, ..)| *x > f64::NEG_INFINITY));
            }
            // Stable: of equals the lower predecessor goes first.
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            candidates.truncate(self.count);
            next[j].extend(candidates.iter().map(|(x, ..)| *x));
            origins[j].extend(candidates.iter().map(|(_, from, place)| (*from, *place)));
        }
        self.lists = next;
        self.origins.push(origins);
    }

    fn paths(&self) -> Vec<Decoded> {
        let mut ends: Vec<(f64, usize, usize)> = Vec::new();
        for (j, list) in self.lists.iter().enumerate() {
            ends.extend(list.iter().enumerate().map(|(place, x)| (*x, j, place)));
        }
        ends.sort_by(|a, b| b.0.total_cmp(&a.0));
        ends.truncate(self.count);
        let trace = |(log_probability, state, place): (f64, usize, usize)| {
            let (mut state, mut place) = (state, place);
            let mut states = vec![state];
            for origins in self.origins.iter().rev() {
                let (from, at) = origins[state][place];
                (state, place) = (from as usize, at as usize);
                states.push(state);
            }
            states.reverse();
            Decoded { states, log_probability }
        };
        ends.into_iter().map(trace).collect()
    }
}
