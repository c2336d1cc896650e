//! Rows that were drawn.

use elbo_core::Rows;

/// Rows that own their numbers: what families of vectors draw.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnRows {
    values: Vec<f64>,
    d: usize,
}

impl DrawnRows {
    /// No row yet, of `d` columns.
    ///
    /// # Panics
    ///
    /// If `d` is zero.
    pub fn new(d: usize) -> Self {
        assert!(d > 0, "rows need at least one column");
        Self { values: Vec::new(), d }
    }

    /// Appends a row.
    ///
    /// # Panics
    ///
    /// If it has another number of columns.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.d, "a row of another length");
        self.values.extend_from_slice(row);
    }

    /// All rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.values.len() / self.d, self.d)
    }
}
