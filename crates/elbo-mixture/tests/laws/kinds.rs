//! Components of different families, and noise, against plain sums.

use elbo_core::{
    Either, Estimator, Family, FlatParameters, Freeze, MaximumAPosteriori, MaximumLikelihood,
    Sides, Statistics, VariationalBayes,
};
use elbo_dist::{
    Categorical, Dirichlet, Laplace, MultivariateStudentT, NormalInverseWishart, UniformBox,
};
use elbo_laws::{Sample, WeightedSample};
use elbo_mixture::{
    CovarianceStructure, Estimation, Gaussian, GaussianMixture, GaussianOrNoise, Mixture,
    MixtureModel, MultivariateGaussian, Rows, Settings, Start, Tolerance,
};
use proptest::prelude::*;

use crate::support::{Table, clusters, shipped};

type GaussianOrLaplace = Either<Gaussian, Laplace>;

#[derive(Clone, Debug)]
struct Numbers(Vec<f64>);

impl Sample for Numbers {
    type Family = GaussianOrLaplace;

    fn batch(&self) -> &[f64] {
        &self.0
    }

    fn pick(&self, rows: &[usize]) -> Self {
        Self(rows.iter().map(|i| self.0[*i]).collect())
    }
}

fn component() -> impl Strategy<Value = GaussianOrLaplace> {
    (any::<bool>(), -3.0_f64..3.0, 0.1_f64..4.0).prop_map(|(is_left, at, scale)| {
        if is_left {
            Either::Left(Gaussian::new(at, scale).unwrap())
        } else {
            Either::Right(Laplace::new(at, scale).unwrap())
        }
    })
}

