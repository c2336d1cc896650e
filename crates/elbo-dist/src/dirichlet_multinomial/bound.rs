//! A step that raises the likelihood of Dirichlet-multinomials, from three moments for each sum of logarithms.

/// Bounds of a sum `f(a) = Σ ln(a + r)` over some `r ≥ 0`, of which only `mₖ = Σ rᵏ/(a₀ + r)²`, `k = 0, 1, 2`, are known at
/// one point `a₀`. They fix the slope `s = f′(a₀) = a₀m₀ + m₁`, the curvature `−f″(a₀) = m₀`, and the number of terms.
///
/// Weighted by `(a₀ + r)⁻²`, `Σ 1/(a + r)` is an integral of a function of `r` whose even derivatives are positive.
/// Gauss's rule with one node, `r₁ = m₁/m₀`, is below it, and Radau's with the nodes `0` and `r₂ = m₂/m₁` above. Since
/// `f′(a) = s − δm₀ + δ² Σ (a₀ + r)⁻²/(a + r)`, `δ = a − a₀`, this gives for all `a > 0`
///
/// `c/(a + r₁) ≤ f′(a) ≤ c₀/a + c₂/(a + r₂)`,
///
/// where `c`, `c₀`, `c₂` are the weights of the nodes times `(a₀ + r)²`. Integrated from `a₀`, the left side bounds `f`
/// from below to the right of `a₀` and from above to its left; the right side the other way round. At `a₀` all agree in
/// value, slope and curvature; far out they differ from `f` by `O((r/a₀)²)` and `O((r/a₀)³)` of `f′`, so that steps
/// are long where `a₀` is large.
///
/// Source of the rules and their signs: Golub & Meurant (2010), *Matrices, Moments and Quadrature*, chapter 6.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSum {
    at: f64,
    slope: f64,
    /// Below the slope.
    gauss: Node,
    /// Above the slope.
    radau: [Node; 2],
}

/// `count` terms `ln(a + r)`.
#[derive(Clone, Copy, Debug)]
struct Node {
    r: f64,
    count: f64,
}

/// A point of a bound: value less that at `a₀`, slope, second derivative.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jet {
    value: f64,
    slope: f64,
    second: f64,
}

impl LogSum {
    /// The sum with these moments at `at`; none if there is no such sum.
    pub(super) fn new(at: f64, [m0, m1, m2]: [f64; 3]) -> Option<Self> {
        const ROUNDING: f64 = 1e-6;
        let possible = at > 0.0 && m0 > 0.0 && m1 >= 0.0 && m2 >= 0.0;
        if !(possible && [at, m0, m1, m2].iter().all(|x| x.is_finite())) {
            return None;
        }
        let node = |r: f64, weight: f64| Node { r, count: (weight * (at + r)) * (at + r) };
        let (r, weight) = if m1 > 0.0 { (m2 / m1, m1 * (m1 / m2)) } else { (0.0, 0.0) };
        if weight.is_nan() || weight > m0 * (1.0 + ROUNDING) {
            return None; // m₁² ≤ m₀m₂ by Cauchy and Schwarz
        }
        Some(Self {
            at,
            slope: at * m0 + m1,
            gauss: node(m1 / m0, m0),
            radau: [node(0.0, (m0 - weight).max(0.0)), node(r, weight)],
        })
    }

    fn jet(&self, nodes: &[Node], a: f64) -> Jet {
        nodes.iter().fold(Jet::default(), |sum, node| {
            let slope = node.count / (a + node.r);
            Jet {
                value: sum.value + node.count * ((a - self.at) / (self.at + node.r)).ln_1p(),
                slope: sum.slope + slope,
                second: sum.second - slope / (a + node.r),
            }
        })
    }

    /// The lower bound.
    fn below(&self, a: f64) -> Jet {
        if a >= self.at { self.jet(&[self.gauss], a) } else { self.jet(&self.radau, a) }
    }

    /// The upper bound.
    fn above(&self, a: f64) -> Jet {
        if a >= self.at { self.jet(&self.radau, a) } else { self.jet(&[self.gauss], a) }
    }

    /// Where the slope of the lower bound is `lambda > 0`.
    fn where_slope_is(&self, lambda: f64) -> f64 {
        if lambda <= self.slope {
            // a + r₁ = c/λ, as a step from a₀
            return self.at + (self.slope / lambda - 1.0) * (self.at + self.gauss.r);
        }
        // λa² + (λr₂ − c₀ − c₂) a − c₀r₂ = 0
        let [first, second] = self.radau;
        let b = first.count + second.count - lambda * second.r;
        let root = (b * b + 4.0 * lambda * first.count * second.r).sqrt();
        if b >= 0.0 {
            (b + root) / (2.0 * lambda)
        } else {
            2.0 * first.count * second.r / (root - b)
        }
    }
}

/// Raises `Q(α) = Σ belowⱼ(αⱼ) − above(Σα)` from its value 0 at `α₀` until it is stationary, writing `α` to `alpha`.
///
/// Where the slope of `above` at `A = Σα` is `λ`, the best `αⱼ` have slope `λ`, too: one equation in `λ`. From the slope
/// at `A₀` the iteration `λ ← above′(A(λ))` moves `A` one way only, up to the first solution, and `Q` rises all the way.
/// Newton's method in `λ`, or where `Q` is convex along the way a longer and longer step, is taken instead where it
/// raises `Q` more. Wherever this stops, `Q ≥ 0`.
pub(super) fn raise(categories: &[LogSum], total: &LogSum, alpha: &mut [f64]) {
    const STEPS: usize = 100;
    const LONGER: f64 = 8.0;
    let mut lambda = total.slope;
    let mut here = evaluate(categories, total, lambda);
    let mut stretch = LONGER;
    for _ in 0..STEPS {
        let mut moved = here.above.slope;
        let mut next = evaluate(categories, total, moved);
        let rate = here.above.second * here.response;
        let jump = if rate < 1.0 {
            lambda - (lambda - moved) / (1.0 - rate)
        } else {
            lambda * (moved / lambda).powf(stretch)
        };
        stretch = LONGER;
        if jump > 0.0 && jump.is_finite() {
            let there = evaluate(categories, total, jump);
            if there.value >= next.value - next.noise {
                stretch = LONGER * (jump / lambda).ln() / (moved / lambda).ln();
                (moved, next) = (jump, there);
            }
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
