//! Parameters as points of a flat space.

/// Where a parameter lies, as it is reported, and so the scale on which its confidence interval is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Range {
    /// Any number: intervals are made on its own scale.
    Real,
    /// A number above 0: intervals are made for its logarithm.
    Positive,
    /// A number between 0 and 1: intervals are made for its log odds.
    Probability,
}

/// Parameters that are a point of `ℝᵖ`: what derivatives, standard errors and samplers move about in.
///
/// The map between parameters and `ℝᵖ` is smooth and one-to-one, and every point of `ℝᵖ` is allowed: positive numbers
/// go through their logarithm, probabilities through additive log ratios, positive definite matrices through the
/// logarithms of the diagonal of a triangular factor and its other entries. `p` is the number of free parameters.
///
/// # Components that share parameters
///
/// Components that are estimated together are written together, by [`write_all_unconstrained`](Self::write_all_unconstrained):
/// one after the other, unless they share a parameter. A family whose components do overrides this method and
/// [`with_all_unconstrained`](Self::with_all_unconstrained), and writes what is shared once.
///
/// # Laws
///
/// What is written and read back is the same distribution up to rounding; `p` numbers are written, as many as
/// [`Family::free_parameters`](crate::Family::free_parameters)`(1)` where the parameters are those of a family, and
/// `free_parameters(k)` for `k` components together.
pub trait FlatParameters: Sized {
    /// Appends the `p` unconstrained coordinates. A parameter on the boundary of its range (a probability of zero) has
    /// an infinite coordinate.
    fn write_unconstrained(&self, out: &mut Vec<f64>);

    /// The parameters with these coordinates, taken off the front of `from`; `self` gives the shape and whatever is
    /// not estimated.
    ///
    /// # Panics
    ///
    /// If `from` holds fewer than `p` numbers, or one is NaN.
    #[must_use]
    fn with_unconstrained(&self, from: &mut &[f64]) -> Self;

    /// Shows the parameters in the units in which they are reported, each with its name and range: what confidence
    /// intervals are asked for. There may be more of them than `p`, as all probabilities of a category.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range));

    /// Appends the coordinates of components that are estimated together, what they share once.
    fn write_all_unconstrained(components: &[Self], out: &mut Vec<f64>) {
        for component in components {
            component.write_unconstrained(out);
        }
    }

    /// The components with these coordinates, taken off the front of `from`; `components` give the shape.
    ///
    /// # Panics
    ///
    /// As [`with_unconstrained`](Self::with_unconstrained).
    #[must_use]
    fn with_all_unconstrained(components: &[Self], from: &mut &[f64]) -> Vec<Self> {
        components.iter().map(|component| component.with_unconstrained(from)).collect()
    }

    /// `p`.
    fn unconstrained_len(&self) -> usize {
        let mut out = Vec::new();
        self.write_unconstrained(&mut out);
        out.len()
    }
}

/// Takes the first `n` numbers off the front of `from`.
///
/// # Panics
///
/// If there are fewer.
pub fn take_front<'a>(from: &mut &'a [f64], n: usize) -> &'a [f64] {
    assert!(from.len() >= n, "{n} coordinates are needed, {} are left", from.len());
    let (head, tail) = from.split_at(n);
    *from = tail;
    head
}
