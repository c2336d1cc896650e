//! Laws that never fail prove nothing: here they judge a Gaussian that is broken on purpose, one fault at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::OnceLock,
};

use elbo_core::{
    DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Statistics, take_front,
};
use elbo_laws::{Of, WeightedSample, family, parameters, statistics, univariate};

/// What is wrong with a [`Toy`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// Statistics about another origin are added without being moved.
    MergeWithoutShift,
    /// The shift has the wrong sign.
    MergeWithWrongSign,
    /// What is merged counts half.
    MergeHalves,
    /// The origin is not shown, so that it is lost on the way through bytes.
    OriginNotShown,
    /// Rows count once whatever their weight.
    WeightsForgotten,
    /// A row of weight zero leaves a trace.
    WeightZeroCounts,
    /// The second moment is that of the first row of a block only.
    RowsForgotten,
    /// All components are scored as the first.
    OneComponentForAll,
    /// What the scratch held before is observed again.
    ScratchNotEmptied,
    /// The density lacks its normalizing constant.
    NoNormalizer,
    /// The variance is twice what it should be.
    VarianceDoubled,
    /// The estimate of the mean is off by a hundredth of a standard deviation.
    MeanOff,
    /// Coordinates are not those that are read back.
    CoordinatesOff,
    /// Quantiles are those of a wider distribution.
    QuantilesOff,
    /// Draws are too narrow.
    DrawsNarrow,
}

const FAULTS: [Fault; 15] = [
    Fault::MergeWithoutShift,
    Fault::MergeWithWrongSign,
    Fault::MergeHalves,
    Fault::OriginNotShown,
    Fault::WeightsForgotten,
    Fault::WeightZeroCounts,
    Fault::RowsForgotten,
    Fault::OneComponentForAll,
    Fault::ScratchNotEmptied,
    Fault::NoNormalizer,
    Fault::VarianceDoubled,
    Fault::MeanOff,
    Fault::CoordinatesOff,
    Fault::QuantilesOff,
    Fault::DrawsNarrow,
];

/// `N(mean, variance)` with a fault.
#[derive(Clone, Copy, Debug)]
struct Toy {
    mean: f64,
    variance: f64,
    fault: Fault,
}

/// `Σw`, `Σw(x − c)`, `Σw(x − c)²`.
#[derive(Clone, Copy, Debug)]
struct ToyStats {
    origin: f64,
    sums: [f64; 3],
    fault: Fault,
}

impl ToyStats {
    fn about(&self, origin: f64) -> [f64; 3] {
        let [w, first, second] = self.sums;
        let d = match self.fault {
            Fault::MergeWithoutShift => 0.0,
            Fault::MergeWithWrongSign => origin - self.origin,
            _ => self.origin - origin,
        };
        [w, first + d * w, second + d * (2.0 * first + d * w)]
    }
}

impl Statistics for ToyStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum)));
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        if self.fault != Fault::OriginNotShown {
            see(std::slice::from_ref(&self.origin));
        }
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        if self.fault != Fault::OriginNotShown {
            see(std::slice::from_mut(&mut self.origin));
        }
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.sums.iter().all(|sum| *sum == 0.0) {
            self.origin = other.origin;
        }
        let half = if self.fault == Fault::MergeHalves { 0.5 } else { 1.0 };
        elbo_core::add_scaled(&mut self.sums, half * factor, &other.about(self.origin));
    }

    fn align(&mut self, like: &Self) {
        *self = Self { origin: like.origin, sums: self.about(like.origin), fault: self.fault };
    }
}

impl Toy {
    fn log_density(&self, x: f64) -> f64 {
        let z = (x - self.mean).powi(2) / self.variance;
        let constant =
            if self.fault == Fault::NoNormalizer { 0.0 } else { std::f64::consts::TAU.ln() };
        -0.5 * (constant + self.variance.ln() + z)
    }

    /// By quadrature of the true density.
    fn cdf(&self, x: f64) -> f64 {
        let honest = Self { fault: Fault::Nothing, ..*self };
        let low = self.mean - 12.0 * self.variance.sqrt();
        univariate::integrate(|x| honest.log_density(x).exp(), low, x.max(low))
    }

    fn quantile(&self, p: f64) -> f64 {
        let width = if self.fault == Fault::QuantilesOff { 1.01 } else { 1.0 };
        let (mut below, mut above) = (-12.0, 12.0);
        let standard = Self { mean: 0.0, variance: 1.0, fault: Fault::Nothing };
        for _ in 0..60 {
            let middle = 0.5 * (below + above);
            if standard.cdf(middle) < p { below = middle } else { above = middle }
        }
        self.mean + width * self.variance.sqrt() * above
    }

