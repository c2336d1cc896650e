//! Vectors of `f64` lanes, one type per instruction set, and the run-time choice between them.
//!
//! A hot loop is written once, generic over [`Simd`], as a [`Kernel`]. [`Level::dispatch`] compiles it
//! for every instruction set of the target and runs the copy that the CPU can execute.
//!
//! Kernels are safe code: the implementing types are private to this crate, so generic code can
//! only meet one inside `dispatch`, after the CPU was checked; and memory is reached through slices.
#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined into the dispatched entry point is compiled without \
              its target features, and every vector operation in it becomes a call"
)]

use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, Sub};

#[cfg(test)]
mod accuracy;
mod elementary;
mod lanes;
mod level;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod single;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use lanes::{Lanes, MAX_WIDTH, Number};
pub use level::{Level, LevelError};

/// The largest [`Simd::LANES`] of any instruction set.
///
/// Buffers padded to a multiple of this are padded for all of them.
pub const MAX_LANES: usize = 8;

/// The largest [`Simd::TILE`] of any instruction set.
pub const MAX_TILE: usize = 4;

/// A computation written once for all instruction sets.
///
/// A kernel is usually a struct of views, so that [`Level::dispatch`] can pass them on. It is safe code:
/// an implementation of [`Simd`] is met only inside `dispatch`, after the CPU was checked.
///
/// ```
/// use elbo_linalg::{Kernel, Level, Simd};
///
/// struct SumOfSquares<'a>(&'a [f64]);
///
/// impl Kernel for SumOfSquares<'_> {
///     type Output = f64;
///     #[inline(always)]
///     fn run<S: Simd>(self) -> f64 {
///         let mut total = S::splat(0.0);
///         for lanes in self.0.chunks(S::LANES) {
///             let x = S::load_or(lanes, 0.0);
///             total = x.mul_add(x, total);
///         }
///         total.sum()
///     }
/// }
///
/// assert_eq!(Level::detect().dispatch(SumOfSquares(&[3.0, 4.0, 12.0])), 169.0);
/// ```
pub trait Kernel {
    /// What the computation returns.
    type Output;

    /// The computation with vectors of type `S`.
    ///
    /// Mark this and every generic function it calls in its loops `#[inline(always)]`, and avoid
    /// closures there: only what is inlined into the entry point of an instruction set is compiled
    /// for that instruction set. A forgotten attribute costs speed, never correctness.
    fn run<S: Simd>(self) -> Self::Output;
}

