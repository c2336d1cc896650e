//! Made-up fits for tests of text and report.

use elbo::core::{Criterion, Standing, criteria};

use crate::summary::{Candidate, Component, Drawn, Kind, MixtureSummary, Scores, Start};

/// Uniform numbers that are the same on every machine (Numerical Recipes' 64-bit LCG).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn byte(&mut self) -> u8 {
        self.uniform();
        self.0.to_be_bytes()[0]
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A component by its weight, mean and lower triangular factor `L`, `Σ = LLᵀ`.
struct Shape {
    weight: f64,
    mean: Vec<f64>,
    factor: Vec<f64>,
}

impl Shape {
    fn component(&self) -> Component {
        let d = self.mean.len();
        let l = &self.factor;
        let covariance = (0..d * d)
            .map(|at| (0..d).map(|c| l[at / d * d + c] * l[at % d * d + c]).sum())
            .collect();
        Component { weight: self.weight, mean: self.mean.clone(), covariance }
    }

    fn draw(&self, random: &mut Random) -> Vec<f64> {
        let d = self.mean.len();
        let z: Vec<f64> = (0..d).map(|_| random.normal()).collect();
        (0..d)
            .map(|i| self.mean[i] + (0..=i).map(|j| self.factor[i * d + j] * z[j]).sum::<f64>())
            .collect()
    }

    fn log_density(&self, x: &[f64]) -> f64 {
        let d = self.mean.len();
        let mut z = vec![0.0; d];
        let mut sum = self.weight.ln();
        for i in 0..d {
            let solved: f64 = (0..i).map(|j| self.factor[i * d + j] * z[j]).sum();
            z[i] = (x[i] - self.mean[i] - solved) / self.factor[i * d + i];
            sum -= 0.5 * z[i] * z[i] + self.factor[i * d + i].ln();
        }
        sum
    }
}

/// Rows drawn from `shapes` with their responsibilities.
fn draw(shapes: &[Shape], n: usize, seed: u64) -> Drawn {
    let mut random = Random(seed);
    let mut drawn = Drawn { values: Vec::new(), responsibilities: Vec::new() };
    for _ in 0..n {
        let mut u = random.uniform();
        let which = shapes.iter().position(|shape| {
            u -= shape.weight;
            u < 0.0
        });
        let x = shapes[which.unwrap_or(0)].draw(&mut random);
        let logs: Vec<f64> = shapes.iter().map(|shape| shape.log_density(&x)).collect();
        let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|l| (l - max).exp()).sum();
        drawn.responsibilities.extend(logs.iter().map(|l| (l - max).exp() / sum));
        drawn.values.extend(x);
    }
    drawn
}

/// Starts that rise to `best` or to a lower optimum.
fn starts(best: f64, count: usize) -> Vec<Start> {
    let mut random = Random(7);
    let mut starts: Vec<_> = (0..count)
        .map(|_| {
            let reached_best = random.uniform() < 0.8;
            let end = if reached_best { best } else { best - 4.0 - 3.0 * random.uniform() };
            let rate = 0.8 + 0.15 * random.uniform();
            let (length, gap) = (40 + i32::from(random.byte()), 60.0 + 90.0 * random.uniform());
            let trace = (0..length)
                .map(|i| end - gap * (0.3 * rate.powi(i) + 0.7 * rate.powi(4 * i)))
                .collect();
            Start { trace, reached_best, kept: false, stopped: "aitken" }
        })
        .collect();
    let highest = |a: &&mut Start, b: &&mut Start| a.objective().total_cmp(&b.objective());
    starts.iter_mut().max_by(highest).expect("there are starts").kept = true;
    starts
}

fn candidate(
    components: usize,
    structure: &str,
    log_likelihood: f64,
    df: usize,
    n: f64,
) -> Candidate {
    let bic = -2.0 * log_likelihood + df as f64 * n.ln();
    let scores = Scores {
        log_likelihood,
        df,
        bic,
        aic: -2.0 * log_likelihood + 2.0 * df as f64,
        aicc: criteria::aicc(log_likelihood, df, n),
        icl: bic + 8.5 * (components as f64 - 1.0),
        held_out: None,
        converged: components != 5,
        stopped: if components == 5 { "max_iterations" } else { "aitken" },
        standing: Standing::Sound,
        reached: 20 - 3 * (components - 1),
        starts: 20,
    };
    Candidate { components, structure: structure.into(), chosen: false, outcome: Ok(scores) }
}

fn summary(
    source: &str,
    columns: &[&str],
    shapes: &[Shape],
    n: usize,
    structure: &str,
) -> MixtureSummary {
    MixtureSummary {
        source: source.into(),
        n,
        missing: 0,
        columns: columns.iter().map(ToString::to_string).collect(),
        kind: Kind::Gaussian,
        structure: format!("{structure} covariance"),
        components: shapes.iter().map(Shape::component).collect(),
        objective: "log-likelihood",
        criterion: Criterion::Bic,
        candidates: vec![candidate(shapes.len(), structure, -1126.326, 11, n as f64)],
        starts: starts(-1126.326, 20),
        warnings: vec![],
        run: vec![
            ("command".into(), "elbo fit mixture <data> & \"more\"".into()),
            ("seed".into(), "1".into()),
        ],
    }
}

