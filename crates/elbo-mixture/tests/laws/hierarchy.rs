//! Hierarchies are trees of partitions, and start mixtures of any size.

use std::sync::Arc;

use elbo_mixture::{
    CovarianceStructure, Criterion, DataError, FitError, GaussianMixture, Hierarchy, Rows, Weighted,
};

use crate::support::{Table, clusters, reference, shipped};

/// The partition as numbers in the order of first rows, whatever the numbers were.
fn canonical(labels: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    labels
        .iter()
        .map(|label| {
            seen.iter().position(|other| other == label).unwrap_or_else(|| {
                seen.push(*label);
                seen.len() - 1
            })
        })
        .collect()
}

fn hierarchy(table: &Table) -> Hierarchy {
    Hierarchy::of(table.rows().into()).unwrap()
}

/// The same criterion by brute force: all pairs anew in each step, from the rows of the clusters themselves, by a determinant
/// that is expanded. Of two columns.
fn by_brute_force(table: &Table, k: usize) -> Vec<usize> {
    let n = table.n;
    let column = |j: usize| table.values.iter().skip(j).step_by(2).copied().collect::<Vec<f64>>();
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mut x, mut y) = (column(0), column(1));
    // Gram-Schmidt makes covariances of two columns 0 and variances 1; the criterion knows no rotation.
    let center = |x: &mut Vec<f64>| {
        let m = mean(x);
        for v in x.iter_mut() {
            *v -= m;
        }
    };
    let scale = |x: &mut Vec<f64>| {
        let s = (x.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
        for v in x.iter_mut() {
            *v /= s;
        }
    };
    center(&mut x);
    center(&mut y);
    scale(&mut x);
    let slope = x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>() / n as f64;
    y.iter_mut().zip(&x).for_each(|(b, a)| *b -= slope * a);
    scale(&mut y);
    let scatter = |rows: &[usize]| {
        let w = rows.len() as f64;
        let (mx, my) = (
            rows.iter().map(|i| x[*i]).sum::<f64>() / w,
            rows.iter().map(|i| y[*i]).sum::<f64>() / w,
        );
        rows.iter().fold([0.0; 3], |[xx, xy, yy], i| {
            let (a, b) = (x[*i] - mx, y[*i] - my);
            [xx + a * a, xy + a * b, yy + b * b]
        })
    };
    let sphere = |rows: &[usize]| scatter(rows)[0] + scatter(rows)[2];
    let ellipsoid = |rows: &[usize]| {
        let ([xx, xy, yy], w) = (scatter(rows), rows.len() as f64);
        w * (((xx + 0.125) * (yy + 0.125) - xy * xy) / (w * w)).ln()
    };
    let mut parts: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    while parts.len() > k {
        let cost: &dyn Fn(&[usize]) -> f64 = if parts.len() > n / 4 { &sphere } else { &ellipsoid };
        let mut best = (f64::INFINITY, 0, 0);
        for i in 0..parts.len() {
            for j in i + 1..parts.len() {
                let union: Vec<usize> = parts[i].iter().chain(&parts[j]).copied().collect();
                let price = cost(&union) - cost(&parts[i]) - cost(&parts[j]);
                if price < best.0 {
                    best = (price, i, j);
                }
            }
        }
        let gone = parts.swap_remove(best.2);
        parts[best.1].extend(gone);
    }
    let mut labels = vec![0; n];
    for (label, part) in parts.iter().enumerate() {
        for i in part {
            labels[*i] = label;
        }
    }
    canonical(&labels)
}

#[test]
fn every_step_joins_the_pair_that_costs_least() {
    for seed in 0..4 {
        let table = clusters(40, 2, 3, seed);
        let tree = hierarchy(&table);
        for k in [1, 2, 3, 5, 9, 10, 11, 20, 40] {
            assert_eq!(tree.labels(k), by_brute_force(&table, k), "seed {seed}, {k} parts");
        }
    }
}

#[test]
fn partitions_are_nested_and_have_as_many_parts_as_asked_for() {
    let iris = shipped("iris");
    let tree = hierarchy(&iris);
    let mut finer = tree.labels(iris.n);
    assert_eq!(finer, (0..iris.n).collect::<Vec<_>>());
    for k in (1..iris.n).rev() {
        let labels = tree.labels(k);
        assert_eq!(labels, canonical(&labels));
        assert_eq!(labels.iter().max(), Some(&(k - 1)));
        for i in 0..iris.n {
            // The first row of a finer part is in the same coarser one.
            let first = finer.iter().position(|label| *label == finer[i]).unwrap();
            assert_eq!(labels[i], labels[first]);
        }
        finer = labels;
    }
    assert_eq!(tree.labels(1000).len(), iris.n);
}

