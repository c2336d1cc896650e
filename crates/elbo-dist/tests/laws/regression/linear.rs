//! Linear regression with Gaussian errors.

use elbo_core::{DataError, EstimateError, Family, FlatParameters, Rows, Statistics};
use elbo_dist::{LinearGaussian, LinearGaussianStats, MultivariateGaussian};
use elbo_laws::{TOLERANCE, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use rand::RngExt;

use super::{Pairs, fitted};
use crate::rng;

/// Largest distance of covariates and responses from zero, in spreads of the data.
const RANGE: f64 = 1e3;

/// What a regression is like: covariates, responses, independent errors, an intercept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) p: usize,
    pub(crate) q: usize,
    pub(crate) diagonal: bool,
    pub(crate) intercept: bool,
}

pub(crate) const SIMPLE: Shape = Shape { p: 1, q: 1, diagonal: false, intercept: true };
pub(crate) const FULL: Shape = Shape { p: 2, q: 2, diagonal: false, intercept: true };
pub(crate) const DIAGONAL: Shape = Shape { p: 3, q: 2, diagonal: true, intercept: true };
pub(crate) const HOMOGENEOUS: Shape = Shape { p: 2, q: 3, diagonal: false, intercept: false };

/// `L Lᵀ` with standard deviations from `e⁻²` to `e²` and moderate correlations; or its diagonal.
pub(crate) fn covariance(q: usize, diagonal: bool, numbers: &[f64]) -> Vec<f64> {
    let scale = |o: usize| (2.0 * numbers[o]).exp();
    if diagonal {
        return (0..q).map(|o| scale(o).powi(2)).collect();
    }
    let l = |o: usize, e: usize| match o.cmp(&e) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => scale(o),
        std::cmp::Ordering::Greater => 0.7 * numbers[o] * scale(o),
    };
    let element = |o: usize, e: usize| (0..q).map(|a| l(o, a) * l(e, a)).sum();
    (0..q * q).map(|place| element(place / q, place % q)).collect()
}

/// Functions through points up to `range` away, with slopes up to 2.
pub(crate) fn line(shape: Shape, range: f64) -> impl Strategy<Value = LinearGaussian> {
    let Shape { p, q, diagonal, intercept } = shape;
    let unit = || prop_oneof![1 => Just(0.0), 4 => -1.0..1.0_f64];
    (vec(unit(), p), vec(unit(), q), vec(-2.0..2.0_f64, p * q), vec(-1.0..1.0_f64, q)).prop_map(
        move |(center, value, slopes, numbers)| {
            let covariance = covariance(q, diagonal, &numbers);
            let far = |v: Vec<f64>| v.into_iter().map(|x| range * x).collect();
            if intercept {
                LinearGaussian::centered(far(center), far(value), slopes, &covariance).unwrap()
            } else {
                LinearGaussian::without_intercept(q, slopes, &covariance).unwrap()
            }
        },
    )
}

/// `size` rows of unit spread about common offsets; `zeros` allows weights of zero, though never for the first row.
pub(crate) fn rows(
    Shape { p, q, .. }: Shape,
    range: f64,
    size: impl Strategy<Value = usize>,
    zeros: bool,
) -> impl Strategy<Value = WeightedSample<Pairs>> {
    let offsets = (vec(-range..=range, p), vec(-range..=range, q));
    (offsets, size).prop_flat_map(move |((x_at, y_at), n)| {
        let weight = prop_oneof![4 => 0.1..2.0, u32::from(zeros) => Just(0.0)];
        let cells = (vec(-1.0..1.0_f64, n * p), vec(-1.0..1.0_f64, n * q), vec(weight, n));
        let (x_at, y_at) = (x_at.clone(), y_at.clone());
        (cells, 0.1..2.0).prop_map(move |((x, y, mut weights), first)| {
            weights[0] = first;
            let shift = |numbers: Vec<f64>, at: &[f64]| {
                numbers.iter().zip(at.iter().cycle()).map(|(x, c)| x + c).collect()
            };
            WeightedSample::new(Pairs::new(shift(x, &x_at), p, shift(y, &y_at), q), weights)
        })
    })
}

