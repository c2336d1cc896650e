//! What is remembered of every row, so that most rows need not meet all centers again.
//!
//! For each row its label, an upper bound of the distance to its center and a lower bound of the distance to every other
//! one. Centers that move by `δ` loosen both by at most `δ`; a row whose bounds do not cross keeps its label. Bounds carry
//! the rounding of scores, so that the label kept is the one that scores would give, to the bit.
//!
//! The memory belongs to a run and travels with its parameters; rows are found by their place in the data. Blocks are as
//! long as those that pieces are cut by, so that a block is never shared by two workers, and its lock is always free.
//!
//! Source: Hamerly (2010), SIAM International Conference on Data Mining.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use elbo_core::BLOCK;

/// Outward rounding: more than the rounding of a conversion to `f32` and of a few operations in `f64`.
pub(super) const OUTWARD: f64 = 1e-6;

/// What one run remembers.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) blocks: Vec<Mutex<BlockBounds>>,
    /// Rows that met all centers in the E-step in progress.
    pub(super) scanned: AtomicUsize,
    version: AtomicU64,
}

/// What is known of a block of rows at centers of this version.
#[derive(Debug, Default)]
pub(super) struct BlockBounds {
    pub(super) version: u64,
    pub(super) labels: Vec<u32>,
    /// In the unit of the frame.
    pub(super) upper: Vec<f32>,
    pub(super) lower: Vec<f32>,
}

impl Bounds {
    /// For `n` rows; memory is taken as rows are met.
    pub(super) fn new(n: usize) -> Self {
        Self {
            blocks: (0..n.div_ceil(BLOCK)).map(|_| Mutex::default()).collect(),
            scanned: AtomicUsize::new(0),
            version: AtomicU64::new(1),
        }
    }

    /// A number that no centers had before.
    pub(super) fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::Relaxed)
    }

    /// Rows scanned since this was asked last.
    pub(super) fn take_scanned(&self) -> usize {
        self.scanned.swap(0, Ordering::Relaxed)
    }
}

impl BlockBounds {
    /// Room for `n` rows.
    pub(super) fn resize(&mut self, n: usize) {
        self.labels.resize(n, 0);
        self.upper.resize(n, 0.0);
        self.lower.resize(n, 0.0);
    }
}

/// A number in single precision that is surely not smaller, for a distance.
#[allow(clippy::cast_possible_truncation, reason = "rounded outward")]
pub(super) fn above(distance: f64) -> f32 {
    (distance * (1.0 + OUTWARD)) as f32
}

/// A number in single precision that is surely not larger.
#[allow(clippy::cast_possible_truncation, reason = "rounded outward")]
pub(super) fn below(distance: f64) -> f32 {
    (distance - OUTWARD * distance.abs()) as f32
}

/// How centers have moved, and how far they are from each other, in the unit of the frame.
#[derive(Clone, Debug)]
pub(super) struct Moves {
    /// By how much each center moved.
    pub(super) own: Vec<f64>,
    /// The largest move of any other center.
    pub(super) others: Vec<f64>,
    /// Distance to the nearest other center.
    pub(super) apart: Vec<f64>,
}

impl Moves {
    pub(super) fn new(k: usize) -> Self {
        Self { own: vec![0.0; k], others: vec![0.0; k], apart: vec![0.0; k] }
    }

    /// Takes over moves that are in `own` already.
    pub(super) fn finish(&mut self) {
        let (mut first, mut second, mut which) = (0.0, 0.0, 0);
        for (j, own) in self.own.iter_mut().enumerate() {
            *own *= 1.0 + OUTWARD;
            if *own > first {
                (second, first, which) = (first, *own, j);
            } else if *own > second {
                second = *own;
            }
        }
        for (j, others) in self.others.iter_mut().enumerate() {
            *others = if j == which { second } else { first };
        }
    }
}
