//! A step that raises the likelihood of Dirichlet-multinomials, from slopes and curvatures alone.

/// Bounds of a sum `f(a) = Σ ln(a + r)` over some `r ≥ 0`, of which only the slope `s = f′` and the curvature `t = −f″`
/// at one point `a₀` are known. Both bounds agree with `f` at `a₀` in value, slope and curvature.
///
/// With `u = 1/(a₀ + r) ∈ (0, 1/a₀]` weighted by `u`, `s` is the total weight and `t/s` the mean of `u`, and
/// `f′(a) = Σ u/(1 + δu)`, `δ = a − a₀`, is an average of a convex function of `u`. So it lies between what Jensen's
/// inequality and the chord over `(0, 1/a₀]` say:
///
/// `s/(1 + δt/s) ≤ f′(a) ≤ s(1 − θ) + sθ a₀/a`, `θ = a₀t/s ≤ 1`,
///
/// for `δ` of either sign. Integrated from `a₀`, the left side bounds `f` from below to the right of `a₀` and from above
/// to its left; the right side the other way round.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSum {
    at: f64,
    slope: f64,
    curvature: f64,
    /// `θ`.
    share: f64,
}

/// A point of a bound: value less that at `a₀`, slope, second derivative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jet {
    value: f64,
    slope: f64,
    second: f64,
}

impl LogSum {
    /// The sum with this slope and curvature at `at`; none if there is no such sum.
    pub(super) fn new(at: f64, slope: f64, curvature: f64) -> Option<Self> {
        const ROUNDING: f64 = 1e-9;
        let share = at * curvature / slope;
        let possible = at > 0.0 && slope > 0.0 && curvature > 0.0 && share <= 1.0 + ROUNDING;
        (possible && at.is_finite() && slope.is_finite() && share > 0.0).then_some(Self {
            at,
            slope,
            curvature,
            share: share.min(1.0),
        })
    }

    pub(super) fn slope(&self) -> f64 {
        self.slope
    }

    fn jensen(&self, delta: f64) -> Jet {
        let (s, t) = (self.slope, self.curvature);
        let shrink = 1.0 + delta * t / s;
        Jet {
            value: s * (s / t) * (delta * t / s).ln_1p(),
            slope: s / shrink,
            second: -t / (shrink * shrink),
        }
    }

    fn chord(&self, delta: f64) -> Jet {
        let (s, share) = (self.slope, self.share);
        let a = self.at + delta;
        let hyperbola = s * share * self.at / a;
        Jet {
            value: s * (1.0 - share) * delta + s * share * self.at * (delta / self.at).ln_1p(),
            slope: s * (1.0 - share) + hyperbola,
            second: -hyperbola / a,
        }
    }

    /// The lower bound.
    fn below(&self, a: f64) -> Jet {
        let delta = a - self.at;
        if delta >= 0.0 { self.jensen(delta) } else { self.chord(delta) }
    }

    /// The upper bound.
    fn above(&self, a: f64) -> Jet {
        let delta = a - self.at;
        if delta >= 0.0 { self.chord(delta) } else { self.jensen(delta) }
    }

    /// Where the slope of the lower bound is `lambda > 0`.
    fn where_slope_is(&self, lambda: f64) -> f64 {
        let (s, t, share) = (self.slope, self.curvature, self.share);
        if lambda <= s {
            self.at + (s / lambda - 1.0) * (s / t)
        } else {
            self.at * s * share / (lambda - s * (1.0 - share))
        }
    }
}

/// Raises `Q(α) = Σ belowⱼ(αⱼ) − above(Σα)` from its value 0 at `α₀` until it is stationary, writing `α` to `alpha`.
///
/// Where the slope of `above` at `A = Σα` is `λ`, the best `αⱼ` have slope `λ`, too: one equation in `λ`. From the slope
/// at `A₀` the iteration `λ ← above′(A(λ))` moves `A` one way only, up to the first solution, and `Q` rises all the way;
/// a Newton step in `λ` is taken instead where it raises `Q` as well. Wherever this stops, `Q ≥ 0`.
pub(super) fn raise(categories: &[LogSum], total: &LogSum, alpha: &mut [f64]) {
    const STEPS: usize = 100;
    let mut lambda = total.slope();
    let mut here = evaluate(categories, total, lambda);
    for _ in 0..STEPS {
        let residual = lambda - here.above.slope;
        let rate = here.above.second * here.response;
        let newton = lambda - residual / (1.0 - rate);
        let plain = here.above.slope;
        let mut next = evaluate(categories, total, newton);
        let mut moved = newton;
        let better = next.value >= here.value - here.noise;
        if !(rate < 1.0 && newton > 0.0 && newton.is_finite() && better) {
            next = evaluate(categories, total, plain);
            moved = plain;
        }
        let settled = (moved - lambda).abs() <= 2.0 * f64::EPSILON * lambda;
        (lambda, here) = (moved, next);
        if settled {
            break;
        }
    }
    for (alpha, category) in alpha.iter_mut().zip(categories) {
        *alpha = category.where_slope_is(lambda);
    }
}

/// `Q` where all slopes are one `λ`.
struct Stage {
    value: f64,
    /// How much of the value may be rounding.
    noise: f64,
    above: Jet,
    /// `dA/dλ`.
    response: f64,
}

fn evaluate(categories: &[LogSum], total: &LogSum, lambda: f64) -> Stage {
    let (mut sum, mut value, mut size, mut response) = (0.0, 0.0, 0.0, 0.0);
    for category in categories {
        let a = category.where_slope_is(lambda);
        let below = category.below(a);
        sum += a;
        value += below.value;
        size += below.value.abs();
        response += below.second.recip();
    }
    let above = total.above(sum);
    let noise = 16.0 * f64::EPSILON * (size + above.value.abs());
    Stage { value: value - above.value, noise, above, response }
}