/// Some rows of weight zero; at times more than one block.
fn sample(shape: Shape) -> impl Strategy<Value = WeightedSample<Pairs>> {
    rows(shape, RANGE, prop_oneof![9 => 1..40_usize, 1 => 260..300_usize], true)
}

/// Enough rows for an estimate, near enough to a start for its sums.
fn estimable(shape: Shape) -> impl Strategy<Value = WeightedSample<Pairs>> {
    rows(shape, if shape.intercept { 10.0 } else { 1.0 }, 12..40_usize, false)
}

fn extreme(Shape { p, q, .. }: Shape) -> impl Strategy<Value = Pairs> {
    let wild = [f64::MAX, f64::MIN, f64::INFINITY, f64::NAN, 0.0, 1.0];
    let cells = move |d: usize, shift: usize| -> Vec<f64> {
        (0..6 * d).map(|i| wild[(i + i / 6 + shift) % 6]).collect()
    };
    (0..6_usize).prop_map(move |shift| Pairs::new(cells(p, shift), p, cells(q, 2 * shift), q))
}

macro_rules! laws {
    ($name:ident, $shape:expr) => {
        mod $name {
            use super::*;

            mod statistics {
                use super::*;

                elbo_laws::statistics_laws!(
                    (line($shape, RANGE), sample($shape)).prop_map(|(line, s)| s.stats(&line))
                );
            }

            mod family {
                use super::*;

                elbo_laws::family_laws!(line($shape, RANGE), sample($shape), extreme($shape));
            }

            proptest! {
                #[test]
                fn coordinates_give_the_distribution_back(
                    line in line($shape, RANGE), sample in sample($shape)
                ) {
                    elbo_laws::parameters::coordinates_give_the_distribution_back(
                        &line, &sample.data, 1.0,
                    );
                }

                #[test]
                fn no_neighbor_is_more_likely(
                    start in line($shape, 10.0), sample in estimable($shape)
                ) {
                    elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
                }

                #[test]
                fn the_gradient_vanishes_at_the_maximum(
                    start in line($shape, 10.0), sample in estimable($shape)
                ) {
                    let dimensions = start.free_parameters(1);
                    elbo_laws::family::the_gradient_vanishes_at_the_maximum(
                        &start, &sample, dimensions, moved,
                    );
                }

                #[test]
                fn estimates_agree_with_the_two_pass_formulas(
                    start in line($shape, 10.0), sample in estimable($shape)
                ) {
                    agree_with_two_passes($shape, &start, &sample);
                }

                #[test]
                fn origins_do_not_matter(
                    a in line($shape, RANGE), b in line($shape, RANGE),
                    sample in sample($shape), cut in 0..40_usize
                ) {
                    let (left, right): (Vec<usize>, Vec<usize>) =
                        (0..sample.len()).partition(|i| *i < cut);
                    let (left, right) = (sample.pick(&left).stats(&a), sample.pick(&right).stats(&b));
                    let mut merged = left.clone();
                    merged.merge(&right);
                    let (of_a, of_b) = (sample.stats(&a), sample.stats(&b));
                    let inputs = [&left, &right, &of_a, &of_b];
                    elbo_laws::statistics::assert_same(&merged, &of_a, &inputs);
                    elbo_laws::statistics::assert_same(&of_b, &of_a, &inputs);
                }

                #[test]
                fn missing_responses_are_skipped(
                    line in line($shape, RANGE), sample in sample($shape), at in 0..40_usize
                ) {
                    let at = at.min(sample.len());
                    let mut holey = sample.clone();
                    let (p, q) = ($shape.p, $shape.q);
                    holey.data.x.splice(at * p..at * p, vec![1.0; p]);
                    holey.data.y.splice(at * q..at * q, vec![f64::NAN; q]);
                    holey.weights.insert(at, 1.5);
                    let (with, without) = (holey.stats(&line), sample.stats(&line));
                    elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
                    prop_assert_eq!(holey.log_densities(&line)[at], 0.0);
                    let (x, y) = elbo_laws::Sample::batch(&holey.data);
                    prop_assert_eq!(line.check((x, y)), Ok(()));
                }

                #[test]
                fn densities_are_those_of_a_gaussian_about_the_plane(
                    line in line($shape, RANGE), sample in sample($shape)
                ) {
                    let q = $shape.q;
                    let structure = elbo_dist::CovarianceStructure::VVV;
                    for ((x, y), score) in sample.data.rows().zip(sample.log_densities(&line)) {
                        let mean = line.predict(x);
                        let gaussian =
                            MultivariateGaussian::new(structure, mean, &line.covariance()).unwrap();
                        // The residual rounds like terms of 10 RANGE, which the smallest deviation, e⁻² but for
                        // correlation, turns into standard units.
                        let u = 10.0 * RANGE * 20.0;
                        let z = gaussian.mahalanobis_squared(y).sqrt();
                        assert_close(score, gaussian.log_density(y), 10.0 + z * z + z * u);
                        assert_close(line.log_density(x, y), gaussian.log_density(y), 10.0 + z * z + z * u);
                        assert_close(line.entropy(), gaussian.entropy(), 10.0 * q as f64);
                    }
                }

                #[test]
                fn fitting_draws_recovers_the_distribution(
                    truth in line($shape, RANGE), seed in any::<u64>()
                ) {
                    let mut rng = rng(seed);
                    let (mut x, mut y) = (Vec::new(), Vec::new());
                    for _ in 0..500 {
                        let row: Vec<f64> =
                            truth.center().iter().map(|c| c + rng.random_range(-1.0..1.0)).collect();
                        y.extend(truth.sample_given(&row, &mut rng));
                        x.extend(row);
                    }
                    let draws = Pairs::new(x, $shape.p, y, $shape.q);
                    elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &draws);
                }

                #[test]
                fn divergences_are_what_draws_average_to(
                    a in line($shape, 1.0), b in line($shape, 1.0), x in vec(-1.0..1.0_f64, $shape.p)
                ) {
                    let divergence = a.kl_divergence_given(&x, &b);
                    prop_assert!(divergence >= -1e-12, "{}", divergence);
                    prop_assert!(a.kl_divergence_given(&x, &a).abs() <= 1e-12);
                    let mut rng = rng(1);
                    let n = 400;
                    let gaps: Vec<f64> = (0..n)
                        .map(|_| {
                            let y = a.sample_given(&x, &mut rng);
                            a.log_density(&x, &y) - b.log_density(&x, &y)
                        })
                        .collect();
                    let mean = gaps.iter().sum::<f64>() / f64::from(n);
                    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / f64::from(n);
                    // Squares of Gaussians have long tails: eight standard errors.
                    let error = 8.0 * (variance / f64::from(n)).sqrt() + 1e-9;
                    prop_assert!((divergence - mean).abs() <= error, "{} {} {}", divergence, mean, error);
                }
            }
        }
    };
}
laws!(simple, SIMPLE);
laws!(full, FULL);
laws!(diagonal, DIAGONAL);
laws!(homogeneous, HOMOGENEOUS);

