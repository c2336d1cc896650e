//! Restarts restart, and are compared honestly.

use elbo_core::{Change, EStepError, Moves, Runs};
use elbo_dist::Gamma;
use elbo_mixture::{
    CancelToken, CovarianceStructure, Criterion, Dirichlet, FitError, Fitted, GaussianMixture,
    MixtureModel, Poisson, Report, Settings, Start, Stopped, Weighted,
};

use crate::support::shipped;

#[test]
fn more_starts_find_more_optima_and_never_a_worse_one() {
    let faithful = shipped("faithful");
    let fit = |starts| {
        let builder = GaussianMixture::new(5).structure(CovarianceStructure::VVV).seed(3);
        builder.starts(starts).fit(faithful.rows().into()).unwrap()
    };
    let (one, some, many) = (fit(1), fit(10), fit(14));
    assert!(many.runs.optima.len() > 1, "{:?}", many.runs.optima);
    assert!(some.report.objective >= one.report.objective || !one.spurious.is_empty());
    assert!(many.report.objective >= some.report.objective);
    assert_eq!((one.runs.moves.len(), some.runs.moves.len()), (0, many.runs.moves.len()));
    // The first run of many is the only run of one.
    let (first, only) =
        (many.runs.ends[0].outcome.as_ref().unwrap(), one.runs.ends[0].outcome.as_ref().unwrap());
    assert_eq!(first.trace, only.trace);
}

#[test]
fn the_report_accounts_for_every_run_and_move() {
    let faithful = shipped("faithful");
    let fitted = GaussianMixture::new(5).starts(24).fit(faithful.rows().into()).unwrap();
    let is_sound = |report: &&Report| {
        !report.spurious && !report.stopped.is_failure() && report.stopped != Stopped::Outrun
    };
    let Runs { ends, moves, optima, .. } = &fitted.runs;
    assert_eq!(ends.len(), 24);
    let sound = |reports: Vec<&Report>| reports.into_iter().filter(is_sound).count();
    let runs = ends.iter().flat_map(|end| &end.outcome).collect();
    assert_eq!(optima.iter().map(|optimum| optimum.runs).sum::<usize>(), sound(runs));
    let tried = moves.iter().flat_map(|tried| &tried.outcome).collect();
    assert_eq!(optima.iter().map(|optimum| optimum.moves).sum::<usize>(), sound(tried));
    assert!(optima.windows(2).all(|pair| pair[0].objective > pair[1].objective));
    // The result is the end of the last move that led on from the best run, or of the run itself.
    let last = moves.iter().rfind(|tried| tried.taken && tried.run == fitted.runs.best);
    let outcome = last.map_or(&ends[fitted.runs.best].outcome, |tried| &tried.outcome);
    let best = outcome.as_ref().unwrap().objective;
    assert_eq!(best.to_bits(), fitted.report.objective.to_bits());
    // Two searches of ten runs each; the four runs left over make no moves.
    assert!(moves.iter().all(|tried| tried.run < 20));
    let k = 5;
    for tried in moves {
        let (one, other) = match tried.change {
            Change::MergeAndSplit { merged: [kept, free], split } => {
                assert!(kept < free && kept != split && free < k);
                (free, split)
            }
            Change::DropAndSplit { dropped, split } => (dropped, split),
            other => panic!("{other:?}"),
        };
        assert!(one != other && one < k && other < k);
    }
}

#[test]
fn searches_find_the_best_optima_that_starts_mostly_miss() {
    // The best of all that the bench `starts` has found. mclust 6.0.0 ends at −1127.20 and −1111.28 from its own start, and
    // of searches by 20 starts alone one in seven misses these.
    let faithful = shipped("faithful");
    for (k, best) in [(3, -1_114.439_873), (4, -1_106.030_229)] {
        for seed in [0, 1, 2] {
            let builder = GaussianMixture::new(k).starts(10).seed(seed);
            let fitted = builder.fit(faithful.rows().into()).unwrap();
            assert!((fitted.log_likelihood - best).abs() < 1e-5, "{k}: {}", fitted.log_likelihood);
            assert!(fitted.spurious.is_empty());
        }
    }
}

#[test]
fn moves_give_the_same_bits_on_any_number_of_threads() {
    let iris = shipped("iris");
    let fit = || {
        GaussianMixture::new(3)
            .structure(CovarianceStructure::VVI)
            .starts(10)
            .fit(iris.rows().into())
            .unwrap()
    };
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(fit)
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.mixture, three.mixture);
    let told = |fitted: &Fitted<_>| {
        let tried = fitted.runs.moves.iter().map(|tried| (tried.change, tried.taken));
        (tried.collect::<Vec<_>>(), fitted.runs.optima.clone())
    };
    assert_eq!(told(&one), told(&three));
}

#[test]
fn moves_are_for_every_family_and_estimator() {
    // Three groups of counts; all runs begin with two components in the lowest of them.
    let counts: Vec<u64> =
        (0..90).map(|i| [1, 2, 20, 24, 100, 110][i % 6] + (i as u64) % 3).collect();
    let (data, template) = (Weighted::from(&counts[..]), Poisson::new(1.0).unwrap());
    let start = Start::Spread { k: 3, runs: 10, template };
    let moves = Moves { starts: 10, ..Moves::default() };
    let settings = Settings { moves, ..Settings::default() };
    let prior = || Gamma::new(1.0, 0.1).unwrap();
    let shares = || Dirichlet::symmetric(3, 1.0).unwrap();
    let fits = [
        MixtureModel::ml().fit(data, &start, &settings, &()).unwrap(),
        MixtureModel::map(prior(), shares()).fit(data, &start, &settings, &()).unwrap(),
        MixtureModel::vb(prior(), shares()).fit(data, &start, &settings, &()).unwrap(),
    ];
    for fitted in fits {
        assert!(!fitted.runs.moves.is_empty());
        let ends = fitted.runs.moves.iter().map(|tried| &tried.outcome);
        assert!(ends.clone().all(Result::is_ok), "{:?}", ends.collect::<Vec<_>>());
        let best = fitted.runs.ends.iter().flat_map(|end| &end.outcome);
        assert!(best.map(|end| end.objective).all(|end| end <= fitted.report.objective));
    }
}

#[test]
fn a_start_at_the_best_optimum_stays_there() {
    let faithful = shipped("faithful");
    let best = GaussianMixture::new(3).starts(10).fit(faithful.rows().into()).unwrap();
    let again =
        GaussianMixture::new(3).start_at(best.mixture.clone()).fit(faithful.rows().into()).unwrap();
    assert!(again.runs.moves.is_empty());
    let gain = again.report.objective - best.report.objective;
    assert!((-1e-9..272.0 * 1e-9).contains(&gain), "{gain}");
}

#[test]
fn starts_look_at_the_cancel_token() {
    let faithful = shipped("faithful");
    let cancel = CancelToken::new();
    cancel.cancel();
    let settings = Settings { cancel: Some(cancel), ..Settings::default() };
    let result = GaussianMixture::new(5).settings(settings).fit(faithful.rows().into());
    assert_eq!(result.err(), Some(FitError::EStep(EStepError::Cancelled)));
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
