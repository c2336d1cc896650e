//! Converged values of other programs.

use elbo_core::CancelToken;
use elbo_mixture::{
    Acceleration, CovarianceStructure, Estimation, GaussianMixture, MixtureModel,
    MultivariateGaussian, Settings, Start, Tolerance,
};

use crate::support::{Table, read, reference, shipped, tight};

fn best(table: &Table, k: usize, structure: CovarianceStructure) -> f64 {
    tight(k, structure).starts(60).seed(1).fit(table.rows().into()).unwrap().log_likelihood
}

/// mixtools 2.0.0 `mvnormalmixEM` (K = 2) and the best of 40 starts of scikit-learn 1.9.1 (K = 3).
#[test]
fn old_faithful_reaches_the_best_known_optima() {
    let faithful = shipped("faithful");
    let two = best(&faithful, 2, CovarianceStructure::VVV);
    assert!((two - -1_130.263_960_18).abs() < 1e-6, "{two}");
    let three = best(&faithful, 3, CovarianceStructure::VVV);
    assert!((three - -1_114.440).abs() < 1e-3, "{three}");
}

/// `Mclust(data)` of mclust 6.0.0: its best model of each set, which stops at a relative change of 1e-5. On galaxies two
/// optima above its own exist (−197.4538 and, met rarely, −196.8515).
#[test]
fn mclust_best_models_are_reached() {
    for (name, scale, structure, k, theirs, slack) in [
        ("faithful", 1.0, CovarianceStructure::EEE, 3, -1_126.326_236_468_26, 0.02),
        ("iris", 1.0, CovarianceStructure::VEV, 2, -215.725_972, 0.02),
        ("galaxies", 1e-3, CovarianceStructure::VVV, 4, -199.254_496, 3.0),
    ] {
        let ours = best(&shipped(name).map(|x| x * scale), k, structure);
        assert!(ours > theirs - 1e-6, "{name}: {ours} is below {theirs}");
        assert!(ours < theirs + slack, "{name}: {ours} is another optimum than {theirs}");
    }
}

/// `me(modelName, data, unmap(partition))` of mclust 6.0.0 at tolerance 1e-12: 14 models × G = 2..5 on two sets.
///
/// Plain steps on both sides: which optimum a start leads to is a property of the path, and a leap may end in another basin.
#[test]
fn every_structure_ends_where_mclust_ends_from_the_same_partition() {
    let Some(folder) = reference() else { return };
    let table = std::fs::read_to_string(folder.join("mixture/ref_mclust_me_tight.csv")).unwrap();
    let (mut compared, mut elsewhere, mut plain_steps, mut leaping_steps) = (0, 0, 0, 0);
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim_matches('"')).collect();
        let (set, structure, k): (_, CovarianceStructure, usize) =
            (cells[0], cells[1].parse().unwrap(), cells[2].parse().unwrap());
        let Ok(theirs) = cells[3].parse::<f64>() else { continue }; // NA: mclust gave up
        let degrees: usize = cells[5].parse().unwrap();
        let data = shipped(set);
        let partitions = read(&folder.join(format!("mixture/ref_mclust_hcinit_{set}.csv")));
        let label = |i: usize| {
            let written = partitions.values[i * partitions.d + k - 1];
            (1..=k).position(|label| (label as f64 - written).abs() < 0.5).unwrap()
        };
        let labels = (0..data.n).map(label).collect();
        let settings = Settings {
            tolerance: Tolerance::Gap(1e-14),
            max_iterations: 200_000,
            acceleration: Acceleration::None,
            ..Settings::default()
        };
        let start = Start::Labels {
            labels,
            template: MultivariateGaussian::standard(structure, vec![0.0; data.d]),
        };
        let fitted = MixtureModel::ml().fit(data.rows().into(), &start, &settings, &()).unwrap();
        assert_eq!(fitted.report.free_parameters, degrees, "{line}");
        let ours = fitted.log_likelihood;
        compared += 1;
        let same = (ours - theirs).abs() <= 1e-8 * theirs.abs();
        // The common axes of VVE are the solution of an inner problem with local optima. Ours are higher in seven of
        // eight cases; on iris with five components the two programs part ways in the other direction.
        let other_axes =
            structure == CovarianceStructure::VVE && (ours > theirs || (set == "iris" && k == 5));
        assert!(same || other_axes, "{line}: ours {ours}, {:?}", fitted.report.stopped);
        let settings = Settings { acceleration: Acceleration::default(), ..settings };
        let leaping = MixtureModel::ml().fit(data.rows().into(), &start, &settings, &()).unwrap();
        elsewhere += usize::from((leaping.log_likelihood - ours).abs() > 1e-8 * ours.abs());
        plain_steps += fitted.report.e_steps;
        leaping_steps += leaping.report.e_steps;
    }
    assert!(compared > 100, "only {compared} fits were compared");
    // Leaps cross into another basin on iris with five components, under EEV and VVV: 30 flowers for each component.
    assert!(elsewhere <= 2, "{elsewhere} of {compared} accelerated fits end elsewhere");
    assert!(
        5 * leaping_steps < plain_steps,
        "{leaping_steps} E-steps with leaps, {plain_steps} without"
    );
}

#[test]
fn cancelling_before_the_start_is_told() {
    let cancel = CancelToken::new();
    cancel.cancel();
    let settings = Settings { cancel: Some(cancel), ..Settings::default() };
    let faithful = shipped("faithful");
    let error = GaussianMixture::new(2).settings(settings).fit(faithful.rows().into()).unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
}

#[test]
fn variational_bayes_empties_components_that_the_data_do_not_need() {
    let faithful = shipped("faithful");
    let fitted = GaussianMixture::new(8)
        .estimation(Estimation::VariationalBayes)
        .starts(4)
        .fit(faithful.rows().into())
        .unwrap();
    let empty = fitted.mixture.weights().iter().filter(|w| **w < 1e-3).count();
    assert!(empty >= 3, "{:?}", fitted.mixture.weights());
}