/// The regression `step` away in coordinates of about one standard deviation each: with `Σ = L Lᵀ`, values change by
/// `L s`, slopes by `L S`, and `L` becomes `L D`, `D` lower triangular with exponentials on its diagonal.
pub(crate) fn moved(best: &LinearGaussian, step: &[f64]) -> LinearGaussian {
    let mut flat = Vec::new();
    best.write_unconstrained(&mut flat);
    let (p, q) = (best.covariates(), best.outputs());
    let of_value = if best.has_intercept() { q } else { 0 };
    let (means, factors) = flat.split_at_mut(of_value + p * q);
    let (mean_steps, factor_steps) = step.split_at(of_value + p * q);
    if best.is_diagonal() {
        let scale: Vec<f64> = factors.iter().map(|l| l.exp()).collect();
        for (o, scale) in scale.iter().enumerate() {
            let places = (0..of_value / q).map(|_| o).chain((0..p).map(|a| of_value + o * p + a));
            places.for_each(|place| means[place] += scale * mean_steps[place]);
        }
        factors.iter_mut().zip(factor_steps).for_each(|(l, step)| *l += step);
        return best.with_unconstrained(&mut &flat[..]);
    }
    let place = |o: usize, e: usize| o * (o + 1) / 2 + e;
    let matrix = |numbers: &[f64]| -> Vec<Vec<f64>> {
        let element = |o: usize, e: usize| match o.cmp(&e) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => numbers[place(o, o)].exp(),
            std::cmp::Ordering::Greater => numbers[place(o, e)],
        };
        (0..q).map(|o| (0..q).map(|e| element(o, e)).collect()).collect()
    };
    let (l, d) = (matrix(factors), matrix(factor_steps));
    for (o, e) in (0..q * q).map(|place| (place / q, place % q)) {
        if best.has_intercept() {
            means[o] += l[o][e] * mean_steps[e];
        }
        for a in 0..p {
            means[of_value + o * p + a] += l[o][e] * mean_steps[of_value + e * p + a];
        }
        if e <= o {
            let product: f64 = (0..q).map(|k| l[o][k] * d[k][e]).sum();
            factors[place(o, e)] = if e == o { product.ln() } else { product };
        }
    }
    best.with_unconstrained(&mut &flat[..])
}

