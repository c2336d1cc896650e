//! k-means against a plain loop, against itself on other paths, and on bad data.
#![allow(clippy::cast_possible_truncation, reason = "single precision rounds")]

use elbo_core::{DataError, FitError};
use elbo_mixture::{
    Centers, CentersError, Comparisons, FittedKMeans, KMeans, Rows, Settings, Spread, Stopped,
    Tolerance, Weighted, exact_kmeans,
};
use rand::RngExt;

use crate::support::{Table, clusters, shipped};

/// Exactly so many iterations.
fn exactly(iterations: usize) -> Settings {
    Settings { tolerance: Tolerance::Gap(0.0), max_iterations: iterations, ..Settings::default() }
}

/// The first `k` rows as centers.
fn first(table: &Table, k: usize) -> Centers {
    Centers::new(table.values[..k * table.d].to_vec(), table.d).unwrap()
}

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Labels by the nearest center, the first of equals, and inertia.
fn assign(table: &Table, centers: &[Vec<f64>]) -> (Vec<usize>, f64) {
    let mut inertia = 0.0;
    let labels = table.values.chunks_exact(table.d).map(|row| {
        let mut best = 0;
        for (j, center) in centers.iter().enumerate() {
            if square(row, center) < square(row, &centers[best]) {
                best = j;
            }
        }
        inertia += square(row, &centers[best]);
        best
    });
    (labels.collect(), inertia)
}

/// Lloyd's iteration as it stands in books.
fn lloyd(table: &Table, start: &Centers, iterations: usize) -> (Vec<Vec<f64>>, Vec<usize>, f64) {
    let mut centers: Vec<Vec<f64>> = (0..start.k()).map(|j| start.center(j).to_vec()).collect();
    for _ in 0..iterations {
        let (labels, _) = assign(table, &centers);
        for (j, center) in centers.iter_mut().enumerate() {
            let rows = table.values.chunks_exact(table.d).zip(&labels);
            let rows: Vec<_> = rows.filter(|(_, l)| **l == j).map(|(row, _)| row).collect();
            for (c, x) in center.iter_mut().enumerate() {
                *x = rows.iter().map(|row| row[c]).sum::<f64>() / rows.len() as f64;
            }
        }
    }
    let (labels, inertia) = assign(table, &centers);
    (centers, labels, inertia)
}

fn bits(fitted: &FittedKMeans) -> Vec<u64> {
    let numbers = fitted.centers.values().iter().chain(&fitted.report.trace);
    numbers.chain(&fitted.sizes).chain([&fitted.inertia]).map(|x| x.to_bits()).collect()
}

/// Relative difference of sums of `n` terms in different orders, some thousand times the rounding of one.
const ROUNDING: f64 = 1e-12;

#[test]
fn iterations_are_those_of_a_plain_loop() {
    for (n, d, k) in [(300, 1, 3), (1500, 2, 7), (700, 5, 16), (900, 19, 4)] {
        let table = clusters(n, d, k, n as u64);
        let start = first(&table, k);
        for iterations in [0, 1, 4, 12] {
            for comparisons in [Comparisons::All, Comparisons::Auto] {
                let fitted = KMeans::new(k)
                    .start_at(start.clone())
                    .settings(exactly(iterations))
                    .comparisons(comparisons)
                    .fit(table.rows().into())
                    .unwrap();
                let (centers, labels, inertia) = lloyd(&table, &start, iterations);
                assert_eq!(fitted.report.iterations, iterations);
                assert!((fitted.inertia - inertia).abs() <= ROUNDING * inertia);
                assert_eq!(fitted.centers.predict(table.rows()).unwrap(), labels);
                for (found, x) in fitted.centers.values().iter().zip(centers.concat()) {
                    assert!((found - x).abs() <= ROUNDING * 20.0);
                }
                for (j, size) in fitted.sizes.iter().enumerate() {
                    let count = labels.iter().filter(|label| **label == j).count();
                    assert!((size - count as f64).abs() == 0.0);
                }
            }
        }
    }
}

