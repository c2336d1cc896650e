//! What must not change the answer: order, offset, scale, weights against copies, threads, instruction sets.

use elbo_mixture::{
    CovarianceStructure, Estimation, Fitted, GaussianMixture, MultivariateGaussian, Rows, Settings,
    Weighted,
};

use crate::support::{Table, clusters, shipped};

const FOUR: [CovarianceStructure; 4] = [
    CovarianceStructure::VVV,
    CovarianceStructure::EEE,
    CovarianceStructure::VVI,
    CovarianceStructure::VII,
];

/// The clusters as labels by first appearance: which component is called first is no property of the data.
fn clusters_of(fitted: &Fitted<MultivariateGaussian>, table: &Table) -> Vec<usize> {
    let mut seen = Vec::new();
    let canonical = |label: usize| {
        seen.iter().position(|l| *l == label).unwrap_or_else(|| {
            seen.push(label);
            seen.len() - 1
        })
    };
    fitted.mixture.labels(table.rows()).unwrap().into_iter().map(canonical).collect()
}

fn fit(table: &Table, structure: CovarianceStructure) -> Fitted<MultivariateGaussian> {
    GaussianMixture::new(2).structure(structure).starts(3).seed(5).fit(table.rows().into()).unwrap()
}

#[test]
fn an_offset_of_1e8_leaves_the_log_likelihood() {
    let table = clusters(400, 3, 2, 11);
    for structure in CovarianceStructure::ALL {
        let (here, there) = (fit(&table, structure), fit(&table.map(|x| x + 1e8), structure));
        // The shifted data themselves are rounded to 1.5e-8.
        let relative =
            (here.log_likelihood - there.log_likelihood).abs() / here.log_likelihood.abs();
        assert!(
            relative < 1e-6,
            "{structure}: {} became {}",
            here.log_likelihood,
            there.log_likelihood
        );
        assert_eq!(
            clusters_of(&here, &table),
            clusters_of(&there, &table.map(|x| x + 1e8)),
            "{structure}"
        );
    }
}

#[test]
fn scale_changes_no_cluster_and_moves_the_log_likelihood_by_its_jacobian() {
    let table = clusters(400, 3, 2, 12);
    for structure in FOUR {
        let here = fit(&table, structure);
        for factor in [1e-6, 1e6, 1e-100, 1e100] {
            let scaled = table.map(|x| x * factor);
            let there = fit(&scaled, structure);
            assert_eq!(
                clusters_of(&here, &table),
                clusters_of(&there, &scaled),
                "{structure} × {factor}"
            );
            let expected = here.log_likelihood - (table.n * table.d) as f64 * factor.ln();
            let error = (there.log_likelihood - expected).abs() / expected.abs();
            assert!(
                error < 1e-9,
                "{structure} × {factor}: {} not {expected}",
                there.log_likelihood
            );
        }
    }
}

#[test]
fn a_weight_of_two_is_the_same_as_a_copy() {
    let table = clusters(150, 2, 2, 13);
    let doubled = Table { values: [&table.values[..], &table.values[..]].concat(), n: 300, d: 2 };
    let weights = vec![2.0; 150];
    for estimation in [
        Estimation::MaximumLikelihood,
        Estimation::MaximumAPosteriori,
        Estimation::VariationalBayes,
    ] {
        let start = GaussianMixture::new(2).starts(1).fit(table.rows().into()).unwrap().mixture;
        let settings =
            Settings { tolerance: elbo_mixture::Tolerance::Gap(1e-13), ..Settings::default() };
        let builder =
            GaussianMixture::new(2).estimation(estimation).start_at(start).settings(settings);
        let copies = builder.fit(doubled.rows().into()).unwrap();
        let weighted = builder.fit(Weighted::new(table.rows(), &weights).unwrap()).unwrap();
        let difference = (copies.report.objective - weighted.report.objective).abs();
        assert!(difference < 1e-10 * copies.report.objective.abs(), "{estimation:?}: {difference}");
    }
}

#[test]
fn a_row_of_weight_zero_is_not_there() {
    let table = clusters(100, 2, 2, 14);
    let mut values = table.values.clone();
    values.extend([1e9, -1e9]);
    let mut weights = vec![1.0; 100];
    weights.push(0.0);
    let start = GaussianMixture::new(2).starts(1).fit(table.rows().into()).unwrap().mixture;
    let builder = GaussianMixture::new(2).start_at(start);
    let without = builder.fit(table.rows().into()).unwrap();
    let with = builder.fit(Weighted::new(Rows::new(&values, 101, 2), &weights).unwrap()).unwrap();
    assert!(
        (without.log_likelihood - with.log_likelihood).abs() < 1e-9 * without.log_likelihood.abs()
    );
}

#[test]
fn order_of_rows_does_not_matter_beyond_rounding() {
    let table = shipped("iris");
    let reversed: Vec<f64> = table.values.chunks(table.d).rev().flatten().copied().collect();
    let start = GaussianMixture::new(3).starts(5).fit(table.rows().into()).unwrap().mixture;
    let builder = GaussianMixture::new(3).start_at(start);
    let (there, back) = (
        builder.fit(table.rows().into()).unwrap().log_likelihood,
        builder.fit(Rows::new(&reversed, table.n, table.d).into()).unwrap().log_likelihood,
    );
    assert!((there - back).abs() < 1e-9 * there.abs(), "{there} {back}");
}

#[test]
fn column_major_rows_give_the_same_fit() {
    let table = shipped("faithful");
    let columns: Vec<f64> = (0..table.d)
        .flat_map(|j| (0..table.n).map(move |i| (i, j)))
        .map(|(i, j)| table.values[i * table.d + j])
        .collect();
    let (a, b) = (
        GaussianMixture::new(2).starts(2).fit(table.rows().into()).unwrap(),
        GaussianMixture::new(2)
            .starts(2)
            .fit(Rows::column_major(&columns, table.n, table.d).into())
            .unwrap(),
    );
    assert_eq!(a.report.objective.to_bits(), b.report.objective.to_bits());
}

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_changes_no_bit() {
    let table = clusters(20_000, 3, 3, 15);
    for structure in FOUR {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = Settings { max_iterations: 8, ..Settings::default() };
            let fitted = pool.install(|| {
                GaussianMixture::new(3)
                    .structure(structure)
                    .settings(settings)
                    .starts(3)
                    .fit(table.rows().into())
                    .unwrap()
            });
            let covariance: Vec<u64> = fitted
                .mixture
                .components()
                .iter()
                .flat_map(elbo_mixture::MultivariateGaussian::covariance)
                .map(f64::to_bits)
                .collect();
            let objectives: Vec<u64> = fitted
                .runs
                .ends
                .iter()
                .map(|end| end.outcome.as_ref().unwrap().objective.to_bits())
                .collect();
            (covariance, objectives)
        };
        let one = bits(1);
        for threads in [2, 3, 7] {
            assert_eq!(one, bits(threads), "{structure} on {threads} threads");
        }
    }
}