/// Steps from 10⁻⁶ to 1 along every coordinate.
pub(crate) fn neighbors(best: &LinearGaussian) -> Vec<LinearGaussian> {
    let dimensions = best.free_parameters(1);
    let mut neighbors = Vec::new();
    for size in [1e-6, 1e-3, 0.1, 1.0, -1e-6, -1e-3, -0.1, -1.0] {
        for i in 0..dimensions {
            let mut step = vec![0.0; dimensions];
            step[i] = size;
            neighbors.push(moved(best, &step));
        }
    }
    neighbors
}

/// `A x = b` by elimination with pivots, one column of `b` after the other.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = a.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|r, s| a[*r][i].abs().total_cmp(&a[*s][i].abs())).unwrap();
        a.swap(i, pivot);
        for b in &mut b {
            b.swap(i, pivot);
        }
        for row in 0..n {
            if row != i {
                let factor = a[row][i] / a[i][i];
                let from = a[i].clone();
                a[row].iter_mut().zip(&from).for_each(|(x, y)| *x -= factor * y);
                for b in &mut b {
                    b[row] -= factor * b[i];
                }
            }
        }
    }
    for b in &mut b {
        b.iter_mut().enumerate().for_each(|(i, x)| *x /= a[i][i]);
    }
    b
}

/// Means first, then moments about them, then the normal equations, then the residuals themselves.
fn agree_with_two_passes(shape: Shape, start: &LinearGaussian, sample: &WeightedSample<Pairs>) {
    let Shape { p, q, intercept, diagonal } = shape;
    let total = sample.total_weight();
    let weighted = |value: &dyn Fn(&[f64], &[f64]) -> f64| -> f64 {
        sample.data.rows().zip(&sample.weights).map(|((x, y), w)| w * value(x, y)).sum::<f64>()
            / total
    };
    let mean =
        |value: &dyn Fn(&[f64], &[f64]) -> f64| if intercept { weighted(value) } else { 0.0 };
    let x_mean: Vec<f64> = (0..p).map(|a| mean(&|x, _| x[a])).collect();
    let y_mean: Vec<f64> = (0..q).map(|o| mean(&|_, y| y[o])).collect();
    let xx = (0..p)
        .map(|a| {
            (0..p).map(|b| weighted(&|x, _| (x[a] - x_mean[a]) * (x[b] - x_mean[b]))).collect()
        })
        .collect();
    let xy = (0..q)
        .map(|o| {
            (0..p).map(|a| weighted(&|x, y| (x[a] - x_mean[a]) * (y[o] - y_mean[o]))).collect()
        })
        .collect();
    let slopes = solve(xx, xy);
    let residual = |o: usize, x: &[f64], y: &[f64]| {
        y[o] - y_mean[o] - (0..p).map(|a| slopes[o][a] * (x[a] - x_mean[a])).sum::<f64>()
    };
    let fit = fitted(start, sample);
    // Twelve points in a cube have second moments of condition below 10⁴; both ways of solving lose that much.
    let size = 1e4;
    for (place, slope) in fit.coefficients().iter().enumerate() {
        assert_close(*slope, slopes[place / p][place % p], size);
    }
    for (o, mean) in fit.predict(&x_mean).into_iter().enumerate() {
        assert_close(mean, y_mean[o], size);
    }
    let covariance = fit.covariance();
    for (o, second) in (0..q * q).map(|place| (place / q, place % q)) {
        let expected = if diagonal && o != second {
            0.0
        } else {
            weighted(&|x, y| residual(o, x, y) * residual(second, x, y))
        };
        assert_close(covariance[o * q + second], expected, size);
    }
}