/// No origin is near all rows: products of coordinates would round by 16, where distances are of order one.
#[test]
fn groups_far_apart_keep_their_fine_structure() {
    let (n, d, k) = (800, 2, 4);
    let value = |i: usize, j: usize| {
        let jitter = ((i * (31 + 26 * j)) % 97) as f64 / 97.0 - 0.5;
        1e9 * (i % 4 / 2) as f64 + 2.0 * (i % 2) as f64 + jitter
    };
    let values = (0..n * d).map(|place| value(place / d, place % d)).collect();
    let table = Table { values, n, d };
    for comparisons in [Comparisons::All, Comparisons::Auto] {
        let fitted = KMeans::new(k)
            .start_at(first(&table, k))
            .settings(exactly(6))
            .comparisons(comparisons)
            .fit(table.rows().into())
            .unwrap();
        let labels = fitted.centers.predict(table.rows()).unwrap();
        assert!((0..n).all(|i| labels[i] == i % 4));
        let (_, _, inertia) = lloyd(&table, &first(&table, k), 6);
        // Coordinates of 10⁹ keep seven decimals.
        assert!((fitted.inertia - inertia).abs() <= 1e-6 * inertia, "{} {inertia}", fitted.inertia);
    }
}

#[test]
fn bounds_change_no_bit() {
    let mut long = 0;
    for (n, d, k, seed, rounded) in [
        (3000, 2, 24, 1, false),
        (2500, 8, 16, 2, false),
        (2000, 30, 12, 3, false),
        (4000, 2, 12, 4, true),
    ] {
        // Whole numbers have many ties.
        let table = clusters(n, d, k - 3, seed).map(|x| if rounded { x.round() } else { x });
        let weights: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
        for weights in [None, Some(&weights[..])] {
            let fit = |comparisons| {
                let builder = KMeans::new(k).starts(3).seed(seed).comparisons(comparisons);
                builder.fit(Weighted::of(table.rows(), weights).unwrap()).unwrap()
            };
            let (all, auto) = (fit(Comparisons::All), fit(Comparisons::Auto));
            long += usize::from(all.report.iterations > 8);
            assert_eq!(bits(&all), bits(&auto));
            assert_eq!(all.report.stopped, auto.report.stopped);
        }
    }
    assert!(long >= 4, "only {long} of 8 fits go on until bounds matter");
}

#[test]
fn bounds_change_no_bit_in_single_precision() {
    let table = clusters(3000, 6, 12, 5);
    let single: Vec<f32> = table.values.iter().map(|x| *x as f32).collect();
    let fit = |comparisons| {
        let builder = KMeans::new(16).starts(3).comparisons(comparisons);
        builder.fit(Rows::new(&single, table.n, table.d).into()).unwrap()
    };
    assert_eq!(bits(&fit(Comparisons::All)), bits(&fit(Comparisons::Auto)));
}

#[test]
fn threads_change_no_bit() {
    let table = clusters(20_000, 3, 6, 9);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let builder = |spread| KMeans::new(6).starts(2).spread(spread).settings(exactly(6));
        pool.install(|| {
            [Spread::PlusPlus, Spread::Parallel]
                .map(|spread| bits(&builder(spread).fit(table.rows().into()).unwrap()))
        })
    };
    let one = fit(1);
    assert_eq!(fit(2), one);
    assert_eq!(fit(3), one);
}

#[test]
fn inertia_never_rises_and_the_run_ends_where_no_label_changes() {
    for seed in 0..5 {
        let table = clusters(1000, 3, 5, seed);
        let fitted = KMeans::new(8).starts(4).seed(seed).fit(table.rows().into()).unwrap();
        let falls = |pair: &[f64]| pair[0] - pair[1] > ROUNDING * pair[0].abs();
        assert!(!fitted.report.trace.windows(2).any(falls));
        assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
        let (_, labels, inertia) = lloyd(&table, &fitted.centers, 1);
        assert_eq!(labels, fitted.centers.predict(table.rows()).unwrap());
        assert!((inertia - fitted.inertia).abs() <= ROUNDING * inertia);
        let parts: f64 = fitted.scatters.iter().sum();
        assert!((parts - fitted.inertia).abs() <= ROUNDING * inertia);
    }
}

