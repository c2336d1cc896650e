//! Arrays, vectors and tuples of numbers are statistics.

mod arrays {
    use proptest::array::uniform3;

    elbo_laws::statistics_laws!(uniform3(-1e3..1e3_f64));
}

mod vectors {
    use proptest::collection::vec;

    elbo_laws::statistics_laws!(vec(-1e3..1e3_f64, 4));
}

mod pairs {
    use proptest::{array::uniform2, collection::vec};

    elbo_laws::statistics_laws!((uniform2(-1.0..1.0_f64), vec(-1e6..1e6_f64, 3)));
}

mod nested {
    use proptest::{array::uniform2, collection::vec};

    elbo_laws::statistics_laws!((
        vec((uniform2(-1.0..1.0_f64), uniform2(-9.0..9.0_f64)), 2),
        uniform2(0.0..1.0_f64),
        vec(0.0..1.0_f64, 0),
        vec(-1e9..1e9_f64, 1),
    ));
}

use elbo_core::Statistics;

#[test]
fn axpy_adds_number_by_number() {
    let mut a = ([1.0, 2.0], vec![vec![3.0], vec![4.0]], [5.0]);
    a.axpy(-2.0, &([0.5, 1.0], vec![vec![1.0], vec![-1.0]], [0.0]));
    assert_eq!(a, ([0.0, 0.0], vec![vec![1.0], vec![6.0]], [5.0]));
    assert_eq!(a.dim(), 5);
}

#[test]
#[should_panic(expected = "different shapes")]
fn shapes_must_agree() {
    vec![1.0].merge(&vec![1.0, 2.0]);
}

#[test]
#[should_panic(expected = "another length")]
fn a_flat_view_must_have_the_right_length() {
    [0.0; 2].read_from(&[1.0, 2.0, 3.0]);
}