/// Two columns, three tied components, a choice among many candidates, warnings.
pub(crate) fn faithful() -> (MixtureSummary, Drawn) {
    let factor = vec![0.2797, 0.0, 1.7166, 5.5516];
    let shape = |weight, a, b| Shape { weight, mean: vec![a, b], factor: factor.clone() };
    let shapes = [
        shape(0.1657, 3.7931, 77.521),
        shape(0.3564, 2.0376, 54.4912),
        shape(0.4779, 4.4632, 80.8334),
    ];
    let drawn = draw(&shapes, 272, 11);
    let mut summary = summary("data/faithful.csv", &["eruptions", "waiting"], &shapes, 272, "tied");
    summary.candidates.clear();
    for (structure, base, per_k) in
        [("full", 5, 6), ("tied", 5, 3), ("diagonal", 4, 5), ("spherical", 3, 4)]
    {
        let lag =
            [0.0, 3.0, 14.0, 300.0][[5, 5, 4, 3].iter().position(|b| *b == base).unwrap_or(0)];
        for k in 1..=6 {
            let log_likelihood =
                -1126.3 - lag - [170.0, 16.0, 0.0, -2.5, -4.0, -6.0][k - 1] + 0.4 * per_k as f64;
            summary.candidates.push(candidate(
                k,
                structure,
                log_likelihood,
                base + per_k * (k - 1),
                272.0,
            ));
        }
    }
    summary.candidates.sort_by_key(|candidate| candidate.components);
    summary.candidates[23].outcome =
        Err("a component's variance fell to 0; use --estimator map".into());
    let tied = |c: &&mut Candidate| c.components == 3 && c.structure == "tied";
    summary.candidates.iter_mut().find(tied).expect("it was listed").chosen = true;
    summary.warnings.push(
        "3 of 20 starts ended at a lower optimum; more --starts may find a better one".into(),
    );
    (summary, drawn)
}

/// One column, three components, no choice.
pub(crate) fn galaxies() -> (MixtureSummary, Drawn) {
    let shape = |weight, mean, sd| Shape { weight, mean: vec![mean], factor: vec![sd] };
    let shapes = [shape(0.085, 9.71, 0.42), shape(0.879, 21.3, 2.1), shape(0.036, 33.0, 0.92)];
    let mut summary = summary("galaxies.csv", &["velocity"], &shapes, 82, "full");
    summary.candidates[0].chosen = true;
    let drawn = draw(&shapes, 82, 3);
    (summary, drawn)
}

/// Six columns, four components, many rows of which only some are drawn, some values missing.
pub(crate) fn wide() -> (MixtureSummary, Drawn) {
    let d = 6;
    let mut random = Random(5);
    let shapes: Vec<_> = [0.4, 0.3, 0.2, 0.1]
        .into_iter()
        .map(|weight| {
            let mean = (0..d).map(|i| random.normal() * 2.2 * (i + 1) as f64 + 100.0).collect();
            let mut factor = vec![0.0; d * d];
            for i in 0..d {
                for j in 0..i {
                    factor[i * d + j] = 0.5 * random.normal() * (i + 1) as f64;
                }
                factor[i * d + i] = 0.8 * (i + 1) as f64;
            }
            Shape { weight, mean, factor }
        })
        .collect();
    let columns =
        ["length <cm>", "width & height", "mass", "age", "very long name of a column", "x6"];
    let mut summary = summary("wide.csv", &columns, &shapes, 1_000_000, "full");
    summary.candidates[0].chosen = true;
    summary.missing = 12_345;
    let mut drawn = draw(&shapes, 5000, 3);
    for at in (0..drawn.values.len()).step_by(97) {
        drawn.values[at] = f64::NAN;
    }
    (summary, drawn)
}

/// Counts.
pub(crate) fn counts() -> (MixtureSummary, Drawn) {
    let rates = [4.0, 15.0];
    let shape = |weight, rate: f64| Shape { weight, mean: vec![rate], factor: vec![rate.sqrt()] };
    let shapes = [shape(0.6, rates[0]), shape(0.4, rates[1])];
    let mut summary = summary("counts.csv", &["events"], &shapes, 300, "");
    summary.kind = Kind::Poisson;
    summary.candidates[0].chosen = true;
    let mut drawn = draw(&shapes, 300, 3);
    drawn.values.iter_mut().for_each(|x| *x = x.round().max(0.0));
    (summary, drawn)
}

/// One component on one point: nothing varies.
pub(crate) fn degenerate() -> (MixtureSummary, Drawn) {
    let shapes =
        [Shape { weight: 1.0, mean: vec![7.0, -1e9], factor: vec![1e-12, 0.0, 0.0, 1e-12] }];
    let mut summary = summary("point.csv", &["a", "b"], &shapes, 3, "full");
    summary.candidates[0].chosen = true;
    summary.candidates[0].outcome = Err("not finite".into());
    summary.starts = vec![Start {
        trace: vec![f64::INFINITY],
        reached_best: true,
        kept: true,
        stopped: "max_iterations",
    }];
    (summary, Drawn { values: [7.0, -1e9].repeat(3), responsibilities: vec![1.0; 3] })
}