#[test]
fn weights_are_repetitions() {
    let table = clusters(400, 2, 3, 4);
    let weights: Vec<f64> = (0..table.n).map(|i| (i % 4) as f64).collect();
    let mut repeated = Vec::new();
    for (i, row) in table.values.chunks_exact(2).enumerate() {
        (0..i % 4).for_each(|_| repeated.extend_from_slice(row));
    }
    let builder = KMeans::new(4).start_at(first(&table, 4)).settings(exactly(5));
    let weighted = builder.fit(Weighted::new(table.rows(), &weights).unwrap()).unwrap();
    let plain = builder.fit(Rows::new(&repeated, repeated.len() / 2, 2).into()).unwrap();
    assert_eq!(weighted.sizes, plain.sizes);
    assert!((weighted.inertia - plain.inertia).abs() <= ROUNDING * plain.inertia);
    assert!((weighted.report.objective - plain.report.objective).abs() <= 1e-9);
}

#[test]
fn offsets_and_scales_do_not_matter() {
    let table = clusters(2000, 4, 5, 11);
    // Rounded to 2⁻²⁴, so that adding 10⁸ loses nothing.
    let table = table.map(|x| (x * 16_777_216.0).round() / 16_777_216.0);
    let fit = |table: &Table| {
        let builder = KMeans::new(5).start_at(first(table, 5)).settings(exactly(8));
        builder.fit(table.rows().into()).unwrap()
    };
    let labels = |table: &Table| fit(table).centers.predict(table.rows()).unwrap();
    let (plain, expected) = (fit(&table), labels(&table));
    let far = table.map(|x| x + 1e8);
    assert_eq!(labels(&far), expected);
    // Centers carry a rounding of 10⁸ ε = 2·10⁻⁸ beside distances of about 1; differences carry none.
    assert!((fit(&far).inertia / plain.inertia - 1.0).abs() < 1e-7);
    for scale in [1e100, 1e-100] {
        let scaled = table.map(|x| x * scale);
        assert_eq!(labels(&scaled), expected);
        assert!((fit(&scaled).inertia / scale / scale / plain.inertia - 1.0).abs() < 1e-12);
        assert!((fit(&scaled).report.objective - plain.report.objective).abs() < 1e-8);
    }
}

/// Two groups 10⁸ apart, each of two halves 3 apart: scores by inner products could not tell the halves.
#[test]
fn groups_far_from_each_other_keep_their_parts() {
    let noise = clusters(800, 2, 1, 3);
    let mut values = noise.values.clone();
    let mean = [values.iter().step_by(2).sum::<f64>() / 800.0, 0.0];
    for (i, row) in values.chunks_exact_mut(2).enumerate() {
        row[0] = 0.3 * (row[0] - mean[0]) + if i % 2 == 0 { 0.0 } else { 3.0 };
        row[1] = row[1] * 0.3 + if i % 4 < 2 { 0.0 } else { 1e8 };
    }
    let table = Table { values, n: 800, d: 2 };
    let fitted =
        KMeans::new(4).start_at(first(&table, 4)).settings(exactly(5)).fit(table.rows().into());
    let (_, labels, inertia) = lloyd(&table, &first(&table, 4), 5);
    let fitted = fitted.unwrap();
    assert_eq!(fitted.centers.predict(table.rows()).unwrap(), labels);
    assert!((fitted.inertia / inertia - 1.0).abs() < 1e-7);
}

#[test]
fn single_precision_has_the_inertia_of_its_labels() {
    let table = clusters(4000, 8, 6, 21);
    let single: Vec<f32> = table.values.iter().map(|x| *x as f32).collect();
    let double: Vec<f64> = single.iter().map(|x| f64::from(*x)).collect();
    let double = Table { values: double, ..table };
    let builder = KMeans::new(6).start_at(first(&double, 6));
    let found = builder.fit(Rows::new(&single, double.n, double.d).into()).unwrap();
    let exact = builder.fit(double.rows().into()).unwrap();
    assert!((found.inertia / exact.inertia - 1.0).abs() < 1e-7);
    assert!(found.report.stopped.is_converged(), "{:?}", found.report.stopped);
    let labels = found.centers.predict(double.rows()).unwrap();
    assert_eq!(labels, found.centers.predict(Rows::new(&single, double.n, double.d)).unwrap());
}

