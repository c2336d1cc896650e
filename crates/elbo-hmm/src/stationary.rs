//! The stationary law of a chain, its derivatives, and the M-step of a chain that starts in it.

use elbo_core::{EstimateError, Estimator, Repairs};
use elbo_dist::{Categorical, CategoricalStats};

use crate::model::estimate;

/// The most rounds of one M-step; each is an ascent, so that a step that is cut short is a step of generalized EM.
const ROUNDS: usize = 200;

/// The law `δ = δA`, or `None` if there is more than one (two sets of states that are never left).
///
/// Subtraction-free elimination within the one closed class, so that small probabilities keep all their digits;
/// `k³` operations.
///
/// # Source
///
/// Grassmann, Taksar & Heyman (1985), Oper. Res. 33(5).
pub(crate) fn stationary_law(rows: &[Categorical]) -> Option<Vec<f64>> {
    let class = closed_class(rows)?;
    let m = class.len();
    let mut a: Vec<f64> =
        class.iter().flat_map(|i| class.iter().map(|j| rows[*i].probabilities()[*j])).collect();
    let mut law = vec![0.0; m];
    for last in (1..m).rev() {
        let leave: f64 = a[last * m..last * m + last].iter().sum();
        for i in 0..last {
            a[i * m + last] /= leave;
            for j in 0..last {
                a[i * m + j] += a[i * m + last] * a[last * m + j];
            }
        }
    }
    law[0] = 1.0;
    for j in 1..m {
        law[j] = (0..j).map(|i| law[i] * a[i * m + j]).sum();
    }
    let sum: f64 = law.iter().sum();
    let mut all = vec![0.0; rows.len()];
    for (i, p) in class.into_iter().zip(law) {
        all[i] = p / sum;
    }
    Some(all)
}

/// The states of the one class that is never left, or `None` if there are several such classes.
fn closed_class(rows: &[Categorical]) -> Option<Vec<usize>> {
    let k = rows.len();
    let mut reaches = vec![vec![false; k]; k];
    for (i, reached) in reaches.iter_mut().enumerate() {
        let mut open = vec![i];
        reached[i] = true;
        while let Some(from) = open.pop() {
            for (j, p) in rows[from].probabilities().iter().enumerate() {
                if *p > 0.0 && !reached[j] {
                    reached[j] = true;
                    open.push(j);
                }
            }
        }
    }
    let is_recurrent = |i: usize| (0..k).all(|j| !reaches[i][j] || reaches[j][i]);
    let first = (0..k).find(|i| is_recurrent(*i))?;
    let class: Vec<usize> = (0..k).filter(|j| reaches[first][*j]).collect();
    let others = (0..k).any(|i| is_recurrent(i) && !reaches[first][i]);
    (!others).then_some(class)
}

/// The law as a distribution, where there is one.
pub(crate) fn stationary_start(rows: &[Categorical]) -> Result<Categorical, EstimateError> {
    let law = stationary_law(rows).ok_or(EstimateError::Unsupported {
        what: "a stationary start",
        structure: "chains with several sets of states that are never left",
    })?;
    Ok(Categorical::from_weights(&law).expect("a law has a positive sum"))
}

/// Adds to the counts of transitions what makes their scores those of transitions and start together:
/// `A[i, l] ∂(Σⱼ nⱼ ln δⱼ)/∂A[i, l]`, up to a constant for each row that keeps all of it from being negative.
///
/// With `δ = δA` and `Σδ = 1`, `dδ = δ dA Z` where `Z = (I − A + 1δ)⁻¹`, so that the derivative is `δᵢ vₗ` with
/// `v = Z (n/δ)`. `k³` operations.
///
/// # Source
///
/// Derivatives of stationary laws: Golub & Meyer (1986), SIAM J. Algebraic Discrete Methods 7(2).
pub(crate) fn add_start_counts(
    rows: &[Categorical],
    initial: &[f64],
    counts: &mut [CategoricalStats],
) {
    let k = rows.len();
    let Some(law) = stationary_law(rows) else { return };
    let mut matrix: Vec<f64> = Vec::with_capacity(k * k);
    for (i, row) in rows.iter().enumerate() {
        let cells = row.probabilities().iter().zip(&law).enumerate();
        matrix.extend(cells.map(|(j, (a, p))| f64::from(u8::from(i == j)) - a + p));
    }
    let mut v: Vec<f64> =
        initial.iter().zip(&law).map(|(n, p)| if *n > 0.0 { n / p } else { 0.0 }).collect();
    solve(&mut matrix, &mut v);
    let least = |row: &Categorical| {
        let possible = row.probabilities().iter().zip(&v).filter(|(a, _)| **a > 0.0);
        possible.map(|(_, v)| *v).fold(f64::INFINITY, f64::min)
    };
    for ((row, p), stats) in rows.iter().zip(&law).zip(counts) {
        let least = least(row);
        for ((count, a), v) in stats.counts_mut().iter_mut().zip(row.probabilities()).zip(&v) {
            if *a > 0.0 {
                *count += a * p * (v - least);
            }
        }
    }
}

