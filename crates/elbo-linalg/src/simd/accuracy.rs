//! Every instruction set against scalar `f64`: arithmetic exactly, `exp` and `ln` within two units in the last place.

use super::{Kernel, Level, MAX_LANES, Simd};

/// Distance in representable numbers; 0 for two NaNs.
fn ulps(a: f64, b: f64) -> u64 {
    if a.is_nan() && b.is_nan() {
        return 0;
    }
    let ordered = |x: f64| {
        let bits = x.to_bits().cast_signed();
        if bits < 0 { i64::MIN - bits } else { bits }
    };
    ordered(a).abs_diff(ordered(b))
}

/// A number in `[0, 1)` for each index, spread evenly.
fn spread(index: u64) -> f64 {
    (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64
}

struct Exp<'a>(&'a mut [f64]);
impl Kernel for Exp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for lanes in self.0.chunks_mut(S::LANES) {
            S::load_or(lanes, 0.0).exp().store_head(lanes);
        }
    }
}

struct Ln<'a>(&'a mut [f64]);
impl Kernel for Ln<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for lanes in self.0.chunks_mut(S::LANES) {
            S::load_or(lanes, 0.0).ln().store_head(lanes);
        }
    }
}

/// The scalar function is itself within one unit of the truth, so a bound of 2 on the distance
/// from the truth allows 3 here; 2 were never exceeded and are asserted.
fn assert_close(x: &[f64], fast: &[f64], scalar: fn(f64) -> f64, level: Level) {
    for (&x, &fast) in x.iter().zip(fast) {
        let expected = scalar(x);
        assert!(ulps(fast, expected) <= 2, "{level}: {x:e} gives {fast:e}, not {expected:e}");
    }
}

#[test]
fn exp_agrees_with_the_standard_library() {
    let ranges = [(-40.0, 0.0), (-745.2, 709.9), (-0.4, 0.4), (-1e-8, 1e-8)];
    for level in Level::available() {
        for (low, high) in ranges {
            let x: Vec<f64> = (0..100_000).map(|i| low + (high - low) * spread(i)).collect();
            let mut y = x.clone();
            level.dispatch(Exp(&mut y));
            assert_close(&x, &y, f64::exp, level);
        }
    }
}

#[test]
fn ln_agrees_with_the_standard_library() {
    let ranges = [(0.5, 2.0), (0.99, 1.01), (1.0, 100.0), (0.0, f64::MAX), (0.0, 1e-307)];
    for level in Level::available() {
        for (low, high) in ranges {
            let x: Vec<f64> = (0..100_000).map(|i| low + (high - low) * spread(i)).collect();
            let mut y = x.clone();
            level.dispatch(Ln(&mut y));
            assert_close(&x, &y, f64::ln, level);
        }
        let x: Vec<f64> = (0..64_u64 << 10).map(|i| f64::from_bits((i << 37) | (i * i))).collect();
        let mut y = x.clone();
        level.dispatch(Ln(&mut y));
        assert_close(&x, &y, f64::ln, level);
    }
}

#[test]
fn special_arguments_have_their_values() {
    let (inf, nan, tiny) = (f64::INFINITY, f64::NAN, f64::from_bits(1));
    let exp = [
        (0.0, 1.0),
        (-0.0, 1.0),
        (-inf, 0.0),
        (-1e300, 0.0),
        (-746.0, 0.0),
        (-745.133_219_101_941_1, tiny),
        (709.782_712, 709.782_712_f64.exp()),
        (709.8, inf),
        (inf, inf),
        (nan, nan),
    ];
    let ln = [
        (1.0, 0.0),
        (0.0, -inf),
        (-0.0, -inf),
        (-tiny, nan),
        (-1.0, nan),
        (-inf, nan),
        (inf, inf),
        (nan, nan),
        (tiny, tiny.ln()),
        (f64::MIN_POSITIVE, f64::MIN_POSITIVE.ln()),
        (f64::MAX, f64::MAX.ln()),
    ];
    for level in Level::available() {
        for (x, expected) in exp {
            let mut y = [x];
            level.dispatch(Exp(&mut y));
            assert!(ulps(y[0], expected) <= 1, "{level}: exp({x}) = {:e}", y[0]);
        }
        for (x, expected) in ln {
            let mut y = [x];
            level.dispatch(Ln(&mut y));
            assert!(ulps(y[0], expected) <= 1, "{level}: ln({x}) = {}", y[0]);
        }
    }
}

/// One operation of the trait on two vectors of up to eight lanes.
struct Apply<'a> {
    operation: usize,
    a: &'a [f64; MAX_LANES],
    b: &'a [f64; MAX_LANES],
    out: &'a mut [f64; MAX_LANES],
}
impl Kernel for Apply<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self) -> usize {
        let (a, b) = (S::load(self.a), S::load(self.b));
        let result = match self.operation {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / b,
            4 => a.max(b),
            5 => a.min(b),
            6 => a.sqrt(),
            7 => a.round(),
            8 => S::select(a.ge(b), a, b),
            9 => S::select(a.lt(b), a, b),
            _ => {
                let mut sum = a;
                sum += b;
                sum
            }
        };
        result.store(self.out);
        S::LANES
    }
}

