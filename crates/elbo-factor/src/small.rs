//! Small square matrices without structure.

/// The identity of order `q`.
pub(crate) fn identity(q: usize) -> Vec<f64> {
    (0..q * q).map(|p| f64::from(u8::from(p % (q + 1) == 0))).collect()
}

/// The transpose of a `q × q` matrix.
pub(crate) fn transposed(a: &[f64], q: usize) -> Vec<f64> {
    (0..q * q).map(|p| a[p % q * q + p / q]).collect()
}

/// The inverse; nothing if singular to working precision.
pub(crate) fn inverse(a: &[f64], q: usize) -> Option<Vec<f64>> {
    inverse_and_log_det(a, q).map(|(inverse, _)| inverse)
}

/// The inverse and `ln |det a|` by elimination with row exchanges; nothing if singular to working precision.
pub(crate) fn inverse_and_log_det(a: &[f64], q: usize) -> Option<(Vec<f64>, f64)> {
    let (mut a, mut b, mut log_det) = (a.to_vec(), identity(q), 0.0);
    let size = a.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    for k in 0..q {
        let pivot = (k..q).max_by(|i, j| a[i * q + k].abs().total_cmp(&a[j * q + k].abs()))?;
        let value = a[pivot * q + k];
        let is_regular = value.abs() > 1e-13 * size; // false for NaN
        if !is_regular {
            return None;
        }
        log_det += value.abs().ln();
        for column in 0..q {
            a.swap(k * q + column, pivot * q + column);
            b.swap(k * q + column, pivot * q + column);
        }
        for x in [&mut a, &mut b] {
            x[k * q..][..q].iter_mut().for_each(|x| *x /= value);
        }
        for i in (0..q).filter(|i| *i != k) {
            let factor = a[i * q + k];
            for column in 0..q {
                a[i * q + column] -= factor * a[k * q + column];
                b[i * q + column] -= factor * b[k * q + column];
            }
        }
    }
    Some((b, log_det))
}
