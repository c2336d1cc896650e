//! Vectors of the numbers that data are stored in, `f64` or `f32`, for kernels that are written once for both.

use super::{MAX_LANES, Simd};

/// The largest [`Lanes::WIDTH`] of any type and instruction set.
pub const MAX_WIDTH: usize = 2 * MAX_LANES;

/// A number that data are stored in. Parameters and sums stay `f64`.
pub trait Number: Copy + Default + PartialOrd + Send + Sync + Into<f64> + 'static {
    /// The vectors of such numbers that go with `S`.
    type Vector<S: Simd>: Lanes<Self>;

    /// Distance from 1 to the next larger number.
    const EPSILON: f64;

    /// The nearest such number.
    fn nearest(value: f64) -> Self;

    /// The first `S::LANES` numbers of a slice as `f64`, zeros beyond its end.
    fn widen<S: Simd>(from: &[Self]) -> S;
}

/// A vector of [`WIDTH`](Self::WIDTH) numbers of type `T`. Every [`Simd`] is one of `f64`, every [`Simd::Single`] one of
/// `f32`.
pub trait Lanes<T>: Copy {
    /// One truth value per lane.
    type Mask: Copy;

    /// Numbers per vector, at most [`MAX_WIDTH`].
    const WIDTH: usize;

    /// The same number in every lane.
    fn splat(value: T) -> Self;

    /// The first `WIDTH` numbers of a slice.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn load(from: &[T]) -> Self;

    /// Overwrites the first `WIDTH` numbers of a slice.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn store(self, to: &mut [T]);

    /// `self − other`.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// `self · other`.
    #[must_use]
    fn times(self, other: Self) -> Self;

    /// `self · factor + addend`, rounded once where the CPU has the instruction.
    #[must_use]
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// The larger one per lane.
    #[must_use]
    fn max(self, other: Self) -> Self;

    /// The smaller one per lane.
    #[must_use]
    fn min(self, other: Self) -> Self;

    /// `self < other` per lane; false for NaN.
    fn lt(self, other: Self) -> Self::Mask;

    /// `yes` where the mask holds, `no` elsewhere.
    #[must_use]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// Transposes the square block held by the first `WIDTH` vectors, in registers.
    fn transpose(rows: &mut [Self; MAX_WIDTH]);
}

impl<S: Simd> Lanes<f64> for S {
    type Mask = <S as Simd>::Mask;

    const WIDTH: usize = S::LANES;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        <S as Simd>::splat(value)
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        <S as Simd>::load(from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        <S as Simd>::store(self, to);
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        <S as Simd>::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        <S as Simd>::max(self, other)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        <S as Simd>::min(self, other)
    }

    #[inline(always)]
    fn lt(self, other: Self) -> <S as Simd>::Mask {
        <S as Simd>::lt(self, other)
    }

    #[inline(always)]
    fn select(mask: <S as Simd>::Mask, yes: Self, no: Self) -> Self {
        <S as Simd>::select(mask, yes, no)
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_WIDTH]) {
        if let Some(block) = rows.first_chunk_mut() {
            <S as Simd>::transpose(block);
        }
    }
}

impl Number for f64 {
    type Vector<S: Simd> = S;

    const EPSILON: f64 = f64::EPSILON;

    #[inline(always)]
    fn nearest(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen<S: Simd>(from: &[f64]) -> S {
        S::load_or(from, 0.0)
    }
}

impl Number for f32 {
    type Vector<S: Simd> = S::Single;

    const EPSILON: f64 = f32::EPSILON as f64;

    #[allow(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
    #[inline(always)]
    fn nearest(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn widen<S: Simd>(from: &[f32]) -> S {
        if from.len() >= S::LANES {
            return S::load_single(from);
        }
        let mut head = [0.0; MAX_LANES];
        head[..from.len()].copy_from_slice(from);
        S::load_single(&head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernel, Level};

    /// Every operation of one type, lane by lane, as plain numbers.
    struct Everything;

    impl Kernel for Everything {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self) {
            check::<f64, S>();
            check::<f32, S::Single>();
            let numbers: Vec<f32> = (0..16_u8).map(|i| f32::from(i) + 0.25).collect();
            for n in 0..=S::LANES {
                let mut wide = [9.0; MAX_LANES];
                f32::widen::<S>(&numbers[..n]).store_head(&mut wide[..S::LANES]);
                for (i, x) in wide[..S::LANES].iter().enumerate() {
                    let expected = if i < n { f64::from(numbers[i]) } else { 0.0 };
                    assert_eq!(x.to_bits(), expected.to_bits());
                }
            }
        }
    }

    fn check<T: Number + core::fmt::Debug, V: Lanes<T>>() {
        let n = V::WIDTH;
        assert!(n <= MAX_WIDTH);
        let number = |i: usize| T::nearest(f64::from(u32::try_from(i * 7 % 11).unwrap()) - 5.0);
        let (a, b): (Vec<T>, Vec<T>) =
            ((0..n).map(number).collect(), (3..n + 3).map(number).collect());
        let (x, y) = (V::load(&a), V::load(&b));
        let two = V::splat(T::nearest(2.0));
        let seen = |v: V| {
            let mut out = vec![T::default(); n];
            v.store(&mut out);
            out
        };
        let lanes = |f: &dyn Fn(f64, f64) -> f64| -> Vec<T> {
            a.iter().zip(&b).map(|(a, b)| T::nearest(f((*a).into(), (*b).into()))).collect()
        };
        assert_eq!(seen(x.minus(y)), lanes(&|a, b| a - b));
        assert_eq!(seen(x.times(y)), lanes(&|a, b| a * b));
        assert_eq!(seen(x.mul_add(y, two)), lanes(&|a, b| a * b + 2.0));
        assert_eq!(seen(x.max(y)), lanes(&f64::max));
        assert_eq!(seen(x.min(y)), lanes(&f64::min));
        let less = |a: f64, b: f64| if a < b { a } else { 2.0 };
        assert_eq!(seen(V::select(x.lt(y), x, two)), lanes(&less));
        let cell = |i: usize, j: usize| T::nearest(f64::from(u32::try_from(i * n + j).unwrap()));
        let mut block = [two; MAX_WIDTH];
        for (i, row) in block.iter_mut().enumerate().take(n) {
            *row = V::load(&(0..n).map(|j| cell(i, j)).collect::<Vec<_>>());
        }
        V::transpose(&mut block);
        for (j, column) in block.iter().enumerate().take(n) {
            assert_eq!(seen(*column), (0..n).map(|i| cell(i, j)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lanes_are_numbers_side_by_side() {
        for level in Level::available() {
            level.dispatch(Everything);
        }
    }
}