#[test]
fn columns_may_come_first() {
    let table = clusters(600, 3, 4, 2);
    let mut columns = vec![0.0; table.values.len()];
    for (i, row) in table.values.chunks_exact(3).enumerate() {
        (0..3).for_each(|c| columns[c * 600 + i] = row[c]);
    }
    let builder = KMeans::new(4).start_at(first(&table, 4));
    let by_rows = builder.fit(table.rows().into()).unwrap();
    let by_columns = builder.fit(Rows::column_major(&columns, 600, 3).into()).unwrap();
    assert_eq!(bits(&by_rows), bits(&by_columns));
}

#[test]
fn a_center_without_rows_moves_to_the_row_that_costs_most() {
    let data = [0.0, 0.1, 0.2, 5.0, 5.1, 9.0];
    let rows = Rows::new(&data, 6, 1);
    let start = Centers::new(vec![0.0, 5.0, 1000.0], 1).unwrap();
    let one = KMeans::new(3).start_at(start.clone()).settings(exactly(1)).fit(rows.into()).unwrap();
    assert!((one.centers.center(2)[0] - 9.0).abs() == 0.0, "{:?}", one.centers);
    assert_eq!((one.report.repairs.moved_components, one.report.repairs.kept_components), (1, 0));
    let end = KMeans::new(3).start_at(start).fit(rows.into()).unwrap();
    assert_eq!((end.sizes.clone(), end.empty()), (vec![3.0, 2.0, 1.0], vec![]));
    assert!((end.inertia - (0.02 + 0.005)).abs() < 1e-12);
}

#[test]
fn centers_that_cannot_have_rows_are_reported() {
    let data = [1.0, 1.0, 2.0, 2.0, 2.0];
    let start = Centers::new(vec![1.0, 2.0, 7.0], 1).unwrap();
    let fitted = KMeans::new(3).start_at(start).fit(Rows::new(&data, 5, 1).into()).unwrap();
    assert_eq!(fitted.empty(), [2]);
    assert!(fitted.inertia.abs() == 0.0 && fitted.report.repairs.kept_components > 0);
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
}

#[test]
fn mini_batches_come_close() {
    let table = clusters(20_000, 4, 5, 8);
    let full = KMeans::new(5).seed(1).fit(table.rows().into()).unwrap();
    let online = KMeans::new(5).seed(1).starts(3).mini_batch(500, 3).fit(table.rows().into());
    let online = online.unwrap();
    assert_eq!(online.report.stopped, Stopped::Finished);
    // Averages over the second half of 120 batches of 500 rows: a few thousandths of the variance within.
    assert!(online.inertia < 1.01 * full.inertia, "{} {}", online.inertia, full.inertia);
}

#[test]
fn starts_find_groups_that_are_apart() {
    let table = clusters(3000, 2, 3, 17);
    let apart = Table {
        values: table
            .values
            .iter()
            .enumerate()
            .map(|(at, x)| x + [0.0, 60.0, 150.0][at / 2 % 3])
            .collect(),
        ..table
    };
    for spread in [Spread::PlusPlus, Spread::Parallel] {
        for seed in 0..10 {
            let builder = KMeans::new(3).starts(1).seed(seed).spread(spread);
            let fitted = builder.fit(apart.rows().into()).unwrap();
            assert!(fitted.sizes.iter().all(|size| (size - 1000.0).abs() == 0.0), "{seed}");
        }
    }
}

