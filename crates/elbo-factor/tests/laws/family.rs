//! Probabilistic PCA obeys the laws of families and of flat parameters.

use elbo_factor::{ProbabilisticPca, Rows};
use elbo_laws::parameters::{
    coordinates_give_the_distribution_back, every_point_is_a_distribution,
};
use elbo_laws::{Sample, WeightedSample};
use proptest::{collection::vec, prelude::*};

/// Rows that a test owns.
#[derive(Clone, Debug)]
struct Table {
    data: Vec<f64>,
    d: usize,
}

impl Sample for Table {
    type Family = ProbabilisticPca;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| &self.data[i * self.d..][..self.d];
        Self { data: rows.iter().flat_map(row).copied().collect(), d: self.d }
    }
}

fn pca(d: usize, q: usize) -> impl Strategy<Value = ProbabilisticPca> {
    let loading = prop_oneof![0.3..1.0_f64, -1.0..-0.3_f64];
    (vec(-10.0..10.0_f64, d), vec(loading, d * q), 0.1..2.0_f64)
        .prop_map(|(mean, loadings, noise)| ProbabilisticPca::new(mean, &loadings, noise).unwrap())
}

fn sample(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    (1..40_usize).prop_flat_map(move |n| {
        (vec(-3.0..3.0_f64, n * d), vec(weight.clone(), n), 0.1..2.0).prop_map(
            move |(data, mut weights, first)| {
                weights[0] = first;
                WeightedSample::new(Table { data, d }, weights)
            },
        )
    })
}

fn extreme(d: usize) -> Just<Table> {
    Just(Table { data: [f64::MAX, f64::MIN, 0.0].repeat(d), d })
}

elbo_laws::family_laws!(pca(3, 1), sample(3), extreme(3), 1e5);

proptest! {
    #[test]
    fn coordinates_tell_the_distribution(of in pca(4, 2), sample in sample(4)) {
        coordinates_give_the_distribution_back(&of, &sample.data, 1e4);
    }

    #[test]
    fn any_coordinates_are_some(flat in vec(-2.0..2.0_f64, 12)) {
        // 4 means, 3 + 4 loadings, a variance
        every_point_is_a_distribution(&ProbabilisticPca::standard(vec![0.0; 4], 2), &flat);
    }
}

#[cfg(feature = "serde")]
proptest! {
    #[test]
    fn words_keep_every_bit(of in pca(4, 2)) {
        let text = serde_json::to_string(&of).unwrap();
        prop_assert_eq!(serde_json::from_str::<ProbabilisticPca>(&text).unwrap(), of);
    }
}

#[cfg(feature = "serde")]
#[test]
fn words_that_are_no_distribution_are_refused() {
    let read = |text: &str| serde_json::from_str::<ProbabilisticPca>(text);
    assert!(read(r#"{"mean": [0, 0], "loadings": [[1], [2]], "noise_variance": 0.5}"#).is_ok());
    assert!(read(r#"{"mean": [0, 0], "loadings": [[1], [2]], "noise_variance": 0}"#).is_err());
    assert!(read(r#"{"mean": [0, 0], "loadings": [[1]], "noise_variance": 1}"#).is_err());
}