    /// Draws at evenly spread probabilities.
    fn draws(&self) -> Vec<f64> {
        static STANDARD: OnceLock<Vec<f64>> = OnceLock::new();
        let standard = Self { mean: 0.0, variance: 1.0, fault: Fault::Nothing };
        let standard = STANDARD.get_or_init(|| {
            (0..300).map(|i| standard.quantile((f64::from(i) + 0.5) / 300.0)).collect()
        });
        let width = if self.fault == Fault::DrawsNarrow { 0.3 } else { 1.0 };
        let scale = width * self.variance.sqrt();
        standard.iter().map(|z| self.mean + scale * z).collect()
    }
}

impl Family for Toy {
    type Batch<'a> = &'a [f64];
    type Stats = ToyStats;
    type Packed = Vec<Toy>;
    type Scratch = [f64; 1];

    fn check(&self, _: &[f64]) -> Result<(), DataError> {
        Ok(())
    }

    fn new_stats(&self) -> ToyStats {
        ToyStats { origin: self.mean, sums: [0.0; 3], fault: self.fault }
    }

    fn new_packed(&self, k: usize) -> Vec<Toy> {
        vec![*self; k]
    }

    fn new_scratch(_: &Vec<Toy>) -> [f64; 1] {
        [0.0]
    }

    fn pack(&self, j: usize, packed: &mut Vec<Toy>) {
        packed[j] = *self;
    }

    fn score_all(packed: &Vec<Toy>, data: &[f64], mut out: MatrixMut<'_>, _: &mut [f64; 1]) {
        for (j, toy) in packed.iter().enumerate() {
            let toy = if toy.fault == Fault::OneComponentForAll { &packed[0] } else { toy };
            out.row_mut(j).iter_mut().zip(data).for_each(|(out, x)| *out = toy.log_density(*x));
        }
    }

    fn reset_all(packed: &Vec<Toy>, stats: &mut [ToyStats]) {
        stats.iter_mut().zip(packed).for_each(|(stats, toy)| *stats = toy.new_stats());
    }

