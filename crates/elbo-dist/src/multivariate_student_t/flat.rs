//! Coordinates and draws.

use elbo_core::{Draw, FlatParameters, OwnedRows, Range, Rows, take_front};
use rand::Rng;

use super::MultivariateStudentT;

/// Those of location and scale, as of a [`MultivariateGaussian`](crate::MultivariateGaussian); then `ln ν`, unless it is fixed.
impl FlatParameters for MultivariateStudentT {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        self.shape.write_unconstrained(out);
        if !self.dof_is_fixed {
            out.push(self.dof.ln());
        }
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let shape = self.shape.with_unconstrained(from);
        let dof = if self.dof_is_fixed { self.dof } else { take_front(from, 1)[0].exp() };
        Self { shape, dof, ..*self }
    }

    /// `location[j]`; `scale` in the places of a Gaussian's variances and covariances; `degrees of freedom` unless fixed.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        self.shape.for_each_parameter(&mut |name, value, range| {
            let (of, place) = name.split_at(name.find('[').unwrap_or(name.len()));
            let of = if of == "mean" { "location" } else { "scale" };
            see(&format!("{of}{place}"), value, range);
        });
        if !self.dof_is_fixed {
            see("degrees of freedom", self.dof, Range::Positive);
        }
    }
}

impl Draw for MultivariateStudentT {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.d())
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        let chi = self.chi_squared();
        for row in drawn.grow(n).chunks_exact_mut(self.d()) {
            self.sample_into(&chi, rng, row);
        }
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}