/// statsmodels 0.15.0 with numpy 2.4: `sm.WLS(y, sm.add_constant(x), weights=w).fit()`, `params` and
/// `(w * resid**2).sum() / w.sum()`.
#[test]
fn estimates_agree_with_statsmodels() {
    let x = [0.5, 1.2, 1.5, -0.3, 2.5, 0.8, 3.0, -1.1, 4.2, 0.4, 5.1, -0.6, 6.3, 1.0, 7.7, 0.1];
    let y = [1.1, 2.9, 3.2, 5.6, 5.9, 8.3, 8.4, 11.0];
    let weights = vec![1.0, 2.0, 0.5, 1.0, 1.5, 1.0, 0.25, 1.0];
    let sample = WeightedSample::new(Pairs::new(x.to_vec(), 2, y.to_vec(), 1), weights);
    let fit = fitted(&LinearGaussian::standard(2, 1), &sample);
    assert_close(fit.intercept()[0], 0.853_485_562_011_300_4, 100.0);
    assert_close(fit.coefficients()[0], 1.318_466_030_340_653, 100.0);
    assert_close(fit.coefficients()[1], -0.674_611_196_105_236_6, 100.0);
    assert_close(fit.covariance()[0], 0.055_692_086_728_176_86, 100.0);
}

#[test]
fn far_data_lose_nothing() {
    // Powers of two shift without rounding, so that near and far data are the same but for the offset.
    let shift = 2.0_f64.powi(27);
    let x: Vec<f64> = (0..16).map(|i| f64::from((i * 7) % 16) / 16.0).collect();
    let y: Vec<f64> =
        x.iter().enumerate().map(|(i, x)| 3.0 * x + ((i * 5) % 4) as f64 / 8.0).collect();
    let moved = |v: &[f64]| v.iter().map(|v| v + shift).collect::<Vec<f64>>();
    let near = WeightedSample::new(Pairs::new(x.clone(), 1, y.clone(), 1), vec![1.0; 16]);
    let far = WeightedSample::new(Pairs::new(moved(&x), 1, moved(&y), 1), vec![1.0; 16]);
    let start = LinearGaussian::standard(1, 1);
    let start_far = start.moved_to(elbo_laws::Sample::batch(&far.data), 3).unwrap();
    let (near, far) = (fitted(&start, &near), fitted(&start_far, &far));
    // Mean and values of far data are rounded to 2²⁷ ε.
    let slope = (near.coefficients()[0] - far.coefficients()[0]).abs();
    assert!(slope < 1e-7, "slopes differ by {slope:e}");
    assert!((near.covariance()[0] - far.covariance()[0]).abs() < 1e-8);
    assert!((near.predict(&[0.5])[0] + shift - far.predict(&[0.5 + shift])[0]).abs() < 1e-7);
}

#[test]
fn responses_that_are_almost_determined_keep_their_variance() {
    // Errors are 10⁻⁹ of the signal: their variance is 10⁻¹⁸ of the response's, which power sums would lose.
    let x: Vec<f64> = (0..32).map(f64::from).collect();
    let error = |i: usize| if i.is_multiple_of(2) { 1e-8 } else { -1e-8 };
    let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| 2.0 * x + error(i)).collect();
    let sample = WeightedSample::new(Pairs::new(x, 1, y, 1), vec![1.0; 32]);
    let start = LinearGaussian::new(vec![0.0], vec![2.0], &[1.0]).unwrap();
    let variance = fitted(&start, &sample).covariance()[0];
    // Values of 60 round to 10⁻¹⁴, a millionth of the errors.
    assert!((variance / 1e-16 - 1.0).abs() < 0.01, "{variance:e}");
}