#[test]
fn operations_agree_with_scalar_arithmetic() {
    let bigger = |a: f64, b: f64| if a > b { a } else { b };
    let smaller = |a: f64, b: f64| if a < b { a } else { b };
    let scalar: [&dyn Fn(f64, f64) -> f64; 11] = [
        &|a, b| a + b,
        &|a, b| a - b,
        &|a, b| a * b,
        &|a, b| a / b,
        &bigger,
        &smaller,
        &|a, _| a.sqrt(),
        &|a, _| if a.is_finite() { a.round_ties_even() } else { a },
        &|a, b| if a >= b { a } else { b },
        &|a, b| if a < b { a } else { b },
        &|a, b| a + b,
    ];
    let a = [1.5, -2.5, f64::NAN, 3.0, 0.1, f64::INFINITY, -7.25, 1e10];
    let b = [0.5, 2.5, 3.0, f64::NAN, 0.1, -1.0, -8.0, 1e-10];
    for level in Level::available() {
        for (operation, scalar) in scalar.iter().enumerate() {
            for shift in 0..MAX_LANES {
                let (mut a, mut b, mut out) = (a, b, [0.0; MAX_LANES]);
                a.rotate_left(shift);
                b.rotate_left(shift);
                let lanes = level.dispatch(Apply { operation, a: &a, b: &b, out: &mut out });
                for i in 0..lanes {
                    let expected = scalar(a[i], b[i]);
                    let context = (level, operation, a[i], b[i], out[i]);
                    assert_eq!(ulps(out[i], expected), 0, "{context:?} is not {expected}");
                }
            }
        }
    }
}

/// Everything that moves lanes rather than computing with them.
struct Shuffle;
impl Kernel for Shuffle {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let numbers: [f64; 64] = core::array::from_fn(|i| i as f64);
        let mut block = [S::splat(0.0); MAX_LANES];
        for (i, row) in block.iter_mut().take(S::LANES).enumerate() {
            *row = S::load(&numbers[MAX_LANES * i..]);
        }
        S::transpose(&mut block);
        for (c, column) in block.iter().take(S::LANES).enumerate() {
            let mut lanes = [0.0; MAX_LANES];
            column.store(&mut lanes);
            for (i, lane) in lanes.iter().take(S::LANES).enumerate() {
                assert_eq!(ulps(*lane, numbers[MAX_LANES * i + c]), 0);
            }
        }

        let x = S::load(&numbers[1..]);
        let expected: usize = (1..=S::LANES).sum();
        assert_eq!(ulps(x.sum(), expected as f64), 0);

        for length in 0..=S::LANES + 1 {
            let mut out = [-1.0; MAX_LANES + 1];
            S::load_or(&numbers[1..=length], 7.0).store(&mut out);
            for (i, number) in out.iter().take(S::LANES).enumerate() {
                assert_eq!(ulps(*number, if i < length { (i + 1) as f64 } else { 7.0 }), 0);
            }
            let mut out = [-1.0; MAX_LANES + 1];
            x.store_head(&mut out[..length]);
            for (i, number) in out.iter().enumerate() {
                let kept = i < length.min(S::LANES);
                assert_eq!(ulps(*number, if kept { (i + 1) as f64 } else { -1.0 }), 0);
            }
        }

        for bits in 0..1_u32 << S::LANES {
            let mut lanes = [0.0; MAX_LANES];
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = f64::from(bits >> i & 1);
            }
            let mask = S::load(&lanes).ge(S::splat(1.0));
            assert_eq!(S::mask_bits(mask), bits);
            let mut list = [0; MAX_LANES];
            let count = S::list_set_bits(bits, 100, &mut list);
            let expected: Vec<u32> =
                (0..32).filter(|i| bits >> i & 1 == 1).map(|i| 100 + i).collect();
            assert_eq!(list[..count], expected);
        }
    }
}

#[test]
fn lanes_keep_their_places() {
    for level in Level::available() {
        level.dispatch(Shuffle);
    }
}

/// The portable level computes the same bits everywhere, so its results can be written down.
#[test]
fn portable_results_never_change() {
    let mut x = [-0.75, -12.5, 3.25, -700.125];
    Level::Portable.dispatch(Exp(&mut x));
    let mut y = [0.75, 12.5, 1e-310, 5e300];
    Level::Portable.dispatch(Ln(&mut y));
    assert_eq!(
        [x.map(f64::to_bits), y.map(f64::to_bits)],
        [
            [
                0x3fde_3b40_ebef_cd7e,
                0x3ecf_42ed_3f68_e690,
                0x4039_ca53_b781_114b,
                0x00ce_8cfc_0420_616b
            ],
            [
                0xbfd2_6962_1134_db92,
                0x4004_34b1_382e_feb8,
                0xc086_4e69_394d_9508,
                0x4085_a314_68f4_767c
            ]
        ]
    );
}
