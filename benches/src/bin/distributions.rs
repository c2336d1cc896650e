//! Seconds that the log densities and the fit of one distribution take on given data, for comparisons with other programs.
//!
//! ```text
//! distributions FOLDER FAMILY PARAMETER…
//! ```
//!
//! reads `FAMILY.x.f64`, little-endian doubles (rows of `d` for families of rows), on one thread. Prints one JSON line:
//! processor seconds of one pass of log densities under the given parameters, of a fit from a start that has not seen the data
//! with the log-likelihood reached, and of the statistics and their maximum alone where one pass is all there is to do; medians
//! all, and mean log-likelihoods.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::error::Error;

use elbo::{
    core::{Batch, Family, FitError, Rows, Weighted, fit_single},
    dist::{
        Bernoulli, Beta, BetaBinomial, Binomial, CovarianceStructure, Dirichlet, Exponential,
        Gamma, Gaussian, Geometric, InverseGamma, Laplace, LogNormal, Multinomial,
        MultivariateGaussian, NegativeBinomial, Number, Poisson, StudentT, Uniform, VonMises,
        Weibull,
    },
};
use elbo_benches::time;

type Outcome = Result<(), Box<dyn Error>>;

/// Median processor seconds of a few runs, and what the last one gave.
fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> (f64, T) {
    let (first, mut out) = time(&mut work);
    let mut seconds = vec![first.cpu];
    for _ in 1..runs {
        let (next, last) = time(&mut work);
        seconds.push(next.cpu);
        out = last;
    }
    seconds.sort_by(f64::total_cmp);
    (seconds[runs / 2], out)
}

fn report<'a, F: Family + 'a>(family: &F, start: &F, batch: F::Batch<'a>) -> Outcome {
    let weights = vec![1.0; batch.len()];
    let (seconds, estimated) = median(5, || {
        let (mut stats, mut next) = (start.new_stats(), start.clone());
        start.observe(&mut stats, batch, &weights);
        start.maximize(&stats, &mut next).map(|_| next)
    });
    let closed = estimated.ok().map(|estimated| (seconds, estimated));
    report_fit(family, batch, closed, || -> Result<F, FitError> {
        Ok(fit_single(start.clone(), Weighted::uniform(batch))?.params)
    })
}

fn report_fit<'a, F: Family + 'a, E: Into<Box<dyn Error>>>(
    family: &F,
    batch: F::Batch<'a>,
    closed: Option<(f64, F)>,
    fit: impl Fn() -> Result<F, E>,
) -> Outcome {
    let n = batch.len();
    let mut out = vec![0.0; n];
    family.log_density_into(batch, &mut out); // the first pass pays for the memory
    let (density, ()) = median(7, || family.log_density_into(batch, &mut out));
    let given = out.iter().sum::<f64>() / n as f64;
    let (fitting, fitted) = median(5, fit);
    fitted.map_err(Into::into)?.log_density_into(batch, &mut out);
    let fitted = out.iter().sum::<f64>() / n as f64;
    // One step is all there is to do if it is as good as the whole fit.
    let closed = closed.and_then(|(seconds, estimated)| {
        estimated.log_density_into(batch, &mut out);
        let reached = out.iter().sum::<f64>() / n as f64;
        (reached >= fitted - 1e-12 * (1.0 + fitted.abs())).then_some(seconds)
    });
    let closed = closed.map_or("null".to_owned(), |seconds| format!("{seconds:.6}"));
    println!(
        r#"{{"log_density": {density:.6}, "mean_given": {given:.13}, "fit": {fitting:.6}, "closed": {closed}, "mean_fitted": {fitted:.13}}}"#
    );
    Ok(())
}

/// A family of single numbers.
#[allow(clippy::needless_pass_by_value, reason = "callers make them on the spot")]
fn single<V: Number, F>(data: &[f64], family: F, start: F) -> Outcome
where
    F: for<'a> Family<Batch<'a> = &'a [V]>,
{
    let data: Option<Vec<V>> = data.iter().map(|x| V::from_f64(*x)).collect();
    report(&family, &start, &data.ok_or(V::NEEDED)?)
}