#[test]
fn estimates_without_an_answer_name_the_column() {
    let estimate = |x: Vec<f64>, p: usize, y: Vec<f64>, q: usize| {
        let n = y.len() / q;
        let start = LinearGaussian::standard(p, q);
        let sample = WeightedSample::new(Pairs::new(x, p, y, q), vec![1.0; n]);
        start.maximize(&sample.stats(&start), &mut start.clone()).unwrap_err()
    };
    let noise = vec![0.3, -0.1, 0.7, 0.2, -0.5];
    let column = |error: EstimateError| match error {
        EstimateError::Singular { component: 0, column, .. } => column,
        other => panic!("{other:?}"),
    };
    let constant = vec![1.0, 0.1, 2.0, 0.1, 4.0, 0.1, 3.0, 0.1, 5.0, 0.1];
    assert_eq!(column(estimate(constant, 2, noise.clone(), 1)), 1);
    let collinear: Vec<f64> =
        [0.3, 1.7, -2.9, 4.1, 0.6].iter().flat_map(|x| [*x, 1.0 - 3.0 * x]).collect();
    assert_eq!(column(estimate(collinear, 2, noise.clone(), 1)), 1);
    let x = vec![0.1, 0.7, 0.4, 0.9, 0.2];
    let exact: Vec<f64> = x.iter().map(|x| 3.0 - 0.7 * x).collect();
    assert_eq!(column(estimate(x.clone(), 1, exact, 1)), 1);
    let twins: Vec<f64> = noise.iter().flat_map(|y| [*y, 2.0 * y]).collect();
    assert_eq!(column(estimate(x.clone(), 1, twins, 2)), 2);
    assert_eq!(column(estimate(vec![0.5], 1, vec![1.0], 1)), 0);
}

#[test]
fn an_exact_fit_stays_singular_from_a_perfect_start() {
    let x: Vec<f64> = (0..9).map(|i| 0.1 * f64::from(i)).collect();
    let y: Vec<f64> = x.iter().map(|x| 3.0 - 0.7 * x).collect();
    let sample = WeightedSample::new(Pairs::new(x, 1, y, 1), vec![1.0; 9]);
    let start = LinearGaussian::new(vec![3.0], vec![-0.7], &[1.0]).unwrap();
    let result = start.maximize(&sample.stats(&start), &mut start.clone());
    assert!(matches!(result, Err(EstimateError::Singular { column: 1, .. })), "{result:?}");
}

