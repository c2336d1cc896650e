//! What the family keeps beside its components while it scores and observes.

use elbo_core::{Batch, Rows, Statistics};

use super::MultivariateGaussianStats;
use super::kernels::{self, Moments, PackedGaussians, Scratch, Shape};
use super::missing::{self, Missing};

/// `k` Gaussians, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug)]
pub struct MultivariateGaussianPacked {
    pub(super) kernel: PackedGaussians,
    /// `Uⱼ`, one after the other: lower triangular, row-major, or its diagonal.
    whitenings: Vec<f64>,
}

impl MultivariateGaussianPacked {
    /// Room for `k` components.
    pub(super) fn new(k: usize, d: usize, is_diagonal: bool) -> Self {
        let (shape, len) = if is_diagonal { (Shape::Diagonal, d) } else { (Shape::Full, d * d) };
        Self { kernel: PackedGaussians::new(shape, k, d), whitenings: vec![0.0; k * len] }
    }

    /// Rows are scored by `constant − ½ ‖factor · U (x − center)‖²`, `U` lower triangular, row-major, or its diagonal.
    pub(crate) fn set(
        &mut self,
        j: usize,
        constant: f64,
        center: &[f64],
        factor: f64,
        whitening: &[f64],
    ) {
        let scaled = &mut self.whitenings[j * whitening.len()..][..whitening.len()];
        scaled.iter_mut().zip(whitening).for_each(|(to, u)| *to = factor * u);
        self.kernel.set(j, constant, center, scaled);
    }

    pub(super) fn is_diagonal(&self) -> bool {
        self.whitenings.len() == self.kernel.k() * self.kernel.d()
    }

    /// `Uⱼ`, scaled.
    pub(super) fn whitening(&self, j: usize) -> &[f64] {
        let len = self.whitenings.len() / self.kernel.k();
        &self.whitenings[j * len..][..len]
    }
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct MultivariateGaussianScratch {
    kernel: Scratch,
    moments: Moments,
    missing: Missing,
}

impl MultivariateGaussianScratch {
    pub(super) fn new(packed: &MultivariateGaussianPacked) -> Self {
        let kernel = &packed.kernel;
        Self {
            kernel: Scratch::new(kernel),
            moments: Moments::new(kernel),
            missing: Missing::new(kernel.k(), kernel.d(), packed.is_diagonal()),
        }
    }

    /// Scores of a block, whatever it misses.
    pub(super) fn score_all(
        &mut self,
        packed: &MultivariateGaussianPacked,
        rows: elbo_linalg::Rows<'_>,
        out: &mut [f64],
        stride: usize,
    ) {
        kernels::score_all(&packed.kernel, rows, out, stride, &mut self.kernel);
        self.score_missing(packed, rows, out, stride);
    }

    /// The same as far as scores matter: see [`kernels::score_relevant`].
    pub(super) fn score_relevant(
        &mut self,
        packed: &MultivariateGaussianPacked,
        rows: elbo_linalg::Rows<'_>,
        log_weights: &[f64],
        out: &mut [f64],
        stride: usize,
    ) {
        kernels::score_relevant(&packed.kernel, rows, log_weights, out, stride, &mut self.kernel);
        self.score_missing(packed, rows, out, stride);
    }

    /// A row with missing numbers scores NaN under every component until here.
    fn score_missing(
        &mut self,
        packed: &MultivariateGaussianPacked,
        rows: elbo_linalg::Rows<'_>,
        out: &mut [f64],
        stride: usize,
    ) {
        self.missing.find_by_scores(rows, &out[..rows.n]);
        if self.missing.is_any() {
            missing::score_all(packed, rows, out, stride, &mut self.missing);
        }
    }

    /// Adds a block to what [`finish`](Self::finish) gives.
    pub(super) fn observe_all(
        &mut self,
        packed: &MultivariateGaussianPacked,
        rows: elbo_linalg::Rows<'_>,
        weights: &[f64],
        stride: usize,
    ) {
        let Self { kernel, moments, missing } = self;
        if missing.find(rows) {
            missing::observe_all(packed, rows, weights, stride, moments, kernel, missing);
        } else {
            kernels::observe_all(&packed.kernel, rows, weights, stride, moments, kernel);
        }
    }

    /// Moves what was observed to the statistics.
    pub(super) fn finish(
        &mut self,
        packed: &MultivariateGaussianPacked,
        stats: &mut [MultivariateGaussianStats],
    ) {
        finish_moments(&packed.kernel, stats, &mut self.moments, &mut self.kernel);
    }
}

/// Moves what `moments` and `scratch` hold to the statistics, and empties both.
pub(crate) fn finish_moments(
    kernel: &PackedGaussians,
    stats: &mut [MultivariateGaussianStats],
    moments: &mut Moments,
    scratch: &mut Scratch,
) {
    kernels::finish(kernel, moments, scratch);
    for (j, stats) in stats.iter_mut().enumerate() {
        finish_component(kernel, stats, moments, j);
    }
    moments.clear();
}

/// Adds the moments of component `j`, which are complete, to its statistics.
pub(crate) fn finish_component(
    kernel: &PackedGaussians,
    stats: &mut MultivariateGaussianStats,
    moments: &Moments,
    j: usize,
) {
    let origin = kernel.mean(j);
    if stats.origin() == origin {
        add_moments(stats, moments, j);
    } else {
        let mut here = MultivariateGaussianStats::new(origin.to_vec(), stats.is_diagonal());
        add_moments(&mut here, moments, j);
        stats.merge(&here);
    }
}

/// Adds what a chunk held for component `j`, about the same origin.
fn add_moments(stats: &mut MultivariateGaussianStats, moments: &Moments, j: usize) {
    let diagonal = stats.is_diagonal();
    let (weight, first, second) = stats.sums_mut();
    *weight += moments.weight(j);
    elbo_core::add_scaled(first, 1.0, moments.first(j));
    if diagonal {
        elbo_core::add_scaled(second, 1.0, moments.second_diagonal(j));
    } else {
        for a in 0..first.len() {
            let row = &mut second[a * (a + 1) / 2..][..=a];
            elbo_core::add_scaled(row, 1.0, moments.second_row(j, a));
        }
    }
}

pub(super) fn check_shape(
    packed: &MultivariateGaussianPacked,
    data: Rows<'_>,
    rows: usize,
    columns: usize,
) {
    assert!(
        rows == packed.kernel.k() && columns == data.len() && data.d() == packed.kernel.d(),
        "a {rows} × {columns} block does not fit {} components and {} × {} rows",
        packed.kernel.k(),
        data.len(),
        data.d()
    );
}

pub(crate) fn kernel_rows(data: Rows<'_>) -> elbo_linalg::Rows<'_> {
    let (numbers, row_stride, column_stride) = data.raw();
    elbo_linalg::Rows { data: numbers, n: data.len(), d: data.d(), row_stride, column_stride }
}
