//! AVX2 with FMA, and AVX-512.
#![allow(
    unsafe_code,
    reason = "intrinsics need CPU features that the compiler cannot see from here; both types are \
              private and come to life only inside `Level::dispatch`, which has checked the CPU"
)]

use core::arch::x86_64::{
    __m256d, __m256i, __m512d, __mmask8, _CMP_GE_OQ, _CMP_LT_OQ, _MM_FROUND_NO_EXC,
    _MM_FROUND_TO_NEAREST_INT, _mm_loadu_ps, _mm_storeu_ps, _mm256_add_epi32, _mm256_add_pd,
    _mm256_and_si256, _mm256_blendv_pd, _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_cmp_pd,
    _mm256_cmpgt_epi64, _mm256_cvtpd_ps, _mm256_cvtps_pd, _mm256_div_pd, _mm256_fmadd_pd,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_maskload_pd, _mm256_maskstore_pd,
    _mm256_maskz_compress_epi32, _mm256_max_pd, _mm256_min_pd, _mm256_movemask_pd, _mm256_mul_pd,
    _mm256_or_si256, _mm256_permute2f128_pd, _mm256_round_pd, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi32, _mm256_setr_epi64x, _mm256_slli_epi64,
    _mm256_sqrt_pd, _mm256_srli_epi64, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_sub_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd, _mm512_add_pd, _mm512_cmp_pd_mask,
    _mm512_cvtpd_ps, _mm512_cvtps_pd, _mm512_div_pd, _mm512_fmadd_pd, _mm512_getexp_pd,
    _mm512_getmant_pd, _mm512_loadu_pd, _mm512_mask_blend_pd, _mm512_mask_loadu_pd,
    _mm512_mask_storeu_pd, _mm512_max_pd, _mm512_min_pd, _mm512_mul_pd, _mm512_reduce_add_pd,
    _mm512_roundscale_pd, _mm512_scalef_pd, _mm512_set1_pd, _mm512_shuffle_f64x2, _mm512_sqrt_pd,
    _mm512_storeu_pd, _mm512_sub_pd, _mm512_unpackhi_pd, _mm512_unpacklo_pd,
};

use super::{MAX_LANES, Simd, registers};

/// Four numbers in an AVX register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(__m256d);

super::operators! { Avx2,
    Add add |a, b| registers!(_mm256_add_pd(a, b));
    Sub sub |a, b| registers!(_mm256_sub_pd(a, b));
    Mul mul |a, b| registers!(_mm256_mul_pd(a, b));
    Div div |a, b| registers!(_mm256_div_pd(a, b));
}

