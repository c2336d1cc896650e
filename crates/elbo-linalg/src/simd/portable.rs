//! Two lanes in plain Rust, for every CPU; the compiler turns them into the 128-bit vectors it knows.

use super::{MAX_LANES, Simd};

/// Two numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable([f64; 2]);

super::operators! { Portable,
    Add add |a, b| [a[0] + b[0], a[1] + b[1]];
    Sub sub |a, b| [a[0] - b[0], a[1] - b[1]];
    Mul mul |a, b| [a[0] * b[0], a[1] * b[1]];
    Div div |a, b| [a[0] / b[0], a[1] / b[1]];
}

impl Simd for Portable {
    type Mask = [bool; 2];
    type Single = super::single::PortableSingle;
    const LANES: usize = 2;
    const TILE: usize = 2;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; 2])
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        let from = &from[..2];
        Self([from[0], from[1]])
    }

    #[inline(always)]
    fn load_single(from: &[f32]) -> Self {
        let from = &from[..2];
        Self([f64::from(from[0]), f64::from(from[1])])
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "single precision is what is asked for")]
    fn store_single(self, to: &mut [f32]) {
        let to = &mut to[..2];
        to[0] = self.0[0] as f32;
        to[1] = self.0[1] as f32;
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        let to = &mut to[..2];
        to[0] = self.0[0];
        to[1] = self.0[1];
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

    /// Rounded twice: a fused multiply-add without the instruction is a slow function call.
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([if a[0] > b[0] { a[0] } else { b[0] }, if a[1] > b[1] { a[1] } else { b[1] }])
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([if a[0] < b[0] { a[0] } else { b[0] }, if a[1] < b[1] { a[1] } else { b[1] }])
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self([self.0[0].sqrt(), self.0[1].sqrt()])
    }

    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5 · 2⁵² leaves no room for a fraction.
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        Self([(self.0[0] + MAGIC) - MAGIC, (self.0[1] + MAGIC) - MAGIC])
    }

    #[inline(always)]
    fn ge(self, other: Self) -> [bool; 2] {
        [self.0[0] >= other.0[0], self.0[1] >= other.0[1]]
    }

    #[inline(always)]
    fn lt(self, other: Self) -> [bool; 2] {
        [self.0[0] < other.0[0], self.0[1] < other.0[1]]
    }

    #[inline(always)]
    fn select(mask: [bool; 2], yes: Self, no: Self) -> Self {
        Self([if mask[0] { yes.0[0] } else { no.0[0] }, if mask[1] { yes.0[1] } else { no.0[1] }])
    }

    #[inline(always)]
    fn mask_bits(mask: [bool; 2]) -> u32 {
        u32::from(mask[0]) | u32::from(mask[1]) << 1
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        self.0[0] + self.0[1]
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_LANES]) {
        let (a, b) = (rows[0].0, rows[1].0);
        rows[0] = Self([a[0], b[0]]);
        rows[1] = Self([a[1], b[1]]);
    }

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
        let bits = [self.0[0].to_bits(), self.0[1].to_bits()];
        let exponent = Self([
            f64::from_bits(bits[0] >> 52 | TWO_POW_52),
            f64::from_bits(bits[1] >> 52 | TWO_POW_52),
        ]) - Self::splat(f64::from_bits(TWO_POW_52) + 1023.0);
        let mantissa = Self([
            f64::from_bits(bits[0] & FRACTION | ONE),
            f64::from_bits(bits[1] & FRACTION | ONE),
        ]);
        (exponent, mantissa)
    }
}

/// `2ⁿ` for integral `n`, `|n| ≤ 1000`: `n + 1023` moves from the low bits into the exponent field.
#[inline(always)]
fn power_of_two(n: Portable) -> Portable {
    const MAGIC: f64 = 6_755_399_441_055_744.0 + 1023.0;
    let n = n + Portable::splat(MAGIC);
    Portable([f64::from_bits(n.0[0].to_bits() << 52), f64::from_bits(n.0[1].to_bits() << 52)])
}
