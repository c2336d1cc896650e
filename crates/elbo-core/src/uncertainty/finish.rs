//! From the information to standard errors, or to the reason why there are none.

use super::{
    FlatModel, Method, ParameterEstimate, Uncertainty, UncertaintyError,
    local::Local,
    matrix::{Eigen, cholesky, eigen, invert_lower, product, transpose},
};

/// Relative information below this is nothing but the error of differences.
const RESOLUTION: f64 = 1e-6;
/// Probabilities this close to 0 or 1 may be on the boundary.
const CLOSE: f64 = 1e-3;
/// As for single coordinates: information, in observations, that is next to nothing.
const NEXT_TO_NOTHING: f64 = 0.01;
/// The longest Newton step, in standard errors, that still counts as being at the maximum.
const FAR: f64 = 0.5;

/// What a route found, per step of the free coordinates.
pub(super) struct Found {
    pub(super) observed: Vec<f64>,
    pub(super) complete: Option<Vec<f64>>,
    pub(super) gradient: Vec<f64>,
    pub(super) asymmetry: f64,
}

pub(super) fn finish<M: FlatModel>(
    local: &Local<'_, '_, M>,
    method: Method,
    found: &Found,
) -> Result<Uncertainty, UncertaintyError> {
    check_finite(local, found)?;
    let mut held = local.held.clone();
    let basis = basis(local, found, &mut held)?;
    let whitened = Whitened::new(local, found, &basis)?;
    let covariance = whitened.covariance(local.free.len());
    let distance = distance(local, &covariance, &found.gradient)?;
    let steps: Vec<f64> = local.free.iter().map(|k| local.steps[*k]).collect();
    let r = steps.len();
    let per_step = |numbers: &[f64], power: i32| -> Vec<f64> {
        let scale = |at: usize| (steps[at / r] * steps[at % r]).powi(power);
        numbers.iter().enumerate().map(|(at, x)| x * scale(at)).collect()
    };
    Ok(Uncertainty {
        method,
        parameters: estimates(local, &covariance, &held),
        held,
        distance,
        asymmetry: found.asymmetry,
        missing_fraction: found.complete.as_ref().map(|_| 1.0 - whitened.least),
        coordinates: local.coordinates(),
        jacobian: local.jacobian.iter().enumerate().map(|(at, x)| x / steps[at % r]).collect(),
        information: per_step(&found.observed, -1),
        covariance: per_step(&covariance, 1),
    })
}

fn check_finite<M: FlatModel>(
    local: &Local<'_, '_, M>,
    found: &Found,
) -> Result<(), UncertaintyError> {
    let r = local.free.len();
    let matrices = [Some(&found.observed), found.complete.as_ref()];
    for matrix in matrices.into_iter().flatten() {
        if let Some(at) = matrix.iter().position(|x| !x.is_finite()) {
            return Err(UncertaintyError::NoDerivative { parameter: local.name_of(at % r) });
        }
    }
    Ok(())
}

/// Rows that span the directions that are not held: all of them, unless several probabilities of one law meet the
/// boundary together, which no single coordinate shows.
fn basis<M: FlatModel>(
    local: &Local<'_, '_, M>,
    found: &Found,
    held: &mut Vec<String>,
) -> Result<Vec<f64>, UncertaintyError> {
    let r = local.free.len();
    let judge = found.complete.as_ref().unwrap_or(&found.observed);
    let Eigen { values, vectors } = eigen(judge, r);
    let mut kept = Vec::with_capacity(r * r);
    for (value, direction) in values.iter().zip(vectors.chunks_exact(r.max(1))) {
        if *value < RESOLUTION {
            if let Some(name) = on_the_boundary(local, direction, *value) {
                if !held.contains(&name) {
                    held.push(name);
                }
                continue;
            }
            if found.complete.is_some() {
                return Err(degenerate(local, direction, *value));
            }
        }
        kept.extend(direction);
    }
    if kept.len() == r * r {
        kept.fill(0.0);
        (0..r).for_each(|i| kept[i * r + i] = 1.0);
    }
    Ok(kept)
}