#[test]
fn bad_data_are_named() {
    let fit = |k: usize, rows: Rows<'_>| KMeans::new(k).fit(rows.into()).unwrap_err();
    assert_eq!(fit(1, Rows::new(&[], 0, 2)), FitError::Data(DataError::Empty));
    let few = DataError::TooFew { n: 2, needed: 3 };
    assert_eq!(fit(3, Rows::new(&[1.0, 2.0], 2, 1)), FitError::Data(few));
    let same = DataError::TooFewDistinct { distinct: 2, needed: 3 };
    assert_eq!(fit(3, Rows::new(&[1.0, 2.0, 1.0, 2.0], 4, 1)), FitError::Data(same));
    for bad in [f64::NAN, f64::INFINITY] {
        let error = fit(1, Rows::new(&[1.0, 2.0, 3.0, bad], 2, 2));
        let FitError::Data(DataError::NotFinite { row: 1, column: 1, .. }) = error else {
            panic!("{error}")
        };
    }
    let start = Centers::new(vec![1.0, 2.0], 2).unwrap();
    let width = DataError::Dimension { expected: 2, found: 1 };
    let error = KMeans::new(1).start_at(start.clone()).fit(Rows::new(&[1.0, 2.0], 2, 1).into());
    assert_eq!(error.unwrap_err(), FitError::Data(width.clone()));
    assert_eq!(start.predict(Rows::new(&[1.0], 1, 1)), Err(width));
    assert!(fit(2, Rows::new(&[-1e200, 0.0, 1e200], 3, 1)).to_string().contains("not finite"));
    assert_eq!(Centers::new(vec![], 1), Err(CentersError::Empty));
    let ragged = CentersError::Ragged { center: 1, found: 1, expected: 2 };
    assert_eq!(Centers::new(vec![1.0, 2.0, 3.0], 2), Err(ragged));
    assert_eq!(Centers::try_from(vec![vec![1.0, 2.0], vec![3.0]]), Err(ragged_of(1)));
}

fn ragged_of(found: usize) -> CentersError {
    CentersError::Ragged { center: 1, found, expected: 2 }
}

#[test]
fn one_center_is_the_mean_and_equal_rows_are_no_harm() {
    let data = [3.0, 3.0, 3.0];
    let fitted = KMeans::new(1).fit(Rows::new(&data, 3, 1).into()).unwrap();
    assert!((fitted.centers.center(0)[0] - 3.0).abs() == 0.0 && fitted.inertia.abs() == 0.0);
}

#[cfg(feature = "serde")]
#[test]
fn centers_survive_a_file() {
    let centers = Centers::new(vec![0.1, 2.0, -3.0, 1e-300], 2).unwrap();
    let text = serde_json::to_string(&centers).unwrap();
    assert_eq!(text, "[[0.1,2.0],[-3.0,1e-300]]");
    assert_eq!(serde_json::from_str::<Centers>(&text).unwrap(), centers);
    assert!(serde_json::from_str::<Centers>("[[1.0],[2.0,3.0]]").is_err());
}

