//! Statistics are a vector space.

use elbo_core::{Statistics, read_statistics, write_statistics};

use crate::TOLERANCE;

/// `a ≈ b`, part by part, relative to the largest numbers that `inputs` show in any of their coordinates.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_same<S: Statistics>(a: &S, b: &S, inputs: &[&S]) {
    let sizes = part_sizes(inputs);
    let mut aligned = b.clone();
    aligned.align(a);
    let (a, b) = (parts(a), parts(&aligned));
    assert_eq!(a.len(), b.len(), "another number of parts");
    for (part, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_eq!(a.len(), b.len(), "part {part} has another length");
        let tolerance = TOLERANCE * sizes[part].max(f64::MIN_POSITIVE);
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= tolerance,
                "part {part}, number {i}: {a:e} ≠ {b:e} within {tolerance:e}"
            );
        }
    }
}

/// The same bits in the flat views.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_same_bits<S: Statistics>(a: &S, b: &S) {
    assert_eq!(bits(a), bits(b), "statistics differ");
}

/// `a + b = b + a`.
///
/// # Panics
///
/// If not, like all laws.
pub fn merge_is_commutative<S: Statistics>(a: &S, b: &S) {
    assert_same(&merged(a, b), &merged(b, a), &[a, b]);
}

/// `(a + b) + c = a + (b + c)`.
///
/// # Panics
///
/// If not.
pub fn merge_is_associative<S: Statistics>(a: &S, b: &S, c: &S) {
    assert_same(&merged(&merged(a, b), c), &merged(a, &merged(b, c)), &[a, b, c]);
}

/// `a + 0 = 0 + a = a`, the first bit for bit.
///
/// # Panics
///
/// If not.
pub fn zero_is_the_identity_of_merge<S: Statistics>(a: &S) {
    let mut zero = a.clone();
    zero.set_zero();
    assert_same(&merged(a, &zero), a, &[a]);
    assert_same(&merged(&zero, a), a, &[a]);
    let mut flat = Vec::new();
    zero.write_to(&mut flat);
    assert!(flat.iter().all(|x| *x == 0.0), "cleared statistics hold {flat:?}");
}

/// `s·(r·a) = (s·r)·a`.
///
/// # Panics
///
/// If not.
pub fn scaling_composes<S: Statistics>(a: &S, r: f64, s: f64) {
    let product = scaled(a, r * s);
    assert_same(&scaled(&scaled(a, r), s), &product, &[&product]);
}

/// `a + r·b` by `axpy` is `scale`, then `merge`; and `a + b − b = a`.
///
/// # Panics
///
/// If not.
pub fn axpy_is_linear<S: Statistics>(a: &S, b: &S, r: f64) {
    let mut sum = a.clone();
    sum.axpy(r, b);
    let scaled = scaled(b, r);
    assert_same(&sum, &merged(a, &scaled), &[a, b, &scaled]);
    sum.axpy(-r, b);
    assert_same(&sum, a, &[a, b, &scaled]);
}

/// `lerp(r)` is `(1 − r)·a + r·b`.
///
/// # Panics
///
/// If not.
pub fn lerp_is_a_weighted_mean<S: Statistics>(a: &S, b: &S, r: f64) {
    let mut mean = a.clone();
    mean.lerp(r, b);
    assert_same(&mean, &merged(&scaled(a, 1.0 - r), &scaled(b, r)), &[a, b]);
}

/// `write_to` and `read_from` change no bit, and `dim` is what is written.
///
/// # Panics
///
/// If not.
pub fn the_flat_view_keeps_every_bit<S: Statistics>(a: &S) {
    let mut flat = vec![f64::NAN; 3]; // what was there before does not matter
    a.write_to(&mut flat);
    assert_eq!(flat.len(), a.dim(), "dim() is not the length of the flat view");
    let mut back = a.clone();
    back.set_zero();
    back.read_from(&flat);
    assert_same_bits(a, &back);
}

/// Expressed in the coordinates of `b` and back, `a` is the same.
///
/// # Panics
///
/// If not.
pub fn aligning_there_and_back_changes_nothing<S: Statistics>(a: &S, b: &S) {
    let mut there = a.clone();
    there.align(b);
    assert_same(a, &there, &[a, b]);
    let mut back = there.clone();
    back.align(a);
    assert_same(a, &back, &[a, b]);
}