/// A vector of [`LANES`](Simd::LANES) numbers of one instruction set.
///
/// Arithmetic is lane by lane and rounds like scalar `f64`, except [`mul_add`](Simd::mul_add).
/// The trait is sealed; see [`Kernel`] for how to get an implementation.
pub trait Simd:
    Copy
    + fmt::Debug
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + sealed::Sealed
{
    /// One truth value per lane.
    type Mask: Copy;

    /// Twice as many `f32` in a register of the same size (four where two `f64` are plain Rust).
    type Single: Lanes<f32>;

    /// Numbers per vector: 2, 4 or 8.
    const LANES: usize;

    /// Vectors side by side in a register tile of 4 rows (`4 · TILE` sums stay in registers).
    const TILE: usize;

    /// The same number in every lane.
    fn splat(value: f64) -> Self;

    /// The first `LANES` numbers of a slice.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn load(from: &[f64]) -> Self;

    /// Overwrites the first `LANES` numbers of a slice.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn store(self, to: &mut [f64]);

    /// The first `LANES` numbers of a slice of single precision.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn load_single(from: &[f32]) -> Self;

    /// Overwrites the first `LANES` numbers of a slice of single precision, rounding to nearest.
    ///
    /// # Panics
    ///
    /// If the slice is shorter.
    fn store_single(self, to: &mut [f32]);

    /// `self · factor + addend`, rounded once where the CPU has the instruction (all levels but portable).
    #[must_use]
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// The larger one per lane; `other` where either is NaN.
    #[must_use]
    fn max(self, other: Self) -> Self;

    /// The smaller one per lane; `other` where either is NaN.
    #[must_use]
    fn min(self, other: Self) -> Self;

    /// Square root; NaN below zero.
    #[must_use]
    fn sqrt(self) -> Self;

    /// Nearest integer, ties to even, for `|self| < 2⁵¹`.
    #[must_use]
    fn round(self) -> Self;

    /// `self ≥ other` per lane; false for NaN.
    fn ge(self, other: Self) -> Self::Mask;

    /// `self < other` per lane; false for NaN.
    fn lt(self, other: Self) -> Self::Mask;

    /// `yes` where the mask holds, `no` elsewhere.
    #[must_use]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// Bit `i` is set where the mask holds in lane `i`.
    fn mask_bits(mask: Self::Mask) -> u32;

    /// Sum of the lanes, in a fixed order.
    fn sum(self) -> f64;

    /// Transposes the square block held by the first `LANES` vectors, in registers.
    fn transpose(rows: &mut [Self; MAX_LANES]);

    /// `self · 2ⁿ` for integral `n` with `|n| ≤ 2000`, overflowing to `∞`, underflowing gradually.
    #[must_use]
    fn scale_by_power_of_two(self, n: Self) -> Self;

    /// `(e, m)` with `self = m · 2ᵉ`, `1 ≤ m < 2`, for positive normal numbers.
    fn exponent_and_mantissa(self) -> (Self, Self);

    /// Like [`load`](Simd::load), with `fill` for the lanes beyond the end of the slice.
    fn load_or(from: &[f64], fill: f64) -> Self;

    /// Like [`store`](Simd::store), leaving out the lanes beyond the end of the slice.
    fn store_head(self, to: &mut [f64]);

    /// Lists `base + i` for every set bit `i < LANES`, in order, and returns how many there are.
    ///
    /// Entries after the last one, up to `LANES` in all, may be overwritten with anything.
    ///
    /// # Panics
    ///
    /// If `to` is shorter than `LANES`.
    #[inline(always)]
    fn list_set_bits(mut bits: u32, base: u32, to: &mut [u32]) -> usize {
        let to = &mut to[..Self::LANES];
        let mut count = 0;
        while bits != 0 {
            to[count] = base + bits.trailing_zeros();
            count += 1;
            bits &= bits - 1;
        }
        count
    }

    /// `eˣ` per lane, within 2 units in the last place.
    ///
    /// `−∞` gives 0, numbers above 709.78 give `∞`, NaN stays NaN. Subnormal results are within
    /// one unit of the smallest subnormal, not flushed.
    #[inline(always)]
    #[must_use]
    fn exp(self) -> Self {
        elementary::exp(self)
    }

    /// `ln x` per lane, within 2 units in the last place, for subnormal arguments as well.
    ///
    /// ±0 gives `−∞`, negative numbers and NaN give NaN, `∞` gives `∞`.
    #[inline(always)]
    #[must_use]
    fn ln(self) -> Self {
        elementary::ln(self)
    }
}

mod sealed {
    /// Keeps implementations of [`Simd`](super::Simd) in this crate, where `dispatch` guards them.
    pub trait Sealed {}
}

/// Implements the operators of a vector type; `$body` sees the operands as `a` and `b`.
macro_rules! operators {
    ($vector:ty, $($trait:ident $method:ident |$a:ident, $b:ident| $body:expr;)+) => {
        $(impl core::ops::$trait for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let ($a, $b) = (self.0, other.0);
                Self($body)
            }
        })+
        impl core::ops::AddAssign for $vector {
            #[inline(always)]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl crate::simd::sealed::Sealed for $vector {}
    };
}
use operators;

/// Calls intrinsics that touch registers only.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
macro_rules! registers {
    ($body:expr) => {{
        // SAFETY: the CPU has the features, or no value of the surrounding type would exist.
        unsafe { $body }
    }};
}
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use registers;