fn rows<F>(data: &[f64], d: usize, family: &F, start: &F) -> Outcome
where
    F: for<'a> Family<Batch<'a> = Rows<'a>>,
{
    report(family, start, Rows::new(data, data.len() / d, d))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of trials")]
fn run(family: &str, p: &[f64], x: &[f64]) -> Outcome {
    let (a, b) = (p[0], *p.get(1).unwrap_or(&1.0));
    match family {
        "bernoulli" => single(x, Bernoulli::new(a)?, Bernoulli::new(0.5)?),
        "beta" => single(x, Beta::new(a, b)?, Beta::new(1.0, 1.0)?),
        "beta_binomial" => {
            let of = |a, b| BetaBinomial::new(p[2] as u64, a, b);
            single(x, of(a, b)?, of(1.0, 1.0)?)
        }
        "binomial" => single(x, Binomial::new(a as u64, b)?, Binomial::new(a as u64, 0.5)?),
        "dirichlet" => {
            rows(x, p.len(), &Dirichlet::new(p.to_vec())?, &Dirichlet::symmetric(p.len(), 1.0)?)
        }
        "exponential" => single(x, Exponential::new(a)?, Exponential::new(1.0)?),
        "gamma" => single(x, Gamma::new(a, b)?, Gamma::new(1.0, 1.0)?),
        "gaussian" => single(x, Gaussian::new(a, b)?, Gaussian::new(0.0, 1.0)?),
        "geometric" => single(x, Geometric::new(a)?, Geometric::new(0.5)?),
        "inverse_gamma" => single(x, InverseGamma::new(a, b)?, InverseGamma::new(1.0, 1.0)?),
        "laplace" => {
            // its exact estimator, a selection; EM is for mixtures
            let weights = vec![1.0; x.len()];
            report_fit(&Laplace::new(a, b)?, x, None, || Laplace::estimate(x, &weights))
        }
        "log_normal" => single(x, LogNormal::new(a, b)?, LogNormal::new(0.0, 1.0)?),
        "multinomial" => {
            let uniform = vec![1.0 / p.len() as f64; p.len()];
            rows(x, p.len(), &Multinomial::new(p.to_vec())?, &Multinomial::new(uniform)?)
        }
        "multivariate_gaussian" => multivariate_gaussian(p, x),
        "negative_binomial" => {
            single(x, NegativeBinomial::new(a, b)?, NegativeBinomial::new(1.0, 1.0)?)
        }
        "poisson" => single(x, Poisson::new(a)?, Poisson::new(1.0)?),
        "student_t" => single(x, StudentT::new(a, b, p[2])?, StudentT::new(0.0, 1.0, 10.0)?),
        "uniform" => report_fit(&Uniform::new(a, b)?, x, None, || Uniform::estimate(x)),
        "von_mises" => single(x, VonMises::new(a, b)?, VonMises::new(0.0, 1.0)?),
        "weibull" => single(x, Weibull::new(a, b)?, Weibull::new(1.0, 1.0)?),
        _ => Err(format!("no family is called {family}").into()),
    }
}

/// Parameters: `d` means, then the covariance row by row.
fn multivariate_gaussian(p: &[f64], x: &[f64]) -> Outcome {
    let d = (1..=p.len()).find(|d| d + d * d >= p.len()).ok_or("no such d")?;
    let structure = CovarianceStructure::VVV;
    let given = MultivariateGaussian::new(structure, p[..d].to_vec(), &p[d..])?;
    rows(x, d, &given, &MultivariateGaussian::standard(structure, vec![0.0; d]))
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, family, parameters @ ..] = &arguments[..] else {
        return Err("usage: FOLDER FAMILY PARAMETER…".into());
    };
    let parameters = parameters.iter().map(|x| x.parse()).collect::<Result<Vec<f64>, _>>()?;
    let bytes = std::fs::read(format!("{folder}/{family}.x.f64"))?;
    let mut data = Vec::with_capacity(bytes.len() / 8);
    for chunk in bytes.chunks_exact(8) {
        data.push(f64::from_le_bytes(chunk.try_into()?));
    }
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    if parameters.is_empty() {
        return Err("parameters are needed".into());
    }
    run(family, &parameters, &data)
}
