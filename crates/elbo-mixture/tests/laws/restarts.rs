//! Restarts restart, and are compared honestly.

use elbo_mixture::{CovarianceStructure, Criterion, GaussianMixture};

use crate::support::shipped;

#[test]
fn more_starts_find_more_optima_and_never_a_worse_one() {
    let faithful = shipped("faithful");
    let one = GaussianMixture::new(4).starts(1).seed(3).fit(faithful.rows().into()).unwrap();
    let many = GaussianMixture::new(4).starts(30).seed(3).fit(faithful.rows().into()).unwrap();
    assert!(many.runs.optima.len() > 1, "{:?}", many.runs.optima);
    assert!(many.report.objective >= one.report.objective || !one.spurious.is_empty());
    // The first run of many is the only run of one.
    let (first, only) =
        (many.runs.ends[0].outcome.as_ref().unwrap(), one.runs.ends[0].outcome.as_ref().unwrap());
    assert_eq!(first.trace, only.trace);
}

#[test]
fn the_report_accounts_for_every_run() {
    let faithful = shipped("faithful");
    let fitted = GaussianMixture::new(5).starts(24).fit(faithful.rows().into()).unwrap();
    let sound = fitted.runs.ends.iter().filter(|end| {
        end.outcome.as_ref().is_ok_and(|report| !report.spurious && !report.stopped.is_failure())
    });
    assert_eq!(fitted.runs.ends.len(), 24);
    assert_eq!(fitted.runs.optima.iter().map(|optimum| optimum.runs).sum::<usize>(), sound.count());
    let best = fitted.runs.ends[fitted.runs.best].outcome.as_ref().unwrap().objective;
    assert_eq!(best.to_bits(), fitted.report.objective.to_bits());
    assert!(fitted.runs.optima.windows(2).all(|pair| pair[0].objective > pair[1].objective));
}

#[test]
fn a_selection_lists_every_candidate_and_finds_the_known_best() {
    let faithful = shipped("faithful");
    let structures = [CovarianceStructure::EEE, CovarianceStructure::VVV, CovarianceStructure::EII];
    let selection = GaussianMixture::new(1).starts(20).select(
        faithful.rows().into(),
        &[1, 2, 3],
        &structures,
        Criterion::Bic,
    );
    assert_eq!(selection.candidates.len(), 9);
    let best = selection.best().unwrap();
    // mclust 6.0.0 ranks EEE with three components first among all fourteen structures.
    assert_eq!(best.label, (3, CovarianceStructure::EEE));
    let bic = best.fit.as_ref().unwrap().bic();
    // Its BIC there is 2314.316296, of a fit that it stops a little early.
    assert!(bic < 2_314.316_297 && bic > 2_314.29, "{bic}");
}