fn sample() -> impl Strategy<Value = WeightedSample<Numbers>> {
    prop::collection::vec((-6.0_f64..6.0, prop_oneof![Just(0.0), 0.1_f64..3.0]), 1..40).prop_map(
        |pairs| WeightedSample {
            data: Numbers(pairs.iter().map(|p| p.0).collect()),
            weights: pairs.iter().map(|p| p.1).collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// In any order of kinds.
    #[test]
    fn all_at_once_is_one_at_a_time(
        components in prop::collection::vec(component(), 1..6),
        sample in sample(),
    ) {
        elbo_laws::family::all_at_once_is_one_at_a_time(&components, &sample);
    }

    #[test]
    fn coordinates_go_there_and_back(components in prop::collection::vec(component(), 1..6)) {
        let mut flat = Vec::new();
        GaussianOrLaplace::write_all_unconstrained(&components, &mut flat);
        prop_assert_eq!(flat.len(), GaussianOrLaplace::free_parameters_all(&components));
        let back = GaussianOrLaplace::with_all_unconstrained(&components, &mut &flat[..]);
        for (one, other) in components.iter().zip(&back) {
            for x in [-1.0, 0.3, 2.0] {
                let (mut a, mut b) = ([0.0], [0.0]);
                one.log_density_into(&[x], &mut a);
                other.log_density_into(&[x], &mut b);
                prop_assert!((a[0] - b[0]).abs() < 1e-12 * (1.0 + a[0].abs()));
            }
        }
    }
}

/// Two groups 12 standard deviations apart, and 30 rows all over a box of ten times that.
fn with_outliers() -> Table {
    let mut table = clusters(150, 2, 1, 4);
    table.values.iter_mut().enumerate().for_each(|(place, x)| *x += 12.0 * (place / 2 % 2) as f64);
    for i in 0..30 {
        let at = |by: u32| 2.0 * f64::from(i * by % 61) - 60.0;
        table.values.extend([at(7), at(3)]);
    }
    table.n = 180;
    table
}

fn gaussian(structure: CovarianceStructure, mean: [f64; 2]) -> MultivariateGaussian {
    MultivariateGaussian::new(structure, mean.to_vec(), &[2.0, 0.0, 0.0, 2.0]).unwrap()
}

/// mclust's formula: `ln Σⱼ πⱼ φⱼ(x) + π₀ / V`, and one step of the weights, means and pooled or own covariances.
#[test]
fn one_step_with_noise_agrees_with_the_plain_formulas() {
    let table = with_outliers();
    let rows: Vec<&[f64]> = table.values.chunks_exact(2).collect();
    let noise = UniformBox::around(table.rows()).unwrap();
    let range = |c: usize| {
        let column = || rows.iter().map(|x| x[c]);
        column().fold(f64::MIN, f64::max) - column().fold(f64::MAX, f64::min)
    };
    let volume = range(0) * range(1);
    assert!((noise.volume() - volume).abs() < 1e-12 * volume);
    for structure in [CovarianceStructure::VVV, CovarianceStructure::EEE] {
        let means = [[-2.0, 1.0], [3.0, -1.0]];
        let weights = [0.5, 0.2, 0.3];
        // Noise between the others: nothing may depend on the order of kinds.
        let components = vec![
            Either::Left(gaussian(structure, means[0])),
            Either::Right(noise.clone()),
            Either::Left(gaussian(structure, means[1])),
        ];
        let start: Mixture<GaussianOrNoise> =
            Mixture::new(vec![weights[0], weights[2], weights[1]], components).unwrap();
        let density = |j: usize, x: &[f64]| {
            let z = (x[0] - means[j][0]).powi(2) + (x[1] - means[j][1]).powi(2);
            (-0.25 * z).exp() / (std::f64::consts::TAU * 2.0)
        };
        let joint = |x: &[f64]| {
            [weights[0] * density(0, x), weights[1] * density(1, x), weights[2] / volume]
        };
        let expected: f64 = rows.iter().map(|x| joint(x).iter().sum::<f64>().ln()).sum();
        let likelihood = start.log_likelihood(table.rows()).unwrap();
        assert!((likelihood - expected).abs() < 1e-12 * expected.abs());

        let settings =
            Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
        let stepped =
            MixtureModel::ml().fit(table.rows().into(), &Start::At(start), &settings, &()).unwrap();
        let shares: Vec<[f64; 3]> = rows
            .iter()
            .map(|x| {
                let joint = joint(x);
                joint.map(|p| p / joint.iter().sum::<f64>())
            })
            .collect();
        let total = |j: usize| shares.iter().map(|s| s[j]).sum::<f64>();
        let mean = |j: usize, c: usize| {
            rows.iter().zip(&shares).map(|(x, s)| s[j] * x[c]).sum::<f64>() / total(j)
        };
        let scatter = |j: usize, c: usize, e: usize| {
            let terms = rows.iter().zip(&shares);
            terms.map(|(x, s)| s[j] * (x[c] - mean(j, c)) * (x[e] - mean(j, e))).sum::<f64>()
        };
        assert!((stepped.mixture.noise_share() - total(2) / 180.0).abs() < 1e-13);
        assert_eq!(stepped.mixture.components()[1], Either::Right(noise.clone()));
        for (j, place) in [(0, 0), (1, 2)] {
            let ours = stepped.mixture.components()[place].left().unwrap();
            assert!((stepped.mixture.weights()[place] - total(j) / 180.0).abs() < 1e-13);
            for c in 0..2 {
                assert!((ours.mean()[c] - mean(j, c)).abs() < 1e-12 * 10.0);
                for e in 0..2 {
                    let covariance = if structure == CovarianceStructure::EEE {
                        (scatter(0, c, e) + scatter(1, c, e)) / (total(0) + total(1))
                    } else {
                        scatter(j, c, e) / total(j)
                    };
                    assert!((ours.covariance()[2 * c + e] - covariance).abs() < 1e-11 * 10.0);
                }
            }
        }
        // Two means, one or two covariances, two weights; nothing of the noise.
        let of_covariance = if structure == CovarianceStructure::EEE { 3 } else { 6 };
        assert_eq!(stepped.report.free_parameters, 4 + of_covariance + 2);
    }
}

#[test]
fn noise_takes_what_no_group_explains_under_every_estimation() {
    let table = with_outliers();
    for estimation in [
        Estimation::MaximumLikelihood,
        Estimation::MaximumAPosteriori,
        Estimation::VariationalBayes,
    ] {
        let builder = GaussianMixture::new(2).estimation(estimation).starts(8);
        let fitted = builder.with_noise().fit(table.rows().into()).unwrap();
        assert!(fitted.report.stopped.is_converged(), "{estimation:?}");
        let trace = &fitted.report.trace;
        assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12 * 1e3), "{estimation:?}");
        // One or two of the 30 lie within the groups.
        let share = fitted.mixture.noise_share();
        assert!((share - 30.0 / 180.0).abs() < 0.02, "{estimation:?}: {share}");
        let labels = fitted.mixture.labels(table.rows()).unwrap();
        let caught = labels[150..].iter().filter(|label| **label == 2).count();
        assert!(caught >= 27, "{estimation:?}: {caught}");
    }
}

