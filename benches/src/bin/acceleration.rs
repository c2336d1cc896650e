//! E-steps that acceleration saves: every method from the same starts, on data that ship with the repository or are drawn here.
//!
//! ```text
//! cargo run --release -p elbo-benches --bin acceleration
//! ```
//!
//! prints two Markdown tables. The first counts E-steps, tried leaps included, until a run is within a relative 10⁻¹⁰ of the
//! optimum it reaches: the median over starts, and the median and least ratio to plain EM from the same start, over the
//! starts from which both reach the same optimum; a bracket counts those that do not. The second takes the default rule
//! of stopping instead: E-steps until it stops, and how far short of the optimum it then is, at most, in nats.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::{collections::BTreeMap, error::Error, ops::ControlFlow, path::Path, sync::Mutex};

use elbo::{
    core::{
        Acceleration, Batch, Draw, EStepError, EstimateError, Event, FitError, Inference,
        LatentModel, MaximumLikelihood, Moves, Observer, Repairs, Settings, SingleModel, Tolerance,
        Weighted, fit, fit_restarts,
    },
    dist::{Gaussian, LowRankGaussian, MultivariateGaussian, Poisson},
    hmm::{HmmModel, Sequences, Start as Chains},
    mixture::{CovarianceStructure, MixtureModel, Rows, Start},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

const RUNS: usize = 20;
const METHODS: [(&str, Acceleration); 4] = [
    ("plain", Acceleration::None),
    ("SQUAREM", Acceleration::Squarem),
    ("Anderson", Acceleration::Anderson),
    ("quasi-Newton", Acceleration::QuasiNewton),
];

fn main() -> Result<(), Box<dyn Error>> {
    let cases = cases()?;
    println!("| case | {} |", METHODS.map(|method| method.0).join(" | "));
    println!("|---|{}", "---|".repeat(METHODS.len()));
    let mut ratios = vec![Vec::new(); METHODS.len()];
    for case in &cases {
        let far = Settings {
            tolerance: Tolerance::Gap(1e-16),
            max_iterations: 50_000,
            moves: Moves::none(),
            ..Settings::default()
        };
        let paths =
            METHODS.map(|(_, acceleration)| case.paths(&Settings { acceleration, ..far.clone() }));
        let cells: Vec<String> =
            (0..METHODS.len()).map(|method| cell(&paths, method, &mut ratios[method])).collect();
        println!("| {} | {} |", case.name, cells.join(" | "));
    }
    let summary: Vec<String> = ratios
        .iter_mut()
        .map(|ratios| format!("{:.1}× ({:.2})", median(ratios), ratios[0]))
        .collect();
    println!("| median of the cases (least) | {} |\n", summary.join(" | "));
    println!("| case | plain: E-steps, short | default: E-steps, short |");
    println!("|---|---|---|");
    for case in &cases {
        let far = Settings {
            tolerance: Tolerance::Gap(1e-16),
            max_iterations: 50_000,
            moves: Moves::none(),
            ..Settings::default()
        };
        let bottom = case.paths(&far);
        let cells = [Acceleration::None, Acceleration::default()].map(|acceleration| {
            let ends = case.paths(&Settings {
                acceleration,
                max_iterations: 50_000,
                moves: Moves::none(),
                ..Settings::default()
            });
            let (mut steps, mut short) = (Vec::new(), 0.0_f64);
            for (run, path) in &ends {
                let (Some(end), Some(best)) = (path.last(), bottom.get(run).and_then(|b| b.last()))
                else {
                    continue;
                };
                if same(end.1, best.1) {
                    steps.push(end.0 as f64);
                    short = short.max(best.1 - end.1);
                }
            }
            format!("{:.0}, {short:.0e}", median(&mut steps))
        });
        println!("| {} | {} |", case.name, cells.join(" | "));
    }
    Ok(())
}

/// E-steps and objective after each iteration, run by run.
type Paths = BTreeMap<usize, Vec<(usize, f64)>>;

#[derive(Default)]
struct Recorder(Mutex<Paths>);

impl<P> Observer<P> for Recorder {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let mut paths = self.0.lock().expect("no observer panics");
        paths.entry(event.run).or_default().push((event.e_steps, event.objective));
        ControlFlow::Continue(())
    }
}

type Run<'a> = Box<dyn Fn(&Settings, &Recorder) -> Result<(), FitError> + 'a>;

struct Case<'a> {
    name: String,
    run: Run<'a>,
}