#[test]
fn scales_and_origins_of_columns_are_irrelevant() {
    let faithful = shipped("faithful");
    let tree = hierarchy(&faithful);
    let moved = faithful.map(|x| 1024.0 * x - 512.0); // exact in binary
    assert_eq!(hierarchy(&moved).labels(6), tree.labels(6));
}

#[test]
fn rows_of_weight_zero_are_left_out() {
    let table = clusters(60, 2, 3, 7);
    let weights: Vec<f64> = (0..60).map(|i| f64::from(u8::from(i % 3 != 0))).collect();
    let kept: Vec<usize> = (0..60).filter(|i| i % 3 != 0).collect();
    let values: Vec<f64> =
        kept.iter().flat_map(|i| [table.values[2 * i], table.values[2 * i + 1]]).collect();
    let weighted = Weighted::new(table.rows(), &weights).unwrap();
    let tree = Hierarchy::of(weighted).unwrap();
    assert_eq!(tree.rows(), kept);
    let without = Hierarchy::of(Rows::new(&values, 40, 2).into()).unwrap();
    for k in [2, 4, 8] {
        assert_eq!(tree.labels(k), without.labels(k));
    }
}

#[test]
fn columns_that_depend_on_each_other_and_equal_rows_are_no_obstacle() {
    let values: Vec<f64> =
        (0..40).flat_map(|i| [f64::from(i / 10), f64::from(i / 10 * 2)]).collect();
    let tree = Hierarchy::of(Rows::new(&values, 40, 2).into()).unwrap();
    assert_eq!(tree.labels(4), (0..40).map(|i| i / 10).collect::<Vec<_>>());
    let nan = Hierarchy::of(Rows::new(&[1.0, f64::NAN], 2, 1).into());
    assert!(matches!(nan.err(), Some(DataError::NotFinite { row: 1, column: 0, .. })));
}

#[test]
fn of_many_rows_some_are_drawn() {
    let table = clusters(3000, 2, 3, 5);
    let tree = Arc::new(hierarchy(&table));
    assert_eq!(tree.rows().len(), 1000);
    assert!(tree.rows().windows(2).all(|pair| pair[0] < pair[1]));
    let fitted = GaussianMixture::new(3).hierarchical(tree).fit(table.rows().into()).unwrap();
    assert!(fitted.report.stopped.is_converged());
    assert_eq!(fitted.runs.ends.len(), 1);
}

#[test]
fn more_parts_than_rows_are_an_error() {
    let data = [1.0, 2.0, 4.0];
    let rows = Rows::new(&data, 3, 1);
    let tree = Arc::new(Hierarchy::of(rows.into()).unwrap());
    let result = GaussianMixture::new(4).hierarchical(tree).fit(rows.into());
    assert_eq!(result.err(), Some(FitError::Data(DataError::TooFew { n: 3, needed: 4 })));
}

#[test]
fn one_hierarchy_starts_all_structures_as_well_as_mclust_does() {
    let faithful = shipped("faithful");
    let tree = Arc::new(hierarchy(&faithful));
    let selection = GaussianMixture::new(1).hierarchical(tree).select(
        faithful.rows().into(),
        &[1, 2, 3],
        &CovarianceStructure::ALL,
        Criterion::Bic,
    );
    assert!(selection.candidates.iter().all(|one| one.fit.is_ok()));
    let best = selection.best().unwrap();
    assert_eq!(best.label, (3, CovarianceStructure::EEE));
    let Some(folder) = reference() else { return };
    let path = folder.join("mixture/ref_mclustBIC_faithful.csv");
    let text = std::fs::read_to_string(path).unwrap().replace('"', "");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    for cells in lines.take(3) {
        let k: usize = cells[0].parse().unwrap();
        for (name, cell) in names.iter().zip(&cells).skip(1) {
            let label = (k, name.parse::<CovarianceStructure>().unwrap());
            let ours = selection.candidates.iter().find(|one| one.label == label).unwrap();
            let bic = ours.fit.as_ref().unwrap().bic();
            // mclust stops at a relative change of 10⁻⁵ and tells the negative.
            assert!(bic < -cell.parse::<f64>().unwrap() + 0.01, "{label:?}: {bic} and {cell}");
        }
    }
}