    fn observe_all(
        packed: &Vec<Toy>,
        stats: &mut [ToyStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut [f64; 1],
    ) {
        for (j, stats) in stats.iter_mut().enumerate() {
            let fault = packed[j].fault;
            for (i, (x, w)) in data.iter().zip(weights.row(j)).enumerate() {
                let w = match fault {
                    Fault::WeightsForgotten if *w > 0.0 => 1.0,
                    Fault::WeightZeroCounts => w + 1e-9,
                    _ => *w,
                };
                let d = if w == 0.0 { 0.0 } else { x - stats.origin };
                stats.sums[0] += w;
                stats.sums[1] += w * d;
                if fault != Fault::RowsForgotten || i == 0 {
                    stats.sums[2] += w * d * d;
                }
                if fault == Fault::ScratchNotEmptied {
                    stats.sums[1] += 1e-3 * scratch[0];
                    scratch[0] += w * d;
                }
            }
        }
    }

    fn maximize(&self, stats: &ToyStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let [weight, first, second] = stats.sums;
        let mean = stats.origin + first / weight;
        let variance = second / weight - (first / weight).powi(2);
        let off = if self.fault == Fault::MeanOff { 0.01 * variance.sqrt() } else { 0.0 };
        let factor = if self.fault == Fault::VarianceDoubled { 2.0 } else { 1.0 };
        *next = Self { mean: mean + off, variance: factor * variance, fault: self.fault };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> ToyStats {
        let sums = [weight, 0.0, weight * self.variance];
        ToyStats { origin: self.mean, sums, fault: self.fault }
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }
}

impl FlatParameters for Toy {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.mean, self.variance.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        let variance =
            if self.fault == Fault::CoordinatesOff { at[1] * at[1] } else { at[1].exp() };
        Self { mean: at[0], variance, ..*self }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("mean", self.mean, Range::Real);
    }
}

fn sample(shift: f64) -> WeightedSample<Of<Toy, f64>> {
    let data: Vec<f64> = (0..40).map(|i| shift + f64::from(i * i % 17) / 5.0).collect();
    let weights = (0..40).map(|i| f64::from(i % 4) / 2.0).collect();
    WeightedSample::new(Of::new(data), weights)
}

/// A law by its name.
type Law = (&'static str, Box<dyn Fn()>);

fn law(name: &'static str, law: impl Fn() + 'static) -> Law {
    (name, Box::new(law))
}

/// The laws of statistics and of families, as they judge the toy with this fault.
fn laws_of_families(fault: Fault) -> Vec<Law> {
    let toy = move |mean: f64, variance: f64| Toy { mean, variance, fault };
    let stats = move |mean: f64, shift: f64| sample(shift).stats(&toy(mean, 1.0));
    vec![
        law("merge_is_commutative", move || {
            statistics::merge_is_commutative(&stats(0.0, 0.0), &stats(3.0, 1.0));
        }),
        law("bytes_keep_every_bit", move || {
            statistics::bytes_keep_every_bit(&stats(0.0, 0.0), &stats(3.0, 1.0));
        }),
        law("weight_two_is_seeing_twice", move || {
            family::weight_two_is_seeing_twice(&toy(0.0, 1.0), &sample(0.0));
        }),
        law("weight_zero_changes_nothing", move || {
            let extreme = Of::new(vec![1e150]);
            family::weight_zero_changes_nothing(&toy(0.0, 1.0), &sample(0.0), &extreme);
        }),
        law("order_is_irrelevant", move || {
            family::order_is_irrelevant(&toy(0.0, 1.0), &sample(0.0), 3);
        }),
        law("merging_parts_is_observing_the_whole", move || {
            family::merging_parts_is_observing_the_whole(&toy(0.0, 1.0), &sample(0.0), 13);
        }),
        law("origins_are_irrelevant", move || {
            family::origins_are_irrelevant(&toy(0.0, 1.0), &toy(3.0, 2.0), &sample(0.0), 13);
        }),
        law("all_at_once_is_one_at_a_time", move || {
            let toys = [toy(0.0, 1.0), toy(2.0, 3.0)];
            family::all_at_once_is_one_at_a_time(&toys, &sample(0.0));
        }),
        law("expected_statistics_give_the_distribution_back", move || {
            let (family, start, data) = (toy(1.0, 2.0), toy(0.0, 1.0), sample(0.0).data);
            family::expected_statistics_give_the_distribution_back(
                &family, &start, 3.0, &data, 10.0,
            );
        }),
        law("the_gradient_vanishes_at_the_maximum", move || {
            let at = |best: &Toy, step: &[f64]| Toy {
                mean: best.mean + best.variance.sqrt() * step[0],
                variance: best.variance * step[1].exp(),
                ..*best
            };
            family::the_gradient_vanishes_at_the_maximum(&toy(0.0, 1.0), &sample(0.0), 2, at);
        }),
        law("coordinates_give_the_distribution_back", move || {
            let data = sample(0.0).data;
            parameters::coordinates_give_the_distribution_back(&toy(1.0, 2.0), &data, 10.0);
        }),
    ]
}

/// The laws of distributions of one number.
fn laws_of_numbers(fault: Fault) -> Vec<Law> {
    let toy = Toy { mean: 0.5, variance: 2.0, fault };
    let of = move |check: &dyn Fn(&univariate::Continuous<'_>)| {
        check(&univariate::Continuous {
            log_density: &|x| toy.log_density(x),
            cdf: &|x| toy.cdf(x),
            quantile: &|p| toy.quantile(p),
        });
    };
    vec![
        law("density_integrates_to_the_cdf", move || {
            of(&|of| univariate::density_integrates_to_the_cdf(of, [0.1, 0.7]));
        }),
        law("quantile_inverts_the_cdf", move || {
            of(&|of| univariate::quantile_inverts_the_cdf(of, 0.3));
        }),
        law("draws_follow_the_cdf", move || {
            let cdf = |x: f64| toy.cdf(x);
            univariate::draws_follow_the_cdf(toy.draws(), cdf, cdf);
        }),
    ]
}

fn laws(fault: Fault) -> Vec<Law> {
    laws_of_families(fault).into_iter().chain(laws_of_numbers(fault)).collect()
}

/// The laws that a toy with this fault breaks. They say why on the way, which is of no interest here.
fn broken_by(fault: Fault) -> Vec<&'static str> {
    let loud = take_hook();
    set_hook(Box::new(|_| {}));
    let breaks = |law: &dyn Fn()| catch_unwind(AssertUnwindSafe(law)).is_err();
    let broken =
        laws(fault).iter().filter(|(_, law)| breaks(law.as_ref())).map(|(name, _)| *name).collect();
    set_hook(loud);
    broken
}

/// One test, as silencing is for the whole process.
#[test]
fn every_fault_breaks_a_law_and_every_law_catches_a_fault() {
    assert_eq!(broken_by(Fault::Nothing), [""; 0], "a sound family breaks no law");
    let mut caught = Vec::new();
    for fault in FAULTS {
        let broken = broken_by(fault);
        eprintln!("{fault:?}: {}", broken.join(", "));
        assert!(!broken.is_empty(), "{fault:?} is caught by no law");
        caught.extend(broken);
    }
    for (law, _) in laws(Fault::Nothing) {
        assert!(caught.contains(&law), "{law} catches nothing");
    }
}
