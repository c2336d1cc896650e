//! The variational bound against the exact evidence of tiny data.

use elbo_hmm::{Categorical, Dirichlet, Hmm, HmmModel, Sequences, Settings, Start};
use proptest::prelude::*;

use crate::support::{all_paths, log_sum};

/// `ln ∫ Π pₓ^nₓ Dir(p ∣ α) dp`, by the product of predictive probabilities: no gamma function needed.
fn log_evidence_of_counts(counts: &[f64], alpha: f64) -> f64 {
    let mut log_evidence = 0.0;
    let mut total = 0.0;
    for count in counts {
        let mut seen = 0.0;
        while seen < *count {
            log_evidence += ((alpha + seen) / (alpha * counts.len() as f64 + total)).ln();
            seen += 1.0;
            total += 1.0;
        }
    }
    log_evidence
}

/// `ln p(x)`, all paths summed, initial law, transitions and emissions integrated out.
fn log_evidence(x: &[u32], k: usize, m: usize, chain: f64, emission: f64) -> f64 {
    let terms: Vec<f64> = all_paths(k, x.len())
        .map(|path| {
            let mut first = vec![0.0; k];
            let mut pairs = vec![vec![0.0; k]; k];
            let mut codes = vec![vec![0.0; m]; k];
            first[path[0]] = 1.0;
            path.windows(2).for_each(|s| pairs[s[0]][s[1]] += 1.0);
            path.iter().zip(x).for_each(|(j, x)| codes[*j][*x as usize] += 1.0);
            log_evidence_of_counts(&first, chain)
                + pairs.iter().map(|c| log_evidence_of_counts(c, chain)).sum::<f64>()
                + codes.iter().map(|c| log_evidence_of_counts(c, emission)).sum::<f64>()
        })
        .collect();
    log_sum(terms.iter().copied())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_bound_lies_below_the_evidence(
        x in prop::collection::vec(0_u32..3, 1..8), chain in 0.3_f64..3.0, emission in 0.3_f64..3.0,
    ) {
        let tables = [[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]].map(|p| Categorical::new(p.to_vec()).unwrap());
        let start = Start::At(Hmm::new(&[0.6, 0.4], &[[0.7, 0.3], [0.4, 0.6]], tables.to_vec()).unwrap());
        let rows = Dirichlet::symmetric(2, chain).unwrap();
        let model = HmmModel::vb(Dirichlet::symmetric(3, emission).unwrap(), rows.clone(), rows);
        let fitted = model.fit(Sequences::one(&x[..]), &start, &Settings::default(), &()).unwrap();
        let evidence = log_evidence(&x, 2, 3, chain, emission);
        prop_assert!(fitted.report.objective <= evidence + 1e-12 * evidence.abs());
    }

    #[test]
    fn with_one_state_the_bound_is_the_evidence(
        x in prop::collection::vec(0_u32..3, 1..8), emission in 0.3_f64..3.0,
    ) {
        let start = Start::At(Hmm::new(&[1.0], &[[1.0]], vec![Categorical::uniform(3)]).unwrap());
        let rows = Dirichlet::symmetric(1, 1.0).unwrap();
        let model = HmmModel::vb(Dirichlet::symmetric(3, emission).unwrap(), rows.clone(), rows);
        let fitted = model.fit(Sequences::one(&x[..]), &start, &Settings::default(), &()).unwrap();
        let evidence = log_evidence(&x, 1, 3, 1.0, emission);
        prop_assert!((fitted.report.objective - evidence).abs() <= 1e-11 * (1.0 + evidence.abs()));
    }
}