/// The evidence lower bound of components under priors is that without noise where the noise has no share.
#[test]
fn noise_without_a_share_changes_nothing() {
    let table = shipped("faithful");
    let prior = NormalInverseWishart::default_for(
        CovarianceStructure::VVV,
        2,
        vec![3.5, 71.0],
        &[1.3, 0.0, 0.0, 184.0],
    )
    .unwrap();
    // A box elsewhere: density zero on all rows.
    let noise = UniformBox::new(vec![-2.0, -2.0], vec![-1.0, -1.0]).unwrap();
    let means = [[2.0, 55.0], [4.3, 80.0]];
    let point = |m: [f64; 2]| {
        MultivariateGaussian::new(CovarianceStructure::VVV, m.to_vec(), &[0.1, 0.0, 0.0, 30.0])
            .unwrap()
    };
    let settings = Settings::default();
    let known = |k: usize| {
        let shares = [0.4, 0.6, 0.0];
        (Freeze::all(MaximumLikelihood), Categorical::new(shares[..k].to_vec()).unwrap())
    };
    let (weights, shares) = known(2);
    let plain = MixtureModel::new(VariationalBayes::new(prior.clone()), weights);
    let start = Mixture::new(shares.probabilities().to_vec(), means.map(point).to_vec()).unwrap();
    let plain = plain.fit(table.rows().into(), &Start::At(start), &settings, &()).unwrap();

    let (weights, shares) = known(3);
    let sides = Sides::new(VariationalBayes::new(prior), VariationalBayes::new(noise.clone()));
    let mut components: Vec<GaussianOrNoise> = means.map(point).map(Either::Left).to_vec();
    components.push(Either::Right(noise));
    let start = Mixture::new(shares.probabilities().to_vec(), components).unwrap();
    let noisy = MixtureModel::new(sides, weights);
    let noisy = noisy.fit(table.rows().into(), &Start::At(start), &settings, &()).unwrap();
    // Starts are posteriors of n/k ideal rows, which differ; where they end is the same.
    let (a, b) = (plain.report.objective, noisy.report.objective);
    assert!((a - b).abs() < 1e-6, "{a} {b}");
}

/// One side under ML, the other under MAP, nested, with one of them frozen: everything composes.
#[test]
fn kinds_nest_and_estimators_differ_by_side() {
    type Nested = Either<Either<MultivariateGaussian, MultivariateStudentT>, UniformBox>;
    let table = with_outliers();
    let noise = UniformBox::around(table.rows()).unwrap();
    let components: Vec<Nested> = vec![
        Either::Left(Either::Left(gaussian(CovarianceStructure::VVV, [-2.0, 1.0]))),
        Either::Left(Either::Right(
            MultivariateStudentT::new(
                CovarianceStructure::VVV,
                vec![3.0, -1.0],
                &[2.0, 0.0, 0.0, 2.0],
                5.0,
            )
            .unwrap(),
        )),
        Either::Right(noise.clone()),
    ];
    let start = Mixture::new(vec![0.4, 0.4, 0.2], components).unwrap();
    let settings = Settings { max_iterations: 40, ..Settings::default() };
    let fit = |model: &MixtureModel<Nested, MaximumLikelihood, MaximumLikelihood>| {
        model.fit(table.rows().into(), &Start::At(start.clone()), &settings, &()).unwrap()
    };
    let fitted = fit(&MixtureModel::ml());
    assert!(fitted.report.trace.windows(2).all(|p| p[1] >= p[0] - 1e-12 * 1e3));
    // A Gaussian has 5 parameters, a Student t 6.
    assert_eq!(fitted.report.free_parameters, 5 + 6 + 2);

    let prior = NormalInverseWishart::default_for(
        CovarianceStructure::VVV,
        2,
        vec![0.0, 0.0],
        &[9.0, 0.0, 0.0, 9.0],
    )
    .unwrap();
    let inner = Sides::new(MaximumAPosteriori::new(prior), Freeze::all(MaximumLikelihood));
    let model = MixtureModel::new(
        Sides::new(inner, MaximumLikelihood),
        MaximumAPosteriori::new(Dirichlet::symmetric(3, 1.0).unwrap()),
    );
    let mixed = model.fit(table.rows().into(), &Start::At(start.clone()), &settings, &()).unwrap();
    assert!(mixed.report.trace.windows(2).all(|p| p[1] >= p[0] - 1e-12 * 1e3));
    assert_eq!(mixed.mixture.components()[1], start.components()[1]);
    assert_eq!(mixed.report.free_parameters, 5 + 2);
}

