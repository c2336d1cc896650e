//! Leaps save E-steps and end at the same optima.

use elbo_mixture::{
    Acceleration, CovarianceStructure, Fitted, GaussianMixture, MultivariateGaussian, Settings,
    Tolerance,
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
fn speed_ups(
    table: &Table,
    k: usize,
    structure: CovarianceStructure,
    acceleration: Acceleration,
) -> Vec<f64> {
    let plain = fit(table, k, structure, Acceleration::None);
    let leaping = fit(table, k, structure, acceleration);
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
fn slow_fits_take_a_fraction_of_the_e_steps() {
    let (faithful, galaxies) = (shipped("faithful"), shipped("galaxies").map(|x| x / 1000.0));
    for (table, k, structure) in [
        (&faithful, 3, CovarianceStructure::VVV),
        (&faithful, 4, CovarianceStructure::VVV),
        (&faithful, 4, CovarianceStructure::VVI),
        (&galaxies, 5, CovarianceStructure::VVV),
    ] {
        for (acceleration, median) in [
            (Acceleration::Squarem, 2.5),
            (Acceleration::Anderson, 1.3),
            (Acceleration::QuasiNewton, 4.0),
        ] {
            let ratios = speed_ups(table, k, structure, acceleration);
            // Most runs end where plain EM ends; a leap may cross to another optimum, never to a lower point.
            let least = if acceleration == Acceleration::Anderson { 0.3 } else { 1.0 };
            let case = format!("{structure} {k} {acceleration:?}");
            assert!(ratios.len() >= 16, "{case}: only {} runs agree", ratios.len());
            assert!(ratios[ratios.len() / 2] > median && ratios[0] > least, "{case}: {ratios:?}");
        }
    }
}

#[test]
fn fast_fits_are_hardly_slowed() {
    for acceleration in [Acceleration::Squarem, Acceleration::QuasiNewton] {
        let faithful = shipped("faithful");
        let ratios = speed_ups(&faithful, 2, CovarianceStructure::VVI, acceleration);
        assert_eq!(ratios.len(), 24);
        assert!(ratios[12] >= 0.9 && ratios[0] > 0.7, "{acceleration:?}: {ratios:?}");
    }
}

#[test]
fn leaps_never_lower_the_objective() {
    let faithful = shipped("faithful");
    for acceleration in [Acceleration::Squarem, Acceleration::Anderson, Acceleration::QuasiNewton] {
        for end in fit(&faithful, 5, CovarianceStructure::VVV, acceleration).runs.ends {
            let trace = end.outcome.unwrap().trace;
            assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "run {}", end.run);
        }
    }
}

/// The default rule of stopping is honest about what is left, whatever the steps between.
#[test]
fn accelerated_fits_stop_within_their_tolerance() {
    let faithful = shipped("faithful");
    let builder = |tolerance: f64| {
        let settings =
            Settings { tolerance: Tolerance::Gap(tolerance), seed: 3, ..Settings::default() };
        GaussianMixture::new(4).starts(24).settings(settings).fit(faithful.rows().into()).unwrap()
    };
    let (usual, tight) = (builder(1e-8), builder(1e-15));
    for (a, b) in usual.runs.ends.iter().zip(&tight.runs.ends) {
        let (a, b) = (a.outcome.as_ref().unwrap(), b.outcome.as_ref().unwrap());
        let left = b.objective - a.objective;
        // Paths are the same up to the earlier end; what is left may be a few times the estimate, not orders of magnitude.
        assert!(left <= 10.0 * 1e-8 * 272.0, "run {} stops {left} nats short", 0);
    }
}