impl Case<'_> {
    fn paths(&self, settings: &Settings) -> Paths {
        let recorder = Recorder::default();
        if let Err(error) = (self.run)(settings, &recorder) {
            println!("{}: {error}", self.name);
        }
        recorder.0.into_inner().expect("no observer panics")
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * a.abs()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() { f64::NAN } else { values[values.len() / 2] }
}

/// What a method needs, against plain EM.
fn cell(paths: &[Paths; METHODS.len()], method: usize, all: &mut Vec<f64>) -> String {
    let (mut steps, mut ratios, mut elsewhere) = (Vec::new(), Vec::new(), 0);
    for (run, plain) in &paths[0] {
        let Some(own) = paths[method].get(run) else { continue };
        let end = |path: &[(usize, f64)]| path.last().map_or(f64::NAN, |last| last.1);
        if !same(end(plain), end(own)) {
            elsewhere += 1;
            continue;
        }
        let ends = paths.iter().filter_map(|paths| paths.get(run)).map(|path| end(path));
        let best = ends.filter(|x| same(*x, end(plain))).fold(f64::MIN, f64::max);
        let reached = |path: &[(usize, f64)]| {
            let close = path.iter().find(|(_, x)| *x >= best - 1e-10 * best.abs());
            close.or(path.last()).map_or(f64::NAN, |(steps, _)| *steps as f64)
        };
        steps.push(reached(own));
        ratios.push(reached(plain) / reached(own));
    }
    let (steps, ratio) = (median(&mut steps), median(&mut ratios));
    all.push(ratio);
    let least = ratios.first().copied().unwrap_or(f64::NAN);
    let note = if elsewhere > 0 { format!(" [{elsewhere}]") } else { String::new() };
    if method == 0 {
        format!("{steps:.0}")
    } else {
        format!("{steps:.0} ({ratio:.1}, {least:.2}){note}")
    }
}

fn cases() -> Result<Vec<Case<'static>>, Box<dyn Error>> {
    let mut cases = Vec::new();
    for (name, scale, components) in [("faithful", 1.0, 2..=5), ("galaxies", 1e-3, 3..=6)] {
        let (values, d) = read(name, scale)?;
        for k in components {
            let values = values.clone();
            let run = move |settings: &Settings, recorder: &Recorder| {
                let template =
                    MultivariateGaussian::standard(CovarianceStructure::VVV, vec![0.0; d]);
                let start = Start::Spread { k, runs: RUNS, template };
                let rows = Rows::new(&values, values.len() / d, d);
                MixtureModel::ml().fit(rows.into(), &start, settings, recorder).map(drop)
            };
            cases.push(Case { name: format!("{name}, K = {k}"), run: Box::new(run) });
        }
    }
    cases.push(overlapping());
    cases.push(factors(9, 2));
    cases.push(chain());
    cases.push(topics());
    cases.push(incomplete());
    Ok(cases)
}

/// Two Gaussians two standard deviations apart.
fn overlapping() -> Case<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let draw = |mean: f64, rng: &mut ChaCha8Rng| {
        Gaussian::new(mean, 1.0).expect("a Gaussian").draw(1000, rng)
    };
    let values = [draw(0.0, &mut rng), draw(2.0, &mut rng)].concat();
    let run = move |settings: &Settings, recorder: &Recorder| {
        let template = Gaussian::new(0.0, 1.0).expect("a Gaussian");
        let start = Start::Spread { k: 2, runs: RUNS, template };
        MixtureModel::ml().fit(values[..].into(), &start, settings, recorder).map(drop)
    };
    Case { name: "two Gaussians 2 sd apart, n = 2000".into(), run: Box::new(run) }
}

/// A Poisson chain with three overlapping states.
fn chain() -> Case<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut state = 0;
    let values: Vec<u64> = (0..1000)
        .flat_map(|_| {
            if rng.random::<f64>() < 0.1 {
                state = rng.random_range(0..3);
            }
            Poisson::new([10.0, 14.0, 20.0][state]).expect("a rate").draw(1, &mut rng)
        })
        .collect();
    let run = move |settings: &Settings, recorder: &Recorder| {
        let template = Poisson::new(1.0).expect("a rate");
        let start = Chains::Random { k: 3, runs: RUNS, template };
        HmmModel::ml().fit(Sequences::one(&values[..]), &start, settings, recorder).map(drop)
    };
    Case { name: "Poisson chain, 3 states, T = 1000".into(), run: Box::new(run) }
}

