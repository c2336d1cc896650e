//! Plain numerics for expectation–maximization: slices in, slices out.
//!
//! Covariance matrices through their Cholesky factor, eigenvalues, low-rank updates and weighted
//! moments; `exp`, `ln`, log-sum-exp and responsibilities; and vectors of the CPU's instruction set,
//! chosen at run time, for kernels elsewhere. The crate knows no model, no driver and no thread pool,
//! and reads one global setting, the environment variable `ELBO_SIMD` (see [`Level`]).
//!
//! A Gaussian log density at one point:
//!
//! ```
//! use elbo_linalg::{cholesky_relative, log_det_from_cholesky, mahalanobis_squared};
//!
//! let mut sigma = [4.0, 2.0, 2.0, 2.0];
//! cholesky_relative(&mut sigma, 2, 1e-10)?; // now the factor L, Σ = L Lᵀ
//! let distance = mahalanobis_squared(&sigma, 2, &[2.0, 0.0], &mut [0.0; 2]);
//! let log_det = log_det_from_cholesky(&sigma, 2);
//! let log_density = -0.5 * (2.0 * std::f64::consts::TAU.ln() + log_det + distance);
//! assert!((log_density - -3.531_024_246_969_290_7).abs() < 1e-14);
//! # Ok::<(), elbo_linalg::NotPositiveDefinite>(())
//! ```
//!
//! # Conventions
//!
//! A matrix is a row-major slice: element `(i, j)` of a `d × d` matrix is `a[i * d + j]`. A symmetric
//! matrix is read from its lower triangle. Bad numbers are typed errors that name the place; a wrong
//! shape is a bug of the caller and panics. `_in_place` overwrites its input.
//!
//! # Should I use this crate?
//!
//! For new distributions or model families of this workspace, yes. As a general linear algebra
//! library, no: there are no matrix types, no LU, QR or SVD, nothing sparse and nothing on several
//! threads, since callers run many small problems side by side. Use [faer](https://docs.rs/faer)
//! itself, which does the work here from order 64 upwards, always sequentially.
//!
//! # Crate features
//!
//! None.

mod dense;
mod eigen;
mod leading;
mod low_rank;
mod moments;
mod simd;
mod spd;
mod triangular;
mod vector;

pub use dense::{View, add_cross_product_lower, multiply_into};
pub use eigen::{
    EigenError, SymmetricEigen, extreme_eigenvalues, smallest_generalized_eigenvalue,
    symmetric_eigen,
};
pub use leading::{LeadingEigen, leading_eigen};
pub use low_rank::{LowRankError, LowRankPlusDiagonal};
pub use moments::{MomentsError, Rows, WeightedMoments, weighted_mean_and_scatter};
pub use simd::{Kernel, Lanes, Level, LevelError, MAX_LANES, MAX_TILE, MAX_WIDTH, Number, Simd};
pub use spd::{
    Jitter, NotPositiveDefinite, add_outer, cholesky_in_place, cholesky_relative,
    cholesky_with_jitter, log_det_from_cholesky, mahalanobis_squared, mirror_lower,
    rank_one_update_lower, spd_inverse_from_cholesky,
};
pub use triangular::{
    invert_lower_in_place, solve_lower_in_place, solve_lower_transposed_in_place,
};
pub use vector::{
    SoftmaxError, add_row_sums, exp_in_place, exp_into, ln_in_place, ln_into, log_sum_exp,
    softmax_columns,
};
