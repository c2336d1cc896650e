//! Expectations over counts, at a cost that does not grow with the counts.

/// Where the mass of a distribution of counts lies: around its mean, within a number of standard deviations that is found
/// out, between 0 and `last`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) std_dev: f64,
    /// The last possible count; may be infinite.
    pub(crate) last: f64,
    /// Do the terms go on smoothly beyond `last`, where they are cut off?
    pub(crate) is_cut: bool,
}

/// Below this count every term is summed.
const DIRECT: f64 = 4096.0;

/// As far as this many counts in all are summed one by one.
const FEW: f64 = 8192.0;

/// Tails below `e^−TAIL` are left out.
const TAIL: f64 = 90.0;

impl Spread {
    /// `E[g(X, ln p(X))] = Σ p(x) g(x, ln p(x))`. `ln_p` is smooth between counts, too, and falls on both sides of the mean
    /// once it is small.
    ///
    /// Terms below 4096 are summed one by one. Beyond, the sum is the integral of the interpolated terms by
    /// Gauss–Legendre rules on stretches no longer than half their distance from zero and than the standard deviation,
    /// with the first correction of Euler and Maclaurin where the two meet. Some 10⁻¹⁴ of the size of the terms remain.
    pub(crate) fn expectation(
        self,
        ln_p: impl Fn(f64) -> f64,
        mut g: impl FnMut(f64, f64) -> f64,
    ) -> f64 {
        let mut sum = 0.0;
        self.for_each_node(ln_p, |x, weight, log_probability| {
            sum += weight * g(x, log_probability);
        });
        sum
    }

    /// Calls `see(x, weight, ln p(x))` with weights such that `Σ weight · g(x) = E[g(X)]` for every `g` that is smooth
    /// beyond 4096.
    pub(crate) fn for_each_node(
        self,
        ln_p: impl Fn(f64) -> f64,
        mut see: impl FnMut(f64, f64, f64),
    ) {
        let mut term = |x: f64, factor: f64| {
            let log_probability = ln_p(x);
            let weight = factor * log_probability.exp();
            if weight != 0.0 {
                see(x, weight, log_probability);
            }
        };
        let (first, last) = (self.end(-1.0, &ln_p), self.end(1.0, &ln_p));
        let direct = if last - first <= FEW { last + 1.0 } else { first.max(DIRECT) };
        let mut x = first;
        while x < direct {
            term(x, 1.0);
            x += 1.0;
        }
        if direct > last {
            return;
        }
        if direct > first {
            // Σ_{x ≥ a} F = ∫ F from a − ½, plus F′(a − ½)/24, minus less than rounding
            term(direct, 1.0 / 24.0);
            term(direct - 1.0, -1.0 / 24.0);
        }
        if self.is_cut && last >= self.last {
            term(last + 1.0, -1.0 / 24.0);
            term(last, 1.0 / 24.0);
        }
        let (mut from, end) = (direct - 0.5, last + 0.5);
        while from < end {
            let to = end.min(from + (0.5 * from).min(self.std_dev.max(16.0)));
            let (center, half) = (from.midpoint(to), 0.5 * (to - from));
            for (node, weight) in LEGENDRE {
                term(center - half * node, half * weight);
                term(center + half * node, half * weight);
            }
            from = to;
        }
    }

    /// The first or last count of any weight.
    fn end(self, sign: f64, ln_p: &impl Fn(f64) -> f64) -> f64 {
        let mut step = self.std_dev.max(1.0);
        loop {
            let x = (self.mean + sign * step).round();
            if x <= 0.0 || x >= self.last {
                return x.clamp(0.0, self.last);
            }
            if ln_p(x) + step.ln() < -TAIL || step > 1e300 {
                return x;
            }
            step *= 2.0;
        }
    }
}

/// The positive nodes and the weights of the Gauss–Legendre rule of 16 points on `[−1, 1]`.
const LEGENDRE: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];
