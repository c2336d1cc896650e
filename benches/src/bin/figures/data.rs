//! The data of the figures, fits of them, and what the fits tell.

use std::path::Path;

use elbo::{
    core::{
        Acceleration, Draw, MaximumLikelihood, Optimum, PathPoint, Settings, Stopped, Trajectory,
    },
    dist::{Gaussian, MultivariateGaussian},
    mixture::{CovarianceStructure, Fitted, Mixture, MixtureModel, MixtureParams, Rows, Start},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{Outcome, plain};

type Params = MixtureParams<Gaussian, MaximumLikelihood, MaximumLikelihood>;
type RowsParams = MixtureParams<MultivariateGaussian, MaximumLikelihood, MaximumLikelihood>;

/// Two ends are one optimum if they agree to this many nats per observation.
const SAME: f64 = 1e-7;

/// E-steps of all runs, the short ones included.
fn e_steps_of_search(
    table: &Table,
    fitted: &Fitted<MultivariateGaussian>,
    starts: usize,
    settings: &Settings,
) -> Outcome<usize> {
    let Some(short) = settings.short_runs else { return Ok(e_steps(fitted)) };
    let reports = fitted.runs.ends.iter().filter_map(|end| end.outcome.as_ref().ok());
    let long: usize = reports
        .filter(|report| report.stopped != Stopped::Outrun)
        .map(|report| report.e_steps)
        .sum();
    if short.iterations == 0 {
        return Ok(long + starts);
    }
    let settings =
        Settings { short_runs: None, max_iterations: short.iterations, ..settings.clone() };
    Ok(long + e_steps(&table.fit(4, starts, &settings)?))
}

pub(crate) fn e_steps<F>(fitted: &Fitted<F>) -> usize {
    let reports = fitted.runs.ends.iter().filter_map(|end| end.outcome.as_ref().ok());
    reports.map(|report| report.e_steps).sum()
}

/// The best sound objective.
pub(crate) fn best_of<F>(all: &[Fitted<F>]) -> f64 {
    all.iter()
        .filter_map(|fitted| fitted.runs.optima.first())
        .map(|optimum| optimum.objective)
        .fold(f64::MIN, f64::max)
}

/// How many runs ended at this objective, sound or not.
pub(crate) fn ends_at<F>(fitted: &Fitted<F>, objective: f64) -> usize {
    let within = SAME * fitted.report.observations;
    let reports = fitted.runs.ends.iter().filter_map(|end| end.outcome.as_ref().ok());
    reports.filter(|report| (report.objective - objective).abs() <= within).count()
}

/// How many runs met this objective.
pub(crate) fn meets<F>(fitted: &Fitted<F>, best: f64) -> usize {
    let within = SAME * fitted.report.observations;
    let met = |optimum: &&Optimum| optimum.objective >= best - within;
    fitted.runs.optima.iter().filter(met).map(|optimum| optimum.runs).sum()
}

/// A data set that ships with the repository.
pub(crate) struct Table {
    values: Vec<f64>,
    d: usize,
}

impl Table {
    pub(crate) fn read(name: &str) -> Outcome<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../data/{name}.csv"));
        let text = std::fs::read_to_string(path)?;
        let d = text.lines().next().map_or(0, |names| names.split(',').count());
        let cells = text.lines().skip(1).flat_map(|line| line.split(','));
        let values = cells.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { values, d })
    }

    /// Nine round groups of 100 on a square grid, 5 standard deviations apart.
    pub(crate) fn grid() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let standard = Gaussian::new(0.0, 1.0).expect("a Gaussian");
        let noise = standard.draw(1800, &mut rng);
        let center = |i: usize| [i / 3 % 3, i % 3].map(|place| 5.0 * place as f64);
        let values = noise.chunks_exact(2).enumerate().flat_map(|(i, pair)| {
            let center = center(i);
            [center[0] + pair[0], center[1] + pair[1]]
        });
        Self { values: values.collect(), d: 2 }
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.values.len() / self.d, self.d)
    }

    pub(crate) fn spread(&self, k: usize, runs: usize) -> Start<MultivariateGaussian> {
        let origin = vec![0.0; self.d];
        let template = MultivariateGaussian::standard(CovarianceStructure::VVV, origin);
        Start::Spread { k, runs, template }
    }

    /// The path of each method from one start.
    pub(crate) fn paths(
        &self,
        k: usize,
        seed: u64,
        methods: &[Acceleration],
    ) -> Outcome<Vec<Vec<PathPoint>>> {
        let mut paths = Vec::new();
        for acceleration in methods {
            let settings = Settings { acceleration: *acceleration, seed, ..plain(1e-16) };
            let trajectory = Trajectory::new(|_: &RowsParams| Vec::new());
            let start = self.spread(k, 1);
            MixtureModel::ml().fit(self.rows().into(), &start, &settings, &trajectory)?;
            paths.push(trajectory.path(0));
        }
        Ok(paths)
    }

    /// A hundred searches for four components from so many starts each, and their E-steps on average.
    pub(crate) fn searches(
        &self,
        starts: usize,
        settings: &Settings,
    ) -> Outcome<(f64, Vec<Fitted<MultivariateGaussian>>)> {
        let (mut cost, mut all) = (0, Vec::new());
        for seed in 1000..1100 {
            let settings = Settings { seed, ..settings.clone() };
            let fitted = self.fit(4, starts, &settings)?;
            cost += e_steps_of_search(self, &fitted, starts, &settings)?;
            all.push(fitted);
        }
        Ok((cost as f64 / all.len() as f64, all))
    }

    pub(crate) fn fit(
        &self,
        k: usize,
        runs: usize,
        settings: &Settings,
    ) -> Outcome<Fitted<MultivariateGaussian>> {
        Ok(MixtureModel::ml().fit(self.rows().into(), &self.spread(k, runs), settings, &())?)
    }
}

/// Numbers from Gaussians of variance 1 with these means, so many each.
pub(crate) fn simulated(groups: &[(f64, usize)]) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let standard = Gaussian::new(0.0, 1.0).expect("a Gaussian");
    let mut values = Vec::new();
    for (mean, n) in groups {
        values.extend(standard.draw(*n, &mut rng).into_iter().map(|x| x + mean));
    }
    // Groups in turn, so that no piece of the data is one group.
    let n = values.len();
    (0..n).map(|i| values[i * 7_919 % n]).collect()
}

pub(crate) fn univariate(weights: &[f64], means: &[f64]) -> Outcome<Mixture<Gaussian>> {
    let components =
        means.iter().map(|mean| Gaussian::new(*mean, 1.0)).collect::<Result<_, _>>()?;
    Ok(Mixture::new(weights.to_vec(), components)?)
}

/// A fit, and what a number of the mixture was on the way.
pub(crate) fn traced(
    values: &[f64],
    start: &Start<Gaussian>,
    settings: &Settings,
    number: impl Fn(&Mixture<Gaussian>) -> f64 + Sync,
) -> Outcome<(Vec<PathPoint>, Fitted<Gaussian>)> {
    let trajectory = Trajectory::new(|params: &Params| vec![number(&params.to_mixture())]);
    let fitted = MixtureModel::ml().fit(values.into(), start, settings, &trajectory)?;
    Ok((trajectory.path(0), fitted))
}
