//! The variational bound against exact evidence, by enumeration of all assignments.

use elbo_dist::{Dirichlet, Gamma, Poisson, StickBreaking, special::ln_gamma};
use elbo_mixture::{MixtureModel, Settings, Start, Weighted};
use proptest::prelude::*;

/// `ln p(x)` of a Poisson mixture with Gamma(a, b) rates and weights that have the evidence `of_members`: a sum over `kⁿ`
/// assignments, each with a closed-form evidence.
fn exact_log_evidence(
    counts: &[u64],
    k: usize,
    (a, b): (f64, f64),
    of_members: impl Fn(&[f64]) -> f64,
) -> f64 {
    let n = counts.len();
    let mut terms = Vec::new();
    for code in 0..k.pow(u32::try_from(n).unwrap()) {
        let (mut rest, mut members, mut events) = (code, vec![0.0; k], vec![0.0; k]);
        for x in counts {
            members[rest % k] += 1.0;
            events[rest % k] += *x as f64;
            rest /= k;
        }
        let mut term = of_members(&members);
        for j in 0..k {
            term += a * b.ln() - ln_gamma(a) + ln_gamma(a + events[j])
                - (a + events[j]) * (b + members[j]).ln();
        }
        terms.push(term);
    }
    let factorials: f64 = counts.iter().map(|x| ln_gamma(*x as f64 + 1.0)).sum();
    elbo_linalg::log_sum_exp(&terms) - factorials
}

/// Of Dirichlet(α, …, α) weights.
fn of_dirichlet(alpha: f64) -> impl Fn(&[f64]) -> f64 {
    move |members| {
        let (total, n) = (members.len() as f64 * alpha, members.iter().sum::<f64>());
        let of_member = |m: &f64| ln_gamma(alpha + m) - ln_gamma(alpha);
        members.iter().map(of_member).sum::<f64>() + ln_gamma(total) - ln_gamma(total + n)
    }
}

/// Of sticks that are Beta(1, α), broken one after the other.
fn of_process(alpha: f64) -> impl Fn(&[f64]) -> f64 {
    move |members| {
        let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
        let stick = |j: usize| {
            let later: f64 = members[j + 1..].iter().sum();
            ln_beta(1.0 + members[j], alpha + later) - ln_beta(1.0, alpha)
        };
        (0..members.len() - 1).map(stick).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_bound_never_exceeds_the_evidence(
        counts in prop::collection::vec(0_u64..12, 3..8),
        a in 0.5_f64..4.0,
        b in 0.1_f64..2.0,
        alpha in 0.3_f64..3.0,
    ) {
        let model = MixtureModel::vb(Gamma::new(a, b).unwrap(), Dirichlet::symmetric(2, alpha).unwrap());
        let distinct = counts.iter().any(|x| *x != counts[0]);
        prop_assume!(distinct);
        let start = Start::Spread { k: 2, runs: 2, template: Poisson::new(1.0).unwrap() };
        let fitted = model.fit(Weighted::uniform(&counts[..]), &start, &Settings::default(), &()).unwrap();
        let evidence = exact_log_evidence(&counts, 2, (a, b), of_dirichlet(alpha));
        prop_assert!(fitted.report.objective <= evidence + 1e-9, "{} > {evidence}", fitted.report.objective);
        // The bound is loose by the dependence of labels and parameters only: a few nats on such data.
        prop_assert!(fitted.report.objective > evidence - 12.0, "{} ≪ {evidence}", fitted.report.objective);
    }

    #[test]
    fn the_bound_never_exceeds_the_evidence_with_stick_breaking_weights(
        counts in prop::collection::vec(0_u64..12, 3..7),
        a in 0.5_f64..4.0,
        b in 0.1_f64..2.0,
        alpha in 0.3_f64..3.0,
    ) {
        let weights = StickBreaking::dirichlet_process(3, alpha).unwrap();
        let model = MixtureModel::vb(Gamma::new(a, b).unwrap(), weights);
        let distinct: std::collections::BTreeSet<_> = counts.iter().collect();
        prop_assume!(distinct.len() >= 3);
        let start = Start::Spread { k: 3, runs: 2, template: Poisson::new(1.0).unwrap() };
        let data = Weighted::uniform(&counts[..]);
        let objective = model.fit(data, &start, &Settings::default(), &()).unwrap().report.objective;
        let evidence = exact_log_evidence(&counts, 3, (a, b), of_process(alpha));
        prop_assert!(objective <= evidence + 1e-9, "{objective} > {evidence}");
        prop_assert!(objective > evidence - 16.0, "{objective} ≪ {evidence}");
    }

    #[test]
    fn with_one_component_the_bound_is_the_evidence(
        counts in prop::collection::vec(0_u64..12, 2..8),
        a in 0.5_f64..4.0,
        b in 0.1_f64..2.0,
    ) {
        let model = MixtureModel::vb(Gamma::new(a, b).unwrap(), Dirichlet::symmetric(1, 1.0).unwrap());
        let start = Start::Spread { k: 1, runs: 1, template: Poisson::new(1.0).unwrap() };
        let fitted = model.fit(Weighted::uniform(&counts[..]), &start, &Settings::default(), &()).unwrap();
        let evidence = exact_log_evidence(&counts, 1, (a, b), of_dirichlet(1.0));
        prop_assert!((fitted.report.objective - evidence).abs() <= 1e-10 * (1.0 + evidence.abs()));
    }
}