#[test]
fn statistics_outside_the_moment_cone_are_rejected() {
    let start = LinearGaussian::standard(1, 1);
    let estimate = |stats: &LinearGaussianStats| start.maximize(stats, &mut start.clone());
    let observe = |x: &[f64], y: &[f64], w: &[f64]| {
        WeightedSample::new(Pairs::new(x.to_vec(), 1, y.to_vec(), 1), w.to_vec()).stats(&start)
    };
    let good = observe(&[0.0, 1.0, 2.0], &[0.0, 2.0, 1.0], &[1.0; 3]);
    estimate(&good).unwrap();
    assert!(matches!(estimate(&start.new_stats()), Err(EstimateError::NoWeight { .. })));
    let mut negative = good.clone();
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    for (x, y) in [(9.0, 1.0), (1.0, 9.0), (9.0, 9.0)] {
        let mut outside = good.clone();
        outside.axpy(-1.0, &observe(&[x], &[y], &[0.5]));
        let result = estimate(&outside);
        assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{x}, {y}: {result:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(LinearGaussian::new(vec![], vec![], &[]).is_err());
    assert!(LinearGaussian::new(vec![0.0], vec![], &[1.0]).is_err());
    assert!(LinearGaussian::new(vec![0.0; 2], vec![1.0; 3], &[1.0; 2]).is_err());
    assert!(LinearGaussian::new(vec![f64::NAN], vec![1.0], &[1.0]).is_err());
    assert!(LinearGaussian::new(vec![0.0], vec![f64::INFINITY], &[1.0]).is_err());
    for variance in [0.0, -1.0, f64::NAN] {
        assert!(LinearGaussian::new(vec![0.0], vec![1.0], &[variance]).is_err());
    }
    assert!(LinearGaussian::new(vec![0.0; 2], vec![1.0; 2], &[1.0, 2.0, 2.0, 1.0]).is_err());
    assert!(LinearGaussian::without_intercept(0, vec![], &[]).is_err());

    let line = LinearGaussian::standard(2, 2);
    let check = |x: &[f64], y: &[f64]| {
        line.check((Rows::new(x, x.len() / 2, 2), Rows::new(y, y.len() / 2, 2)))
    };
    assert_eq!(check(&[0.0; 4], &[1.0; 4]), Ok(()));
    let unpaired = DataError::Unpaired { of: "covariates", left: 2, with: "responses", right: 1 };
    assert_eq!(check(&[0.0; 4], &[1.0; 2]), Err(unpaired));
    let place = |result: Result<(), DataError>| match result {
        Err(DataError::NotFinite { row, column, .. }) => (row, column),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(check(&[0.0, 0.0, 1.0, f64::NAN], &[1.0; 4])), (1, 1));
    assert_eq!(place(check(&[0.0, f64::INFINITY], &[f64::NAN; 2])), (0, 1));
    assert_eq!(place(check(&[0.0; 2], &[1.0, f64::NAN])), (0, 3));
    assert_eq!(place(check(&[0.0; 2], &[f64::INFINITY; 2])), (0, 2));
    let (x, y) = ([0.0; 3], [0.0; 2]);
    let wide = line.check((Rows::new(&x, 1, 3), Rows::new(&y, 1, 2)));
    assert_eq!(wide, Err(DataError::Dimension { expected: 2, found: 3 }));
}

#[test]
fn spread_is_judged_against_all_responses() {
    let line = LinearGaussian::new(vec![0.0], vec![2.0], &[1.0]).unwrap();
    // Covariates of variance one, slope 2, error 1: the responses have variance 5.
    assert!((line.relative_spread(&line.expected_stats(10.0)) - 0.2).abs() < TOLERANCE);
    let two = LinearGaussian::new(vec![0.0; 2], vec![2.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    assert!((two.relative_spread(&two.expected_stats(3.0)) - 0.2).abs() < TOLERANCE);
}

#[test]
fn a_start_passes_through_its_row() {
    let (x, y) = ([1.0, 2.0, 3.0, 4.0], [5.0, f64::NAN]);
    let data = (Rows::new(&x, 2, 2), Rows::new(&y, 2, 1));
    let line = LinearGaussian::new(vec![0.5], vec![1.0, -1.0], &[2.0]).unwrap();
    let there = line.moved_to(data, 0).unwrap();
    assert_eq!(there.predict(&[1.0, 2.0]), [5.0]);
    assert_eq!(there.coefficients(), line.coefficients());
    assert_eq!(line.moved_to(data, 1).unwrap(), line);
}

proptest! {
    #[test]
    fn every_point_is_a_distribution(flat in vec(-20.0..20.0_f64, 2 + 4 + 3)) {
        elbo_laws::parameters::every_point_is_a_distribution(&LinearGaussian::standard(2, 2), &flat);
    }
}

#[test]
fn parameters_have_names() {
    let mut names = Vec::new();
    LinearGaussian::standard(2, 1)
        .for_each_parameter(&mut |name, _, _| names.push(name.to_owned()));
    assert_eq!(names, ["intercept", "coefficient[0]", "coefficient[1]", "variance"]);
    let two = LinearGaussian::without_intercept(2, vec![1.0, 2.0], &[1.0; 2]).unwrap();
    names.clear();
    two.for_each_parameter(&mut |name, _, _| names.push(name.to_owned()));
    assert_eq!(names, ["coefficient[0,0]", "coefficient[1,0]", "variance[0]", "variance[1]"]);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let covariance = [1.0, 0.5, 0.5, 2.0];
    let line =
        LinearGaussian::centered(vec![2.0], vec![0.1, 0.2], vec![3.0, 4.0], &covariance).unwrap();
    let homogeneous = LinearGaussian::without_intercept(1, vec![1.0, 2.0], &[0.5]).unwrap();
    for line in [line, homogeneous] {
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<LinearGaussian>(&text).unwrap(), line);
        let text = text.replace("\"covariance\":[", "\"covariance\":[-");
        assert!(serde_json::from_str::<LinearGaussian>(&text).is_err());
    }
}