/// A Gaussian in five columns of which 40 % of the cells are missing.
fn incomplete() -> Case<'static> {
    let (n, d) = (500, 5);
    let truth = LowRankGaussian::new(vec![0.0; d], &[1.0, 0.8, -0.9, 0.7, 1.2], vec![0.5; d]);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut values = truth.expect("a Gaussian").draw(n, &mut rng).data().to_vec();
    for row in values.chunks_exact_mut(d) {
        let kept = rng.random_range(0..d);
        for (j, x) in row.iter_mut().enumerate() {
            if j != kept && rng.random::<f64>() < 0.5 {
                *x = f64::NAN;
            }
        }
    }
    let run = move |settings: &Settings, recorder: &Recorder| {
        let model = SingleModel::new(MaximumLikelihood);
        let standard = MultivariateGaussian::standard(CovarianceStructure::VVV, vec![0.0; d]);
        let start = model.start(standard, n as f64)?;
        let rows = Weighted::uniform(Rows::new(&values, n, d));
        fit(&model, rows, start, settings, recorder).map(drop)
    };
    Case { name: "normal, 40 % missing, n = 500, d = 5".into(), run: Box::new(run) }
}

/// Factor analysis by plain EM.
fn factors(d: usize, q: usize) -> Case<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let loadings: Vec<f64> = (0..d * q).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
    let noise = (0..d).map(|_| 0.1 + rng.random::<f64>()).collect();
    let truth = LowRankGaussian::new(vec![0.0; d], &loadings, noise).expect("a Gaussian");
    let values = truth.draw(200, &mut rng).data().to_vec();
    let run = move |settings: &Settings, recorder: &Recorder| {
        let rows = Rows::new(&values, 200, d);
        let start = |run: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(run as u64);
            let loadings = (0..d * q).map(|_| rng.random::<f64>() - 0.5).collect();
            Ok(Factors { loadings, noise: vec![0.5; d] })
        };
        fit_restarts(&FactorAnalysis { d, q }, rows, RUNS, start, settings, recorder).map(drop)
    };
    Case { name: format!("factor analysis, d = {d}, q = {q}, n = 200"), run: Box::new(run) }
}

/// The textbook's EM for factor analysis of centered rows, with no natural parameters told.
struct FactorAnalysis {
    d: usize,
    q: usize,
}

#[derive(Clone)]
struct Factors {
    /// `d × q`.
    loadings: Vec<f64>,
    noise: Vec<f64>,
}

impl LatentModel for FactorAnalysis {
    type Data<'a> = Rows<'a>;
    type Params = Factors;
    /// Rows; `Σx²`; `Σx E[z]ᵀ`; `ΣE[zzᵀ]`.
    type Stats = ([f64; 1], Vec<f64>, Vec<f64>, Vec<f64>);
    type Scratch = ();

    fn new_stats(&self, _: &Factors) -> Self::Stats {
        ([0.0], vec![0.0; self.d], vec![0.0; self.d * self.q], vec![0.0; self.q * self.q])
    }

    fn new_scratch(&self, _: &Factors) {}

    fn e_step(
        &self,
        params: &Factors,
        rows: Rows<'_>,
        _: &mut Inference<'_>,
        stats: &mut Self::Stats,
        (): &mut (),
    ) -> Result<f64, EStepError> {
        let (d, q) = (self.d, self.q);
        let scaled = |j: usize, a: usize| params.loadings[j * q + a] / params.noise[j];
        // The precision of z given x, 1 + Wᵀ Ψ⁻¹ W, and its inverse.
        let mut precision = vec![0.0; q * q];
        for a in 0..q {
            for b in 0..q {
                let product = |j: usize| scaled(j, a) * params.loadings[j * q + b];
                precision[a * q + b] =
                    f64::from(u8::from(a == b)) + (0..d).map(product).sum::<f64>();
            }
        }
        let (covariance, log_det) = inverse(&precision, q);
        let mut data_term = 0.0;
        for i in 0..rows.len() {
            let x: Vec<f64> = (0..d).map(|j| rows.get(i, j)).collect();
            let sums: Vec<f64> =
                (0..q).map(|a| (0..d).map(|j| scaled(j, a) * x[j]).sum()).collect();
            let z: Vec<f64> =
                (0..q).map(|a| (0..q).map(|b| covariance[a * q + b] * sums[b]).sum()).collect();
            let squares: f64 = (0..d).map(|j| x[j] * x[j] / params.noise[j]).sum();
            let explained: f64 = sums.iter().zip(&z).map(|(a, b)| a * b).sum();
            let log_noise: f64 = params.noise.iter().map(|psi| psi.ln()).sum();
            data_term -= 0.5
                * (squares - explained
                    + log_noise
                    + log_det
                    + d as f64 * std::f64::consts::TAU.ln());
            stats.0[0] += 1.0;
            for (j, x) in x.iter().enumerate() {
                stats.1[j] += x * x;
                (0..q).for_each(|a| stats.2[j * q + a] += x * z[a]);
            }
            for a in 0..q {
                (0..q).for_each(|b| stats.3[a * q + b] += z[a] * z[b] + covariance[a * q + b]);
            }
        }
        Ok(data_term)
    }

