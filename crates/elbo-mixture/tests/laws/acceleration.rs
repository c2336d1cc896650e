//! Leaps save E-steps and end at the same optima.

use elbo_mixture::{
    Acceleration, CovarianceStructure, Fitted, GaussianMixture, MultivariateGaussian, Settings,
};

use crate::support::{Table, shipped};

fn fit(
    table: &Table,
    k: usize,
    structure: CovarianceStructure,
    acceleration: Acceleration,
) -> Fitted<MultivariateGaussian> {
    let settings = Settings { acceleration, seed: 3, ..Settings::default() };
    GaussianMixture::new(k)
        .structure(structure)
        .starts(24)
        .settings(settings)
        .fit(table.rows().into())
        .unwrap()
}

/// Ratio of E-steps, plain to accelerated, of the runs that end at the same optimum, sorted.
fn speed_ups(table: &Table, k: usize, structure: CovarianceStructure) -> Vec<f64> {
    let plain = fit(table, k, structure, Acceleration::None);
    let leaping = fit(table, k, structure, Acceleration::Squarem);
    let mut ratios = Vec::new();
    for (a, b) in plain.runs.ends.iter().zip(&leaping.runs.ends) {
        let (a, b) = (a.outcome.as_ref().unwrap(), b.outcome.as_ref().unwrap());
        let sound = a.stopped.is_converged() && b.stopped.is_converged();
        if sound && (a.objective - b.objective).abs() < 1e-5 {
            ratios.push(a.e_steps as f64 / b.e_steps as f64);
        }
    }
    ratios.sort_by(f64::total_cmp);
    ratios
}

#[test]
fn slow_fits_take_a_third_of_the_e_steps_or_less() {
    let (faithful, galaxies) = (shipped("faithful"), shipped("galaxies").map(|x| x / 1000.0));
    for (table, k, structure) in [
        (&faithful, 3, CovarianceStructure::VVV),
        (&faithful, 4, CovarianceStructure::VVV),
        (&faithful, 4, CovarianceStructure::VVI),
        (&galaxies, 5, CovarianceStructure::VVV),
    ] {
        let ratios = speed_ups(table, k, structure);
        // Most runs end where plain EM ends; a leap may cross to another optimum, never to a lower point.
        assert!(ratios.len() >= 18, "{structure} {k}: only {} runs agree", ratios.len());
        assert!(ratios[ratios.len() / 2] > 2.5 && ratios[0] > 1.0, "{structure} {k}: {ratios:?}");
    }
}

#[test]
fn fast_fits_are_hardly_slowed() {
    let ratios = speed_ups(&shipped("faithful"), 2, CovarianceStructure::VVI);
    assert_eq!(ratios.len(), 24);
    assert!(ratios[12] >= 0.9 && ratios[0] > 0.7, "{ratios:?}");
}

#[test]
fn leaps_never_lower_the_objective() {
    let faithful = shipped("faithful");
    for end in fit(&faithful, 5, CovarianceStructure::VVV, Acceleration::Squarem).runs.ends {
        let trace = end.outcome.unwrap().trace;
        assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "run {}", end.run);
    }
}