/// Written as bytes and read over `b`, `a` is the same to the bit, by itself and in sums with statistics about other origins:
/// the views show all that statistics hold.
///
/// # Panics
///
/// If not.
pub fn bytes_keep_every_bit<S: Statistics>(a: &S, b: &S) {
    let mut back = b.clone();
    read_statistics(&write_statistics(a), &mut back).expect("bytes of the same shape");
    assert_same_bits(a, &back);
    let origins = |stats: &S| {
        let mut bits = Vec::new();
        stats.visit_origin(&mut |part| bits.extend(part.iter().map(|x| x.to_bits())));
        bits
    };
    assert_eq!(origins(a), origins(&back), "origins differ");
    assert_same_bits(&merged(a, b), &merged(&back, b));
    assert_same_bits(&merged(b, a), &merged(b, &back));
    let (mut there, mut back_there) = (a.clone(), back);
    there.align(b);
    back_there.align(b);
    assert_same_bits(&there, &back_there);
}

/// Tests of all laws of [`Statistics`] for values of a proptest strategy. Call it inside a module of its own.
///
/// The statistics drawn must be those of some data: non-negative weights.
#[macro_export]
macro_rules! statistics_laws {
    ($strategy:expr) => {
        $crate::proptest::proptest! {
            #[test]
            fn merge_is_commutative(a in $strategy, b in $strategy) {
                $crate::statistics::merge_is_commutative(&a, &b);
            }

            #[test]
            fn merge_is_associative(a in $strategy, b in $strategy, c in $strategy) {
                $crate::statistics::merge_is_associative(&a, &b, &c);
            }

            #[test]
            fn zero_is_the_identity_of_merge(a in $strategy) {
                $crate::statistics::zero_is_the_identity_of_merge(&a);
            }

            #[test]
            fn scaling_composes(a in $strategy, r in 0.0..4.0_f64, s in 0.0..4.0_f64) {
                $crate::statistics::scaling_composes(&a, r, s);
            }

            #[test]
            fn axpy_is_linear(a in $strategy, b in $strategy, r in -2.0..2.0_f64) {
                $crate::statistics::axpy_is_linear(&a, &b, r);
            }

            #[test]
            fn lerp_is_a_weighted_mean(a in $strategy, b in $strategy, r in 0.0..=1.0_f64) {
                $crate::statistics::lerp_is_a_weighted_mean(&a, &b, r);
            }

            #[test]
            fn the_flat_view_keeps_every_bit(a in $strategy) {
                $crate::statistics::the_flat_view_keeps_every_bit(&a);
            }

            #[test]
            fn aligning_there_and_back_changes_nothing(a in $strategy, b in $strategy) {
                $crate::statistics::aligning_there_and_back_changes_nothing(&a, &b);
            }

            #[test]
            fn bytes_keep_every_bit(a in $strategy, b in $strategy) {
                $crate::statistics::bytes_keep_every_bit(&a, &b);
            }
        }
    };
}

fn merged<S: Statistics>(a: &S, b: &S) -> S {
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

fn scaled<S: Statistics>(a: &S, factor: f64) -> S {
    let mut scaled = a.clone();
    scaled.scale(factor);
    scaled
}

fn parts<S: Statistics>(stats: &S) -> Vec<Vec<f64>> {
    let mut parts = Vec::new();
    stats.visit(&mut |part| parts.push(part.to_vec()));
    parts
}

fn bits<S: Statistics>(stats: &S) -> Vec<u64> {
    let mut flat = Vec::new();
    stats.write_to(&mut flat);
    flat.into_iter().map(f64::to_bits).collect()
}

/// The largest magnitude of each part over all inputs, summed over the coordinates of all of them: moving an origin
/// adds terms of this size.
fn part_sizes<S: Statistics>(inputs: &[&S]) -> Vec<f64> {
    let mut sizes: Vec<f64> = Vec::new();
    for input in inputs {
        for like in inputs {
            let mut aligned = (*input).clone();
            aligned.align(like);
            for (part, numbers) in parts(&aligned).iter().enumerate() {
                if sizes.len() == part {
                    sizes.push(0.0);
                }
                sizes[part] += numbers.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
            }
        }
    }
    sizes
}