    fn m_step(
        &self,
        _: &Factors,
        (rows, squares, cross, second): &Self::Stats,
        next: &mut Factors,
    ) -> Result<Repairs, EstimateError> {
        let q = self.q;
        let (inverse, log_det) = inverse(second, q);
        for j in 0..self.d {
            let row = &cross[j * q..][..q];
            let loadings = &mut next.loadings[j * q..][..q];
            for (a, w) in loadings.iter_mut().enumerate() {
                *w = (0..q).map(|b| row[b] * inverse[b * q + a]).sum();
            }
            let explained: f64 = loadings.iter().zip(row).map(|(w, c)| w * c).sum();
            next.noise[j] = (squares[j] - explained) / rows[0];
        }
        let positive = log_det.is_finite() && next.noise.iter().all(|psi| *psi > 0.0);
        let infeasible = EstimateError::Infeasible { component: 0, what: "factor analysis" };
        if positive { Ok(Repairs::default()) } else { Err(infeasible) }
    }

    fn free_parameters(&self, _: &Factors) -> usize {
        self.d * (self.q + 1) - self.q * (self.q - 1) / 2
    }
}

/// The inverse of a small positive definite matrix by Gauss and Jordan, and the logarithm of its determinant.
fn inverse(matrix: &[f64], n: usize) -> (Vec<f64>, f64) {
    let (mut a, mut log_det) = (matrix.to_vec(), 0.0);
    for k in 0..n {
        let pivot = a[k * n + k];
        log_det += pivot.ln();
        a[k * n + k] = 1.0;
        (0..n).for_each(|j| a[k * n + j] /= pivot);
        for i in (0..n).filter(|i| *i != k) {
            let factor = std::mem::take(&mut a[i * n + k]);
            (0..n).for_each(|j| a[i * n + j] -= factor * a[k * n + j]);
        }
    }
    (a, log_det)
}

/// Latent Dirichlet allocation with symmetric priors, by the posterior mode of word probabilities, the topics of a document
/// integrated out by their variational posterior.
fn topics() -> Case<'static> {
    let (documents, words, k) = (100, 50, 4);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut shares = |n: usize, power: i32| -> Vec<f64> {
        let raw: Vec<f64> = (0..n).map(|_| rng.random::<f64>().powi(power)).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|x| x / sum).collect()
    };
    let truth: Vec<Vec<f64>> = (0..k).map(|_| shares(words, 6)).collect();
    let mixed: Vec<Vec<f64>> = (0..documents).map(|_| shares(k, 4)).collect();
    let mut counts = vec![0.0; documents * words];
    for (document, mix) in mixed.iter().enumerate() {
        for _ in 0..200 {
            let topic = pick(mix, rng.random());
            let word = pick(&truth[topic], rng.random());
            counts[document * words + word] += 1.0;
        }
    }
    let run = move |settings: &Settings, recorder: &Recorder| {
        let model = Lda { words, k, alpha: 0.5, eta: 1.1 };
        let start = |run: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(run as u64);
            let mut topics: Vec<f64> = (0..k * words).map(|_| 0.5 + rng.random::<f64>()).collect();
            for topic in topics.chunks_exact_mut(words) {
                let sum: f64 = topic.iter().sum();
                for p in topic {
                    *p /= sum;
                }
            }
            Ok(topics)
        };
        let rows = Rows::new(&counts, documents, words);
        fit_restarts(&model, rows, RUNS, start, settings, recorder).map(drop)
    };
    Case { name: "LDA, 100 documents, 50 words, K = 4".into(), run: Box::new(run) }
}

fn pick(shares: &[f64], mut at: f64) -> usize {
    shares
        .iter()
        .position(|share| {
            at -= share;
            at < 0.0
        })
        .unwrap_or(shares.len() - 1)
}