/// An error names the component by its place among all, not among its own kind.
#[test]
fn errors_name_components_by_their_place() {
    let noise = UniformBox::new(vec![0.0], vec![1.0]).unwrap();
    let line = |m: f64| MultivariateGaussian::standard(CovarianceStructure::VVV, vec![m]);
    let points: Vec<GaussianOrNoise> =
        vec![Either::Right(noise), Either::Left(line(0.0)), Either::Left(line(0.5))];
    let mut stats: Vec<_> = points.iter().map(|p| p.expected_stats(3.0)).collect();
    stats[2].set_zero();
    let error = GaussianOrNoise::maximize_all(&points, &stats, &mut points.clone()).unwrap_err();
    assert_eq!(error.component(), Some(2), "{error}");
    let sides = Sides::new(MaximumLikelihood, MaximumLikelihood);
    let fits = sides.start(points, 1.0).unwrap();
    let error = sides.estimate(&fits, &stats, &mut fits.clone()).unwrap_err();
    assert_eq!(error.component(), Some(2), "{error}");
}

#[test]
fn a_box_is_what_the_data_say() {
    let rows = [0.0, 5.0, 2.0, f64::NAN, 1.0, 9.0];
    let noise = UniformBox::around(Rows::new(&rows, 3, 2)).unwrap();
    assert_eq!((noise.low(), noise.high()), (&[0.0, 5.0][..], &[2.0, 9.0][..]));
    assert!((noise.log_density(&[1.0, f64::NAN]) + 2.0_f64.ln()).abs() < 1e-15);
    assert!(noise.log_density(&[2.1, 6.0]) < f64::MIN);
    let other = noise.with_volume(4.0).unwrap();
    assert!((other.log_density(&[2.0, 5.0]) + 4.0_f64.ln()).abs() < 1e-15);
    let flat = UniformBox::around(Rows::new(&[1.0, 2.0, 1.0, 3.0], 2, 2)).unwrap_err();
    assert_eq!(flat, elbo_core::DataError::ConstantColumn { column: 0, value: 1.0 });
    let none = UniformBox::around(Rows::new(&[f64::NAN, f64::NAN], 2, 1));
    assert!(matches!(none, Err(elbo_core::DataError::NotFinite { column: 0, .. })));
}

/// Parameters of a fit of two kinds go through a file.
#[cfg(feature = "serde")]
#[test]
fn fits_of_two_kinds_are_kept() {
    use elbo_core::LatentModel;

    let noise =
        UniformBox::new(vec![-9.0, -9.0], vec![9.0, 9.0]).unwrap().with_volume(3.0).unwrap();
    let prior = NormalInverseWishart::default_for(
        CovarianceStructure::EEE,
        1,
        vec![0.0, 0.0],
        &[9.0, 0.0, 0.0, 9.0],
    )
    .unwrap();
    let sides = Sides::new(VariationalBayes::new(prior), VariationalBayes::new(noise.clone()));
    let weights = VariationalBayes::new(Dirichlet::symmetric(3, 0.5).unwrap());
    let model = MixtureModel::new(sides, weights);
    let components: Vec<GaussianOrNoise> = vec![
        Either::Left(gaussian(CovarianceStructure::EEE, [0.0, 1.0])),
        Either::Right(noise),
        Either::Left(gaussian(CovarianceStructure::EEE, [2.0, 1.0])),
    ];
    let mixture = Mixture::new(vec![0.5, 0.2, 0.3], components).unwrap();
    let params = model.start(mixture.clone(), 50.0).unwrap();
    let file = serde_json::to_string(&params).unwrap();
    let again: elbo_mixture::MixtureParams<GaussianOrNoise, _, _> =
        serde_json::from_str(&file).unwrap();
    assert_eq!(again.to_mixture(), params.to_mixture());
    assert_eq!(model.penalty(&again).to_bits(), model.penalty(&params).to_bits());
    assert_eq!(serde_json::to_string(&again).unwrap(), file);
    let file = file.replace("\"is_left\":[true,false,true]", "\"is_left\":[true,false,false]");
    assert!(
        serde_json::from_str::<
            elbo_mixture::MixtureParams<
                GaussianOrNoise,
                Sides<VariationalBayes<NormalInverseWishart>, VariationalBayes<UniformBox>>,
                VariationalBayes<Dirichlet>,
            >,
        >(&file)
        .is_err()
    );
}