/// Solves `Mx = b` in place, by elimination with partial pivoting.
fn solve(matrix: &mut [f64], b: &mut [f64]) {
    let k = b.len();
    for c in 0..k {
        let size = |r: &usize| matrix[r * k + c].abs();
        let pivot = (c..k).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(c);
        for j in 0..k {
            matrix.swap(c * k + j, pivot * k + j);
        }
        b.swap(c, pivot);
        for r in c + 1..k {
            let factor = matrix[r * k + c] / matrix[c * k + c];
            for j in c..k {
                matrix[r * k + j] -= factor * matrix[c * k + j];
            }
            b[r] -= factor * b[c];
        }
    }
    for c in (0..k).rev() {
        let known: f64 = (c + 1..k).map(|j| matrix[c * k + j] * b[j]).sum();
        b[c] = (b[c] - known) / matrix[c * k + c];
    }
}

/// The M-step of transition rows whose stationary law is that of the first states: raises
/// `Σ Nᵢₗ ln A[i, l] + Σ nⱼ ln δⱼ(A)` and the prior until nothing but rounding is left to gain.
///
/// There is no closed form. Each round linearizes `ln δ` at the current rows, which makes it counts, and estimates from all
/// counts as ever; where that overshoots, counts of the current rows hold it back. Zeros stay zero.
pub(crate) fn estimate_rows<W: Estimator<Categorical>>(
    estimator: &W,
    current: &W::Fits,
    initial: &CategoricalStats,
    transition: &[CategoricalStats],
    next: &mut W::Fits,
) -> Result<Repairs, EstimateError> {
    let infeasible = |component| EstimateError::Infeasible { component, what: "chain" };
    let is_count = |x: &f64| *x >= 0.0 && x.is_finite();
    let is_bad = |stats: &CategoricalStats| !stats.counts().iter().all(is_count);
    if let Some(component) = [initial].into_iter().chain(transition).position(is_bad) {
        return Err(infeasible(component));
    }
    let value = |fits: &W::Fits| {
        let rows = W::points(fits);
        let law = stationary_law(rows)?;
        let of_rows = rows.iter().zip(transition).map(|(row, n)| inner(n, row.probabilities()));
        let value = of_rows.sum::<f64>() + inner(initial, &law) + estimator.penalty(fits);
        (value > f64::NEG_INFINITY).then_some(value)
    };
    let mut best = current.clone();
    let mut height = value(&best);
    let (mut held, mut repairs) = (0.0, Repairs::default());
    for _ in 0..ROUNDS {
        let mut counts = transition.to_vec();
        let rows = W::points(&best);
        add_start_counts(rows, initial.counts(), &mut counts);
        for (stats, row) in counts.iter_mut().zip(rows) {
            let weight = held * (1.0 + stats.total_weight());
            elbo_core::add_scaled(stats.counts_mut(), weight, row.probabilities());
        }
        repairs = estimate(estimator, &best, &counts, next)?;
        let reached = value(next);
        let gain = match (height, reached) {
            (Some(height), Some(reached)) => reached - height,
            (None, Some(_)) => f64::INFINITY,
            _ => f64::NEG_INFINITY,
        };
        let rounding = 1e-14 * height.unwrap_or(0.0).abs();
        if gain >= 0.0 {
            best.clone_from(next);
            height = reached;
            held *= 0.25;
            if gain <= rounding {
                break;
            }
        } else if gain > -rounding {
            break;
        } else {
            held = (4.0 * held).max(0.25);
            if held > 1e12 {
                break;
            }
        }
    }
    if height.is_none() {
        return Err(infeasible(0));
    }
    next.clone_from(&best);
    Ok(repairs)
}

/// `Σ n ln p`, where `0 ln 0 = 0`.
fn inner(counts: &CategoricalStats, probabilities: &[f64]) -> f64 {
    let terms = counts.counts().iter().zip(probabilities);
    terms.map(|(n, p)| if *n > 0.0 { n * p.ln() } else { 0.0 }).sum()
}
