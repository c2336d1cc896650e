//! Merging components into clusters.

use elbo_laws::assert_close;
use elbo_mixture::{CovarianceStructure, Gaussian, GaussianMixture, Merging, Mixture, Weighted};
use proptest::{collection::vec, prelude::*};

use crate::support::shipped;

fn mixture() -> impl Strategy<Value = Mixture<Gaussian>> {
    vec((-5.0..5.0_f64, 0.1..2.0_f64, 0.1..1.0_f64), 2..6).prop_map(|parts| {
        let total: f64 = parts.iter().map(|(_, _, weight)| weight).sum();
        let weights = parts.iter().map(|(_, _, weight)| weight / total).collect();
        let components = parts.iter().map(|(mean, var, _)| Gaussian::new(*mean, *var).unwrap());
        Mixture::new(weights, components.collect()).unwrap()
    })
}

/// The entropy of clusters, from responsibilities: the definition.
fn entropy(shares: &[f64], weights: &[f64], groups: &[usize]) -> f64 {
    let mut sum = 0.0;
    for (row, weight) in shares.chunks_exact(groups.len()).zip(weights) {
        for cluster in 0..=*groups.iter().max().unwrap() {
            let own = row.iter().zip(groups).filter(|(_, group)| **group == cluster);
            let share: f64 = own.map(|(share, _)| share).sum();
            if share > 0.0 {
                sum -= weight * share * share.ln();
            }
        }
    }
    sum
}

/// Every way to merge two of these clusters.
fn unions(groups: &[usize]) -> Vec<Vec<usize>> {
    let clusters = *groups.iter().max().unwrap() + 1;
    let mut all = Vec::new();
    for b in 1..clusters {
        for a in 0..b {
            let merge = |group: &usize| match *group {
                group if group == b => a,
                group if group > b => group - 1,
                group => group,
            };
            all.push(groups.iter().map(merge).collect());
        }
    }
    all
}

proptest! {
    #[test]
    fn every_merger_is_the_best_of_its_moment(
        mixture in mixture(), rows in vec((-6.0..6.0_f64, 0.1..3.0_f64), 5..60)
    ) {
        let (data, weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        let shares = mixture.responsibilities(&data[..]).unwrap();
        let merging = mixture.merging(Weighted::new(&data[..], &weights).unwrap()).unwrap();
        let k = mixture.k();
        let size = merging.entropy() + weights.iter().sum::<f64>();
        assert_close(merging.entropy(), entropy(&shares, &weights, &merging.groups(k)), size);
        let mut uncertain = vec![f64::NAN; data.len()];
        mixture.uncertainty_into(&data[..], &mut uncertain).unwrap();
        for (uncertain, row) in uncertain.iter().zip(shares.chunks_exact(k)) {
            assert_close(*uncertain, 1.0 - row.iter().copied().fold(0.0, f64::max), 1.0);
        }
        prop_assert_eq!(merging.mergers().len(), k - 1);
        for (done, merger) in merging.mergers().iter().enumerate() {
            let groups = merging.groups(k - done - 1);
            assert_close(merger.entropy, entropy(&shares, &weights, &groups), size);
            let rivals = unions(&merging.groups(k - done));
            prop_assert!(rivals.contains(&groups), "{groups:?} is no union");
            let least = rivals.iter().map(|other| entropy(&shares, &weights, other));
            let least = least.fold(f64::INFINITY, f64::min);
            prop_assert!(merger.entropy <= least + 1e-12 * size, "{} beats {}", least, merger.entropy);
        }
        prop_assert!(merging.groups(1).iter().all(|group| *group == 0));
        assert_close(merging.mergers().last().unwrap().entropy, 0.0, size);
    }
}

/// Six Gaussians on Old Faithful describe two clusters.
#[test]
fn old_faithful_has_two_clusters_of_six_components() {
    let faithful = shipped("faithful");
    let fitted = GaussianMixture::new(6)
        .structure(CovarianceStructure::EEE)
        .seed(3)
        .fit(faithful.rows().into())
        .unwrap();
    let merging: Merging = fitted.mixture.merging(faithful.rows()).unwrap();
    let groups = merging.groups(2);
    for (component, group) in fitted.mixture.components().iter().zip(&groups) {
        let is_long = component.mean()[0] > 3.2;
        let first_is_long = fitted.mixture.components()[0].mean()[0] > 3.2;
        assert_eq!(*group == 0, is_long == first_is_long, "{:?}", component.mean());
    }
}

/// Three groups, each of two components that are the same: three mergers take all the entropy, the others none.
#[test]
fn the_curve_bends_where_nothing_is_left_to_gain() {
    let component = |i: usize| Gaussian::new(100.0 * (i / 2) as f64, 1.0).unwrap();
    let six = Mixture::new(vec![1.0 / 6.0; 6], (0..6).map(component).collect()).unwrap();
    let data: Vec<f64> =
        (0..30).map(|i| 100.0 * f64::from(i % 3) + f64::from(i % 5) - 2.0).collect();
    let merging = six.merging(&data[..]).unwrap();
    assert_close(merging.entropy(), 30.0 * 2.0_f64.ln(), 30.0);
    assert_eq!(merging.suggested_clusters(), Some(3));
    assert_eq!(merging.groups(3), [0, 0, 1, 1, 2, 2]);
    let few = Mixture::new(vec![1.0], vec![Gaussian::new(0.0, 1.0).unwrap()]).unwrap();
    assert_eq!(few.merging(&[0.0][..]).unwrap().suggested_clusters(), None);
}