/// The probability, close to 0 or 1, that moves in proportion along a direction about which there is next to no
/// information.
fn on_the_boundary<M: FlatModel>(
    local: &Local<'_, '_, M>,
    direction: &[f64],
    information: f64,
) -> Option<String> {
    let rows = local.names.iter().zip(local.jacobian.chunks_exact(direction.len().max(1)));
    let proportion = |row: &[f64], room: f64| {
        row.iter().zip(direction).map(|(a, b)| a * b).sum::<f64>().abs() / room
    };
    let close = rows.filter(|(named, _)| named.room() <= CLOSE && named.room() > 0.0);
    let (by, name) = close
        .map(|(named, row)| (proportion(row, named.room()), &named.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (information < NEXT_TO_NOTHING * by * by).then(|| name.clone())
}

fn degenerate<M: FlatModel>(
    local: &Local<'_, '_, M>,
    direction: &[f64],
    curvature: f64,
) -> UncertaintyError {
    let parameter = local.moved_most(direction);
    if curvature < -RESOLUTION {
        UncertaintyError::NotMaximum { parameter, curvature }
    } else {
        UncertaintyError::NotIdentified { parameter, curvature }
    }
}

/// The observed information in coordinates in which that of complete data is the identity.
struct Whitened {
    /// One row for each of them, in the free coordinates.
    directions: Vec<f64>,
    /// The information along each, `1 − ` the fraction that is missing.
    values: Vec<f64>,
    least: f64,
}

impl Whitened {
    fn new<M: FlatModel>(
        local: &Local<'_, '_, M>,
        found: &Found,
        basis: &[f64],
    ) -> Result<Self, UncertaintyError> {
        let r = local.free.len();
        let q = basis.len() / r.max(1);
        let whitener = match &found.complete {
            None => basis.to_vec(),
            Some(complete) => {
                let inner = congruent(complete, basis, r);
                let Some(l) = cholesky(&inner, q) else {
                    let Eigen { values, vectors } = eigen(&inner, q);
                    return Err(degenerate(local, &combine(&vectors[..q], basis, r), values[0]));
                };
                let u = invert_lower(&l, q);
                u.chunks_exact(q.max(1)).flat_map(|row| combine(row, basis, r)).collect()
            }
        };
        let Eigen { values, vectors } = eigen(&congruent(&found.observed, &whitener, r), q);
        let directions: Vec<f64> =
            vectors.chunks_exact(q.max(1)).flat_map(|row| combine(row, &whitener, r)).collect();
        let least = values.first().copied().unwrap_or(1.0);
        if least < RESOLUTION {
            return Err(degenerate(local, &directions[..r], least));
        }
        Ok(Self { directions, values, least })
    }

    /// `Σ v vᵀ / λ`.
    fn covariance(&self, r: usize) -> Vec<f64> {
        let mut covariance = vec![0.0; r * r];
        for (value, direction) in self.values.iter().zip(self.directions.chunks_exact(r.max(1))) {
            for (a, row) in direction.iter().zip(covariance.chunks_exact_mut(r)) {
                crate::add_scaled(row, a / value, direction);
            }
        }
        covariance
    }
}

/// `Σ weightsⱼ rowsⱼ`.
fn combine(weights: &[f64], rows: &[f64], r: usize) -> Vec<f64> {
    let mut sum = vec![0.0; r];
    for (weight, row) in weights.iter().zip(rows.chunks_exact(r.max(1))) {
        crate::add_scaled(&mut sum, *weight, row);
    }
    sum
}

/// `B A Bᵀ` for the rows `B`.
fn congruent(a: &[f64], rows: &[f64], r: usize) -> Vec<f64> {
    if rows.len() == r * r {
        return product(&product(rows, a, r), &transpose(rows, r), r);
    }
    let moved: Vec<Vec<f64>> = rows.chunks_exact(r.max(1)).map(|row| combine(row, a, r)).collect();
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
    moved.iter().flat_map(|x| rows.chunks_exact(r).map(|y| dot(x, y))).collect()
}

/// `xᵀ A x`.
fn quadratic(a: &[f64], x: &[f64]) -> f64 {
    combine(x, a, x.len()).iter().zip(x).map(|(a, b)| a * b).sum()
}

/// Length of the Newton step, in standard errors.
fn distance<M: FlatModel>(
    local: &Local<'_, '_, M>,
    covariance: &[f64],
    gradient: &[f64],
) -> Result<f64, UncertaintyError> {
    let distance = quadratic(covariance, gradient).max(0.0).sqrt();
    if distance <= FAR {
        return Ok(distance);
    }
    let newton = combine(gradient, covariance, gradient.len());
    Err(UncertaintyError::NotStationary { distance, parameter: local.moved_most(&newton) })
}

fn estimates<M: FlatModel>(
    local: &Local<'_, '_, M>,
    covariance: &[f64],
    held: &[String],
) -> Vec<ParameterEstimate> {
    let r = local.free.len();
    let estimate = |(row, named): (usize, &super::local::Named)| {
        let slopes = &local.jacobian[row * r..][..r];
        let variance = quadratic(covariance, slopes);
        let is_free = variance > 0.0 && !held.contains(&named.name);
        ParameterEstimate {
            name: named.name.clone(),
            value: named.value,
            range: named.range,
            std_error: is_free.then(|| variance.sqrt()),
        }
    };
    local.names.iter().enumerate().map(estimate).collect()
}