impl Simd for Avx2 {
    type Mask = __m256d;
    type Single = super::single::Avx2Single;
    const LANES: usize = 4;
    const TILE: usize = 2;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        registers!(Self(_mm256_set1_pd(value)))
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        assert!(from.len() >= 4, "a vector is 4 numbers, the slice {}", from.len());
        // SAFETY: the CPU has the features, and four numbers are there; no alignment is needed.
        unsafe { Self(_mm256_loadu_pd(from.as_ptr())) }
    }

    #[inline(always)]
    fn load_single(from: &[f32]) -> Self {
        assert!(from.len() >= 4, "a vector is 4 numbers, the slice {}", from.len());
        // SAFETY: the CPU has the features, and four numbers are there; no alignment is needed.
        unsafe { Self(_mm256_cvtps_pd(_mm_loadu_ps(from.as_ptr()))) }
    }

    #[inline(always)]
    fn store_single(self, to: &mut [f32]) {
        assert!(to.len() >= 4, "a vector is 4 numbers, the slice {}", to.len());
        // SAFETY: the CPU has the features, and four numbers are there; no alignment is needed.
        unsafe { _mm_storeu_ps(to.as_mut_ptr(), _mm256_cvtpd_ps(self.0)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        assert!(to.len() >= 4, "a vector is 4 numbers, the slice {}", to.len());
        // SAFETY: the CPU has the features, and four numbers are there; no alignment is needed.
        unsafe { _mm256_storeu_pd(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_or(from: &[f64], fill: f64) -> Self {
        if from.len() >= 4 {
            return Self::load(from);
        }
        let mask = head_mask(from.len());
        // SAFETY: the CPU has the features; a masked load reads only the numbers that are there.
        let head = unsafe { Self(_mm256_maskload_pd(from.as_ptr(), mask)) };
        Self::select(registers!(_mm256_castsi256_pd(mask)), head, Self::splat(fill))
    }

    #[inline(always)]
    fn store_head(self, to: &mut [f64]) {
        if to.len() >= 4 {
            return self.store(to);
        }
        // SAFETY: the CPU has the features; a masked store writes only the numbers that are there.
        unsafe { _mm256_maskstore_pd(to.as_mut_ptr(), head_mask(to.len()), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        registers!(Self(_mm256_fmadd_pd(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        registers!(Self(_mm256_max_pd(self.0, other.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        registers!(Self(_mm256_min_pd(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        registers!(Self(_mm256_sqrt_pd(self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        registers!(Self(_mm256_round_pd::<NEAREST>(self.0)))
    }

    #[inline(always)]
    fn ge(self, other: Self) -> __m256d {
        registers!(_mm256_cmp_pd::<_CMP_GE_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> __m256d {
        registers!(_mm256_cmp_pd::<_CMP_LT_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn select(mask: __m256d, yes: Self, no: Self) -> Self {
        registers!(Self(_mm256_blendv_pd(no.0, yes.0, mask)))
    }

    #[inline(always)]
    fn mask_bits(mask: __m256d) -> u32 {
        registers!(_mm256_movemask_pd(mask)).cast_unsigned()
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        let mut lanes = [0.0; 4];
        self.store(&mut lanes);
        (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_LANES]) {
        let (r0, r1, r2, r3) = (rows[0].0, rows[1].0, rows[2].0, rows[3].0);
        registers!({
            let (low01, high01) = (_mm256_unpacklo_pd(r0, r1), _mm256_unpackhi_pd(r0, r1));
            let (low23, high23) = (_mm256_unpacklo_pd(r2, r3), _mm256_unpackhi_pd(r2, r3));
            rows[0] = Self(_mm256_permute2f128_pd::<0x20>(low01, low23));
            rows[1] = Self(_mm256_permute2f128_pd::<0x20>(high01, high23));
            rows[2] = Self(_mm256_permute2f128_pd::<0x31>(low01, low23));
            rows[3] = Self(_mm256_permute2f128_pd::<0x31>(high01, high23));
        });
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
        const TWO_POW_52: i64 = 0x4330_0000_0000_0000;
        const ONE: i64 = 0x3ff0_0000_0000_0000;
        const FRACTION: i64 = 0x000f_ffff_ffff_ffff;
        let (exponent, mantissa) = registers!({
            let bits = _mm256_castpd_si256(self.0);
            let field =
                _mm256_or_si256(_mm256_srli_epi64::<52>(bits), _mm256_set1_epi64x(TWO_POW_52));
            let fraction = _mm256_and_si256(bits, _mm256_set1_epi64x(FRACTION));
            let mantissa = _mm256_or_si256(fraction, _mm256_set1_epi64x(ONE));
            (Self(_mm256_castsi256_pd(field)), Self(_mm256_castsi256_pd(mantissa)))
        });
        (exponent - Self::splat(4_503_599_627_370_496.0 + 1023.0), mantissa)
    }
}

/// `2ⁿ` for integral `n`, `|n| ≤ 1000`: `n + 1023` moves from the low bits into the exponent field.
#[inline(always)]
fn power_of_two(n: Avx2) -> Avx2 {
    const MAGIC: f64 = 6_755_399_441_055_744.0 + 1023.0;
    let n = n + Avx2::splat(MAGIC);
    registers!(Avx2(_mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(n.0)))))
}

/// All bits set in the first `count < 4` lanes.
#[inline(always)]
fn head_mask(count: usize) -> __m256i {
    #[allow(clippy::cast_possible_wrap, reason = "counts below 4")]
    let count = count as i64;
    registers!(_mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3)))
}

/// Eight numbers in an AVX-512 register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(__m512d);

super::operators! { Avx512,
    Add add |a, b| registers!(_mm512_add_pd(a, b));
    Sub sub |a, b| registers!(_mm512_sub_pd(a, b));
    Mul mul |a, b| registers!(_mm512_mul_pd(a, b));
    Div div |a, b| registers!(_mm512_div_pd(a, b));
}

impl Simd for Avx512 {
    type Mask = __mmask8;
    type Single = super::single::Avx512Single;
    const LANES: usize = 8;
    const TILE: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        registers!(Self(_mm512_set1_pd(value)))
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        assert!(from.len() >= 8, "a vector is 8 numbers, the slice {}", from.len());
        // SAFETY: the CPU has the features, and eight numbers are there; no alignment is needed.
        unsafe { Self(_mm512_loadu_pd(from.as_ptr())) }
    }

    #[inline(always)]
    fn load_single(from: &[f32]) -> Self {
        assert!(from.len() >= 8, "a vector is 8 numbers, the slice {}", from.len());
        // SAFETY: the CPU has the features, and eight numbers are there; no alignment is needed.
        unsafe { Self(_mm512_cvtps_pd(_mm256_loadu_ps(from.as_ptr()))) }
    }

    #[inline(always)]
    fn store_single(self, to: &mut [f32]) {
        assert!(to.len() >= 8, "a vector is 8 numbers, the slice {}", to.len());
        // SAFETY: the CPU has the features, and eight numbers are there; no alignment is needed.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm512_cvtpd_ps(self.0)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        assert!(to.len() >= 8, "a vector is 8 numbers, the slice {}", to.len());
        // SAFETY: the CPU has the features, and eight numbers are there; no alignment is needed.
        unsafe { _mm512_storeu_pd(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_or(from: &[f64], fill: f64) -> Self {
        if from.len() >= 8 {
            return Self::load(from);
        }
        let (fill, mask) = (Self::splat(fill), (1 << from.len()) - 1);
        // SAFETY: the CPU has the features; a masked load reads only the numbers that are there.
        unsafe { Self(_mm512_mask_loadu_pd(fill.0, mask, from.as_ptr())) }
    }

    #[inline(always)]
    fn store_head(self, to: &mut [f64]) {
        if to.len() >= 8 {
            return self.store(to);
        }
        let mask = (1 << to.len()) - 1;
        // SAFETY: the CPU has the features; a masked store writes only the numbers that are there.
        unsafe { _mm512_mask_storeu_pd(to.as_mut_ptr(), mask, self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        registers!(Self(_mm512_fmadd_pd(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        registers!(Self(_mm512_max_pd(self.0, other.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        registers!(Self(_mm512_min_pd(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        registers!(Self(_mm512_sqrt_pd(self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        registers!(Self(_mm512_roundscale_pd::<_MM_FROUND_TO_NEAREST_INT>(self.0)))
    }

    #[inline(always)]
    fn ge(self, other: Self) -> __mmask8 {
        registers!(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> __mmask8 {
        registers!(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn select(mask: __mmask8, yes: Self, no: Self) -> Self {
        registers!(Self(_mm512_mask_blend_pd(mask, no.0, yes.0)))
    }

    #[inline(always)]
    fn mask_bits(mask: __mmask8) -> u32 {
        u32::from(mask)
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        registers!(_mm512_reduce_add_pd(self.0))
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; MAX_LANES]) {
        let (r0, r1, r2, r3) = (rows[0].0, rows[1].0, rows[2].0, rows[3].0);
        let (r4, r5, r6, r7) = (rows[4].0, rows[5].0, rows[6].0, rows[7].0);
        registers!({
            // Pairs of rows, interleaved: even columns, then odd ones.
            let even = [
                _mm512_unpacklo_pd(r0, r1),
                _mm512_unpacklo_pd(r2, r3),
                _mm512_unpacklo_pd(r4, r5),
                _mm512_unpacklo_pd(r6, r7),
            ];
            let odd = [
                _mm512_unpackhi_pd(r0, r1),
                _mm512_unpackhi_pd(r2, r3),
                _mm512_unpackhi_pd(r4, r5),
                _mm512_unpackhi_pd(r6, r7),
            ];
            for (first, [p, q, r, s]) in [(0, even), (1, odd)] {
                let (a, b) =
                    (_mm512_shuffle_f64x2::<0x88>(p, q), _mm512_shuffle_f64x2::<0xdd>(p, q));
                let (c, d) =
                    (_mm512_shuffle_f64x2::<0x88>(r, s), _mm512_shuffle_f64x2::<0xdd>(r, s));
                rows[first] = Self(_mm512_shuffle_f64x2::<0x88>(a, c));
                rows[first + 2] = Self(_mm512_shuffle_f64x2::<0x88>(b, d));
                rows[first + 4] = Self(_mm512_shuffle_f64x2::<0xdd>(a, c));
                rows[first + 6] = Self(_mm512_shuffle_f64x2::<0xdd>(b, d));
            }
        });
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, n: Self) -> Self {
        registers!(Self(_mm512_scalef_pd(self.0, n.0)))
    }

    #[inline(always)]
    fn exponent_and_mantissa(self) -> (Self, Self) {
        // Interval [1, 2), sign kept: the defaults of the instruction.
        registers!((Self(_mm512_getexp_pd(self.0)), Self(_mm512_getmant_pd::<0, 0>(self.0))))
    }

    #[inline(always)]
    fn list_set_bits(bits: u32, base: u32, to: &mut [u32]) -> usize {
        assert!(to.len() >= 8, "a list of up to 8 lanes does not fit into {}", to.len());
        #[allow(clippy::cast_possible_truncation, reason = "eight lanes, eight bits")]
        let mask = bits as __mmask8;
        // SAFETY: the CPU has the features, and eight numbers are there; no alignment is needed.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let numbers = _mm256_add_epi32(_mm256_set1_epi32(base.cast_signed()), lanes);
            let listed = _mm256_maskz_compress_epi32(mask, numbers);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), listed);
        }
        mask.count_ones() as usize
    }
}
