//! Vectors of `f32` of every instruction set.
#![cfg_attr(
    any(target_arch = "aarch64", target_arch = "x86_64"),
    allow(
        unsafe_code,
        reason = "intrinsics need CPU features; the types come to life only inside `Level::dispatch`, which has checked the CPU"
    )
)]

use super::{Lanes, MAX_WIDTH};

/// Four numbers in plain Rust.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortableSingle([f32; 4]);

impl PortableSingle {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let (a, b) = (self.0, other.0);
        Self([f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])])
    }
}

impl Lanes<f32> for PortableSingle {
    type Mask = [bool; 4];

    const WIDTH: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..4];
        Self([from[0], from[1], from[2], from[3]])
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.times(factor).zip(addend, |a, b| a + b)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> [bool; 4] {
        let (a, b) = (self.0, other.0);
        [a[0] < b[0], a[1] < b[1], a[2] < b[2], a[3] < b[3]]
    }

    #[inline(always)]
    fn select(mask: [bool; 4], yes: Self, no: Self) -> Self {
        let pick = |i: usize| if mask[i] { yes.0[i] } else { no.0[i] };
        Self([pick(0), pick(1), pick(2), pick(3)])
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_WIDTH]) {
        for i in 0..4 {
            for j in 0..i {
                let above = rows[j].0[i];
                rows[j].0[i] = rows[i].0[j];
                rows[i].0[j] = above;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2Single, Avx512Single};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __m256, __m512, __mmask16, _CMP_LT_OQ, _mm256_blendv_ps, _mm256_castpd_ps,
        _mm256_castps_pd, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps,
        _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd,
        _mm256_unpacklo_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_cmp_ps_mask,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_sub_ps,
        _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::super::{Lanes, MAX_WIDTH, registers};

    /// The operations that differ by the names of their intrinsics alone.
    macro_rules! arithmetic {
        ($width:literal, $set:ident $load:ident $store:ident $sub:ident $mul:ident $fma:ident $max:ident $min:ident) => {
            const WIDTH: usize = $width;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                registers!(Self($set(value)))
            }

            #[inline(always)]
            fn load(from: &[f32]) -> Self {
                assert!(
                    from.len() >= $width,
                    "a vector is {} numbers, the slice {}",
                    $width,
                    from.len()
                );
                // SAFETY: the CPU has the features, and the numbers are there; no alignment is needed.
                unsafe { Self($load(from.as_ptr())) }
            }

            #[inline(always)]
            fn store(self, to: &mut [f32]) {
                assert!(
                    to.len() >= $width,
                    "a vector is {} numbers, the slice {}",
                    $width,
                    to.len()
                );
                // SAFETY: the CPU has the features, and the numbers are there; no alignment is needed.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                registers!(Self($sub(self.0, other.0)))
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                registers!(Self($mul(self.0, other.0)))
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                registers!(Self($fma(self.0, factor.0, addend.0)))
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                registers!(Self($max(self.0, other.0)))
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                registers!(Self($min(self.0, other.0)))
            }
        };
    }

    /// Interleaves four vectors, so that each 128-bit lane holds one column of the four.
    macro_rules! four_rows {
        ($rows:expr, $low_s:ident $high_s:ident $low_d:ident $high_d:ident $to_d:ident $to_s:ident) => {{
            let [a, b, c, d] = $rows;
            let (low01, high01) = ($to_d($low_s(a, b)), $to_d($high_s(a, b)));
            let (low23, high23) = ($to_d($low_s(c, d)), $to_d($high_s(c, d)));
            [
                $to_s($low_d(low01, low23)),
                $to_s($high_d(low01, low23)),
                $to_s($low_d(high01, high23)),
                $to_s($high_d(high01, high23)),
            ]
        }};
    }

    /// Eight numbers in an AVX register.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx2Single(__m256);

    impl Lanes<f32> for Avx2Single {
        type Mask = __m256;

        arithmetic!(8, _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps _mm256_max_ps _mm256_min_ps);

        #[inline(always)]
        fn lt(self, other: Self) -> __m256 {
            registers!(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0))
        }

        #[inline(always)]
        fn select(mask: __m256, yes: Self, no: Self) -> Self {
            registers!(Self(_mm256_blendv_ps(no.0, yes.0, mask)))
        }

        #[inline(always)]
        fn transpose(rows: &mut [Self; MAX_WIDTH]) {
            registers!({
                let [r0, r1, r2, r3, r4, r5, r6, r7, ..] = rows.map(|row| row.0);
                let upper = four_rows!([r0, r1, r2, r3], _mm256_unpacklo_ps _mm256_unpackhi_ps _mm256_unpacklo_pd _mm256_unpackhi_pd _mm256_castps_pd _mm256_castpd_ps);
                let lower = four_rows!([r4, r5, r6, r7], _mm256_unpacklo_ps _mm256_unpackhi_ps _mm256_unpacklo_pd _mm256_unpackhi_pd _mm256_castps_pd _mm256_castpd_ps);
                for (c, (up, low)) in upper.into_iter().zip(lower).enumerate() {
                    rows[c] = Self(_mm256_permute2f128_ps::<0x20>(up, low));
                    rows[c + 4] = Self(_mm256_permute2f128_ps::<0x31>(up, low));
                }
            });
        }
    }

    /// Sixteen numbers in an AVX-512 register.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx512Single(__m512);

    impl Lanes<f32> for Avx512Single {
        type Mask = __mmask16;

        arithmetic!(16, _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps _mm512_max_ps _mm512_min_ps);

        #[inline(always)]
        fn lt(self, other: Self) -> __mmask16 {
            registers!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0))
        }

        #[inline(always)]
        fn select(mask: __mmask16, yes: Self, no: Self) -> Self {
            registers!(Self(_mm512_mask_blend_ps(mask, no.0, yes.0)))
        }

        #[inline(always)]
        fn transpose(rows: &mut [Self; MAX_WIDTH]) {
            registers!({
                let mut fours = [[rows[0].0; 4]; 4];
                for (four, rows) in fours.iter_mut().zip(rows.chunks_exact(4)) {
                    let rows = [rows[0].0, rows[1].0, rows[2].0, rows[3].0];
                    *four = four_rows!(rows, _mm512_unpacklo_ps _mm512_unpackhi_ps _mm512_unpacklo_pd _mm512_unpackhi_pd _mm512_castps_pd _mm512_castpd_ps);
                }
                let [p, q, r, s] = fours;
                for c in 0..4 {
                    let even = _mm512_shuffle_f32x4::<0x88>(p[c], q[c]);
                    let odd = _mm512_shuffle_f32x4::<0xdd>(p[c], q[c]);
                    let even_low = _mm512_shuffle_f32x4::<0x88>(r[c], s[c]);
                    let odd_low = _mm512_shuffle_f32x4::<0xdd>(r[c], s[c]);
                    rows[c] = Self(_mm512_shuffle_f32x4::<0x88>(even, even_low));
                    rows[c + 4] = Self(_mm512_shuffle_f32x4::<0x88>(odd, odd_low));
                    rows[c + 8] = Self(_mm512_shuffle_f32x4::<0xdd>(even, even_low));
                    rows[c + 12] = Self(_mm512_shuffle_f32x4::<0xdd>(odd, odd_low));
                }
            });
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use neon::NeonSingle;

#[cfg(target_arch = "aarch64")]
mod neon {
    use core::arch::aarch64::{
        float32x4_t, uint32x4_t, vbslq_f32, vcgtq_f32, vcltq_f32, vdupq_n_f32, vfmaq_f32,
        vld1q_f32, vmulq_f32, vreinterpretq_f32_f64, vreinterpretq_f64_f32, vst1q_f32, vsubq_f32,
        vtrn1q_f32, vtrn1q_f64, vtrn2q_f32, vtrn2q_f64,
    };

    use super::super::{Lanes, MAX_WIDTH, registers};

    /// Four numbers in a NEON register.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct NeonSingle(float32x4_t);

    impl Lanes<f32> for NeonSingle {
        type Mask = uint32x4_t;

        const WIDTH: usize = 4;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(registers!(vdupq_n_f32(value)))
        }

        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            assert!(from.len() >= 4, "a vector is 4 numbers, the slice {}", from.len());
            // SAFETY: four numbers are there; no alignment beyond theirs is needed.
            unsafe { Self(vld1q_f32(from.as_ptr())) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            assert!(to.len() >= 4, "a vector is 4 numbers, the slice {}", to.len());
            // SAFETY: four numbers are there; no alignment beyond theirs is needed.
            unsafe { vst1q_f32(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            Self(registers!(vsubq_f32(self.0, other.0)))
        }

        #[inline(always)]
        fn times(self, other: Self) -> Self {
            Self(registers!(vmulq_f32(self.0, other.0)))
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(registers!(vfmaq_f32(addend.0, self.0, factor.0)))
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self::select(registers!(vcgtq_f32(self.0, other.0)), self, other)
        }

        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Self::select(self.lt(other), self, other)
        }

        #[inline(always)]
        fn lt(self, other: Self) -> uint32x4_t {
            registers!(vcltq_f32(self.0, other.0))
        }

        #[inline(always)]
        fn select(mask: uint32x4_t, yes: Self, no: Self) -> Self {
            Self(registers!(vbslq_f32(mask, yes.0, no.0)))
        }

        #[inline(always)]
        fn transpose(rows: &mut [Self; MAX_WIDTH]) {
            registers!({
                let pair = |a: float32x4_t, b: float32x4_t| {
                    (
                        vreinterpretq_f64_f32(vtrn1q_f32(a, b)),
                        vreinterpretq_f64_f32(vtrn2q_f32(a, b)),
                    )
                };
                let (even_up, odd_up) = pair(rows[0].0, rows[1].0);
                let (even_low, odd_low) = pair(rows[2].0, rows[3].0);
                rows[0] = Self(vreinterpretq_f32_f64(vtrn1q_f64(even_up, even_low)));
                rows[1] = Self(vreinterpretq_f32_f64(vtrn1q_f64(odd_up, odd_low)));
                rows[2] = Self(vreinterpretq_f32_f64(vtrn2q_f64(even_up, even_low)));
                rows[3] = Self(vreinterpretq_f32_f64(vtrn2q_f64(odd_up, odd_low)));
            });
        }
    }
}