struct Lda {
    words: usize,
    k: usize,
    alpha: f64,
    eta: f64,
}

impl LatentModel for Lda {
    type Data<'a> = Rows<'a>;
    type Params = Vec<f64>; // k × words
    type Stats = Vec<f64>;
    type Scratch = ();

    fn new_stats(&self, _: &Vec<f64>) -> Vec<f64> {
        vec![0.0; self.k * self.words]
    }

    fn new_scratch(&self, _: &Vec<f64>) {}

    fn e_step(
        &self,
        topics: &Vec<f64>,
        rows: Rows<'_>,
        _: &mut Inference<'_>,
        stats: &mut Vec<f64>,
        (): &mut (),
    ) -> Result<f64, EStepError> {
        use elbo::dist::special::{digamma, ln_gamma};
        let (k, words) = (self.k, self.words);
        let mut bound = 0.0;
        for i in 0..rows.len() {
            let length: f64 = (0..words).map(|w| rows.get(i, w)).sum();
            // Cold starts, so that the bound is a function of the topics alone.
            let mut gamma = vec![self.alpha + length / k as f64; k];
            let weights = |gamma: &[f64]| -> Vec<f64> {
                let all = digamma(gamma.iter().sum());
                gamma.iter().map(|g| (digamma(*g) - all).exp()).collect()
            };
            let mut theta = weights(&gamma);
            for _ in 0..1000 {
                let mut next = vec![self.alpha; k];
                for w in (0..words).filter(|w| rows.get(i, *w) > 0.0) {
                    let sum: f64 = (0..k).map(|t| theta[t] * topics[t * words + w]).sum();
                    for (t, next) in next.iter_mut().enumerate() {
                        *next += rows.get(i, w) * theta[t] * topics[t * words + w] / sum;
                    }
                }
                let moved = next.iter().zip(&gamma).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                gamma = next;
                theta = weights(&gamma);
                if moved < 1e-12 * length {
                    break;
                }
            }
            let total: f64 = gamma.iter().sum();
            bound +=
                ln_gamma(k as f64 * self.alpha) - k as f64 * ln_gamma(self.alpha) - ln_gamma(total);
            for (t, gamma) in gamma.iter().enumerate() {
                bound += ln_gamma(*gamma) + (self.alpha - gamma) * theta[t].ln();
            }
            for w in (0..words).filter(|w| rows.get(i, *w) > 0.0) {
                let sum: f64 = (0..k).map(|t| theta[t] * topics[t * words + w]).sum();
                bound += rows.get(i, w) * sum.ln();
                for t in 0..k {
                    stats[t * words + w] += rows.get(i, w) * theta[t] * topics[t * words + w] / sum;
                }
            }
        }
        Ok(bound)
    }

    fn m_step(
        &self,
        _: &Vec<f64>,
        counts: &Vec<f64>,
        next: &mut Vec<f64>,
    ) -> Result<Repairs, EstimateError> {
        let infeasible = EstimateError::Infeasible { component: 0, what: "topic" };
        for (counts, next) in counts.chunks_exact(self.words).zip(next.chunks_exact_mut(self.words))
        {
            let sum: f64 = counts.iter().map(|n| n + self.eta - 1.0).sum();
            for (next, n) in next.iter_mut().zip(counts) {
                *next = (n + self.eta - 1.0) / sum;
                if *next <= 0.0 || *n < 0.0 {
                    return Err(infeasible);
                }
            }
        }
        Ok(Repairs::default())
    }

    fn write_natural(&self, topics: &Vec<f64>, _: &Vec<f64>, out: &mut Vec<f64>) -> bool {
        out.extend(topics.iter().map(|p| p.ln()));
        true
    }

    fn penalty(&self, topics: &Vec<f64>) -> f64 {
        topics.iter().map(|p| (self.eta - 1.0) * p.ln()).sum()
    }

    fn free_parameters(&self, _: &Vec<f64>) -> usize {
        self.k * (self.words - 1)
    }
}

/// The numeric columns of a shipped table, row by row, and how many they are.
fn read(name: &str, scale: f64) -> Result<(Vec<f64>, usize), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(format!("{name}.csv"));
    let text = std::fs::read_to_string(path)?;
    let (mut values, mut d) = (Vec::new(), 0);
    for line in text.lines().skip(1) {
        let before = values.len();
        values
            .extend(line.split(',').filter_map(|cell| cell.parse::<f64>().ok()).map(|x| x * scale));
        d = values.len() - before;
    }
    Ok((values, d))
}
