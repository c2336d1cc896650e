//! NEON, part of every 64-bit ARM CPU.
#![allow(
    unsafe_code,
    reason = "intrinsics are marked with CPU features; 64-bit ARM targets have NEON enabled"
)]

use core::arch::aarch64::{
    float64x2_t, uint64x2_t, vaddq_f64, vaddvq_f64, vandq_u64, vbslq_f64, vcgeq_f64, vcgtq_f64,
    vcltq_f64, vcvt_f32_f64, vcvt_f64_f32, vdivq_f64, vdupq_n_f64, vdupq_n_u64, vfmaq_f64,
    vgetq_lane_u64, vld1_f32, vld1q_f64, vmulq_f64, vorrq_u64, vreinterpretq_f64_u64,
    vreinterpretq_u64_f64, vrndnq_f64, vshlq_n_u64, vshrq_n_u64, vsqrtq_f64, vst1_f32, vst1q_f64,
    vsubq_f64, vtrn1q_f64, vtrn2q_f64,
};

use super::{MAX_LANES, Simd, registers};

/// Two numbers in a NEON register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon(float64x2_t);

super::operators! { Neon,
    Add add |a, b| registers!(vaddq_f64(a, b));
    Sub sub |a, b| registers!(vsubq_f64(a, b));
    Mul mul |a, b| registers!(vmulq_f64(a, b));
    Div div |a, b| registers!(vdivq_f64(a, b));
}

impl Simd for Neon {
    type Mask = uint64x2_t;
    type Single = super::single::NeonSingle;
    const LANES: usize = 2;
    const TILE: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self(registers!(vdupq_n_f64(value)))
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        assert!(from.len() >= 2, "a vector is 2 numbers, the slice {}", from.len());
        // SAFETY: two numbers are there; no alignment beyond theirs is needed.
        unsafe { Self(vld1q_f64(from.as_ptr())) }
    }

    #[inline(always)]
    fn load_single(from: &[f32]) -> Self {
        assert!(from.len() >= 2, "a vector is 2 numbers, the slice {}", from.len());
        // SAFETY: two numbers are there; no alignment beyond theirs is needed.
        unsafe { Self(vcvt_f64_f32(vld1_f32(from.as_ptr()))) }
    }

    #[inline(always)]
    fn store_single(self, to: &mut [f32]) {
        assert!(to.len() >= 2, "a vector is 2 numbers, the slice {}", to.len());
        // SAFETY: two numbers are there; no alignment beyond theirs is needed.
        unsafe { vst1_f32(to.as_mut_ptr(), vcvt_f32_f64(self.0)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        assert!(to.len() >= 2, "a vector is 2 numbers, the slice {}", to.len());
        // SAFETY: two numbers are there; no alignment beyond theirs is needed.
        unsafe { vst1q_f64(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_or(from: &[f64], fill: f64) -> Self {
        match from {
            [] => Self::splat(fill),
            [only] => Self::load(&[*only, fill]),
            _ => Self::load(from),
        }
    }

    #[inline(always)]
    fn store_head(self, to: &mut [f64]) {
        match to {
            [] => {}
            [only] => {
                let mut lanes = [0.0; 2];
                self.store(&mut lanes);
                *only = lanes[0];
            }
            _ => self.store(to),
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(registers!(vfmaq_f64(addend.0, self.0, factor.0)))
    }

    /// By comparison: the instruction would return NaN where either operand is NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(registers!(vcgtq_f64(self.0, other.0)), self, other)
    }

    /// By comparison: the instruction would return NaN where either operand is NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(registers!(vcltq_f64(self.0, other.0)), self, other)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(registers!(vsqrtq_f64(self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(registers!(vrndnq_f64(self.0)))
    }

    #[inline(always)]
    fn ge(self, other: Self) -> uint64x2_t {
        registers!(vcgeq_f64(self.0, other.0))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> uint64x2_t {
        registers!(vcltq_f64(self.0, other.0))
    }

    #[inline(always)]
    fn select(mask: uint64x2_t, yes: Self, no: Self) -> Self {
        Self(registers!(vbslq_f64(mask, yes.0, no.0)))
    }

    #[inline(always)]
    fn mask_bits(mask: uint64x2_t) -> u32 {
        let lanes = registers!((vgetq_lane_u64::<0>(mask), vgetq_lane_u64::<1>(mask)));
        u32::from(lanes.0 != 0) | u32::from(lanes.1 != 0) << 1
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        registers!(vaddvq_f64(self.0))
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_LANES]) {
        let (a, b) = (rows[0].0, rows[1].0);
        rows[0] = Self(registers!(vtrn1q_f64(a, b)));
        rows[1] = Self(registers!(vtrn2q_f64(a, b)));
    }

    /// In two halves, so that `2ⁿ` itself may lie outside the range of `f64`.
    #[inline(always)]
    fn scale_by_power_of_two(self, n: Self) -> Self {
        let half = (n * Self::splat(0.5)).round();
        self * power_of_two(half) * power_of_two(n - half)
    }

    #[inline(always)]
    fn exponent_and_mantissa(self) -> (Self, Self) {
        // The exponent field becomes the low bits of a number around 2⁵².
        const TWO_POW_52: u64 = 0x4330_0000_0000_0000;
        const ONE: u64 = 0x3ff0_0000_0000_0000;
        const FRACTION: u64 = 0x000f_ffff_ffff_ffff;
        let (exponent, mantissa) = registers!({
            let bits = vreinterpretq_u64_f64(self.0);
            let field = vorrq_u64(vshrq_n_u64::<52>(bits), vdupq_n_u64(TWO_POW_52));
            let mantissa = vorrq_u64(vandq_u64(bits, vdupq_n_u64(FRACTION)), vdupq_n_u64(ONE));
            (Self(vreinterpretq_f64_u64(field)), Self(vreinterpretq_f64_u64(mantissa)))
        });
        (exponent - Self::splat(4_503_599_627_370_496.0 + 1023.0), mantissa)
    }
}

/// `2ⁿ` for integral `n`, `|n| ≤ 1000`: `n + 1023` moves from the low bits into the exponent field.
#[inline(always)]
fn power_of_two(n: Neon) -> Neon {
    const MAGIC: f64 = 6_755_399_441_055_744.0 + 1023.0;
    let n = n + Neon::splat(MAGIC);
    registers!(Neon(vreinterpretq_f64_u64(vshlq_n_u64::<52>(vreinterpretq_u64_f64(n.0)))))
}
