//! Families that observations can be drawn from.

use rand::Rng;

use crate::Family;

/// A family that makes observations: what simulation, parametric bootstrap and posterior predictive checks need.
pub trait Draw: Family {
    /// Observations that own themselves.
    type Drawn: Clone + Send + Sync;

    /// No observation yet, of this family's shape.
    fn no_draws(&self) -> Self::Drawn;

    /// Appends `n` independent draws.
    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut Self::Drawn);

    /// The observations as the family takes them.
    fn batch_of(drawn: &Self::Drawn) -> Self::Batch<'_>;

    /// `n` independent draws.
    fn draw<R: Rng + ?Sized>(&self, n: usize, rng: &mut R) -> Self::Drawn {
        let mut drawn = self.no_draws();
        self.draw_onto(n, rng, &mut drawn);
        drawn
    }
}