/// The least inertia of all ways to cut ascending numbers into `k` intervals.
fn least(values: &[(f64, f64)], k: usize) -> f64 {
    let cost = |part: &[(f64, f64)]| {
        let weight: f64 = part.iter().map(|(_, w)| w).sum();
        let mean = part.iter().map(|(x, w)| x * w).sum::<f64>() / weight;
        part.iter().map(|(x, w)| w * (x - mean) * (x - mean)).sum::<f64>()
    };
    if k == 1 {
        return cost(values);
    }
    (k - 1..values.len())
        .map(|cut| least(&values[..cut], k - 1) + cost(&values[cut..]))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn exact_k_means_of_numbers_is_the_best_of_all_partitions() {
    let mut rng = crate::rng(6);
    for _ in 0..60 {
        let n = rng.random_range(1..=9);
        let mut pairs: Vec<(f64, f64)> = (0..n)
            .map(|_| {
                (f64::from(rng.random_range(0_i32..12)), f64::from(rng.random_range(1_i32..4)))
            })
            .collect();
        let values: Vec<f64> = pairs.iter().map(|(x, _)| *x).collect();
        let weights: Vec<f64> = pairs.iter().map(|(_, w)| *w).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut distinct = values.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        for k in 1..=distinct.len() {
            let data = Weighted::new(&values[..], &weights).unwrap();
            let exact = exact_kmeans(data, k).unwrap();
            let expected = least(&pairs, k);
            // Nine numbers below 12 with weights below 4: sums of squares up to some thousands.
            assert!((exact.inertia - expected).abs() < 1e-11, "{} {expected}", exact.inertia);
            assert!((exact.sizes.iter().sum::<f64>() - weights.iter().sum::<f64>()).abs() < 1e-12);
            assert!(exact.centers.values().is_sorted());
        }
        let data = Weighted::new(&values[..], &weights).unwrap();
        let too_few = DataError::TooFewDistinct { distinct: distinct.len(), needed: 99 };
        assert_eq!(exact_kmeans(data, 99).unwrap_err(), FitError::Data(too_few));
    }
}

#[test]
fn exact_k_means_is_never_beaten_by_lloyd_and_mostly_met() {
    let table = clusters(500, 1, 4, 12);
    let exact = exact_kmeans((&table.values[..]).into(), 6).unwrap();
    let fitted = KMeans::new(6).starts(50).fit(table.rows().into()).unwrap();
    assert!(exact.inertia <= fitted.inertia * (1.0 + ROUNDING));
    assert!(fitted.inertia <= 1.001 * exact.inertia, "{} {}", fitted.inertia, exact.inertia);
    // Rounded to 2⁻²⁰, so that 10⁹ can be added exactly.
    let near: Vec<f64> =
        table.values.iter().map(|x| (x * 1_048_576.0).round() / 1_048_576.0).collect();
    let far: Vec<f64> = near.iter().map(|x| x + 1e9).collect();
    let inertia = |values: &[f64]| exact_kmeans(values.into(), 6).unwrap().inertia;
    assert!((inertia(&far) / inertia(&near) - 1.0).abs() < ROUNDING);
}

#[test]
fn known_optima_are_found() {
    // KMeans(k, n_init=200).inertia_ of scikit-learn 1.9.1 on iris.
    let iris = shipped("iris");
    for (k, inertia) in [
        (2, 152.347_951_760_357_9),
        (3, 78.851_441_426_146),
        (4, 57.228_473_214_285_72),
        (5, 46.446_182_051_282_07),
    ] {
        let fitted = KMeans::new(k).starts(50).fit(iris.rows().into()).unwrap();
        assert!((fitted.inertia / inertia - 1.0).abs() < 1e-10, "{k}: {}", fitted.inertia);
    }
}

#[test]
fn directions_are_clustered_by_their_angle() {
    let table = clusters(900, 4, 3, 30);
    let fitted = KMeans::new(3).spherical().fit(table.rows().into()).unwrap();
    let scaled = Table {
        values: table
            .values
            .chunks_exact(4)
            .enumerate()
            .flat_map(|(i, row)| row.iter().map(move |x| x * (1.0 + i as f64)).collect::<Vec<_>>())
            .collect(),
        ..table
    };
    let again = KMeans::new(3).spherical().fit(scaled.rows().into()).unwrap();
    assert!((again.inertia / fitted.inertia - 1.0).abs() < ROUNDING);
    let labels = fitted.centers.predict(scaled.rows()).unwrap();
    let mut inertia = 0.0;
    for (row, label) in table.values.chunks_exact(4).zip(labels) {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let cosine = |j: usize| {
            row.iter().zip(fitted.centers.center(j)).map(|(x, c)| x * c).sum::<f64>() / length
        };
        assert!((0..3).all(|j| cosine(j) <= cosine(label) + ROUNDING));
        inertia += 2.0 * (1.0 - cosine(label));
    }
    assert!((inertia / fitted.inertia - 1.0).abs() < 1e-9);
    for j in 0..3 {
        let length: f64 = fitted.centers.center(j).iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-14);
    }
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
    let zero = KMeans::new(1).spherical().fit(Rows::new(&[1.0, 0.0, 0.0, 0.0], 2, 2).into());
    assert_eq!(zero.unwrap_err(), FitError::Data(DataError::Norm { row: 1, norm: 0.0 }));
}

#[test]
fn bisecting_cuts_what_costs_most() {
    let data = [0.0, 1.0, 10.0, 11.0, 40.0, 41.0, 42.0];
    let rows = Rows::new(&data, 7, 1);
    let cut = |k| KMeans::new(k).spread(Spread::Bisecting).settings(exactly(0)).fit(rows.into());
    let mut two = cut(2).unwrap();
    two.sort_by_size();
    assert_eq!(two.sizes, [4.0, 3.0]);
    let mut three = cut(3).unwrap();
    three.sort_by_size();
    assert_eq!((three.sizes, three.inertia), (vec![3.0, 2.0, 2.0], 3.0));
    let same = DataError::TooFewDistinct { distinct: 7, needed: 8 };
    let repeated = [data, data].concat();
    let error = KMeans::new(8).spread(Spread::Bisecting).fit(Rows::new(&repeated, 14, 1).into());
    assert_eq!(error.unwrap_err(), FitError::Data(same));
}
