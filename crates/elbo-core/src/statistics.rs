//! Expected sufficient statistics as a vector space.

/// Expected sufficient statistics of a model: a vector space whose zero means "no data seen".
///
/// Adding the statistics of two disjoint sets of data gives the statistics of their union. Batch, online,
/// incremental, distributed and accelerated EM are algebra on this type, which is why it is the contract that
/// every model meets first.
///
/// An implementor shows its numbers as a fixed sequence of slices through [`visit`](Self::visit) and
/// [`visit_mut`](Self::visit_mut); all else is provided. Only the numbers that *add up* are shown: an origin
/// about which moments are taken is not a number that adds up, so a type that has one overrides
/// [`axpy`](Self::axpy) and [`align`](Self::align), and shows it through [`visit_origin`](Self::visit_origin) and
/// [`visit_origin_mut`](Self::visit_origin_mut). Both views together are all that statistics hold, which is how they
/// travel between processes.
///
/// Arrays of `f64`, `Vec<f64>`, tuples and `Vec<S>` of statistics are statistics already, so most models never
/// implement this trait by hand.
///
/// # Laws
///
/// `merge` is associative and commutative up to rounding, zero is its identity, `scale(a)` then `scale(b)` is
/// `scale(a·b)`, and `write_to` followed by `read_from` changes no bit; statistics of the same shape whose two views hold
/// the same bits are the same. The crate `elbo-laws` checks them.
///
/// ```
/// use elbo_core::Statistics;
///
/// let mut a = ([1.0, 2.0], vec![3.0]);
/// a.axpy(-2.0, &([0.5, 0.0], vec![1.0]));
/// assert_eq!(a, ([0.0, 2.0], vec![1.0]));
/// ```
pub trait Statistics: Clone + Send + Sync {
    /// Shows the parts in a fixed order. The lengths depend on the model's shape only.
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64]));

    /// Shows the same parts, in the same order, for change.
    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64]));

    /// Shows, in a fixed order, the numbers that do not add up: origins, and whatever else [`visit`](Self::visit) leaves out
    /// and the shape does not say. Nothing unless overridden.
    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        let _ = see;
    }

    /// Shows the same numbers, in the same order, to be written over by those of other statistics of the same shape.
    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        let _ = see;
    }

    /// `self += factor · other`, without allocation.
    fn axpy(&mut self, factor: f64, other: &Self) {
        let mut wanted = 0;
        self.visit_mut(&mut |to| {
            let mut part = 0;
            other.visit(&mut |from| {
                if part == wanted {
                    add_scaled(to, factor, from);
                }
                part += 1;
            });
            wanted += 1;
        });
    }

    /// Expresses the same statistics in the coordinates of `like` (its origins), so that flat views of the two
    /// can be compared number by number. Does nothing for statistics without an origin.
    fn align(&mut self, like: &Self) {
        let _ = like;
    }

    /// Sets everything to zero: no data seen.
    fn set_zero(&mut self) {
        self.visit_mut(&mut |part| part.fill(0.0));
    }

    /// Multiplies by `factor`, as if every observation had been seen `factor` times.
    fn scale(&mut self, factor: f64) {
        self.visit_mut(&mut |part| part.iter_mut().for_each(|x| *x *= factor));
    }

    /// Adds the statistics of other data.
    fn merge(&mut self, other: &Self) {
        self.axpy(1.0, other);
    }

    /// `self = (1 − rate) · self + rate · other`: forgetting, the step of online EM.
    fn lerp(&mut self, rate: f64, other: &Self) {
        self.scale(1.0 - rate);
        self.axpy(rate, other);
    }

    /// Number of values in the flat view.
    fn dim(&self) -> usize {
        let mut dim = 0;
        self.visit(&mut |part| dim += part.len());
        dim
    }

    /// Writes the flat view over the contents of `flat`.
    fn write_to(&self, flat: &mut Vec<f64>) {
        flat.clear();
        self.visit(&mut |part| flat.extend_from_slice(part));
    }

    /// Reads a flat view back.
    ///
    /// # Panics
    ///
    /// If `flat` does not hold exactly [`dim`](Self::dim) values.
    fn read_from(&mut self, flat: &[f64]) {
        assert_eq!(flat.len(), self.dim(), "the flat view has another length than the statistics");
        let mut rest = flat;
        self.visit_mut(&mut |part| {
            let (head, tail) = rest.split_at(part.len());
            part.copy_from_slice(head);
            rest = tail;
        });
    }
}

/// `to += factor · from`, element by element.
///
/// # Panics
///
/// If the lengths differ.
pub fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    assert_eq!(to.len(), from.len(), "statistics of different shapes");
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

impl<const N: usize> Statistics for [f64; N] {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(self);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(self);
    }
}

impl Statistics for Vec<f64> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(self);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(self);
    }
}

impl<S: Statistics> Statistics for Vec<S> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        for s in self {
            s.visit(see);
        }
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        for s in self {
            s.visit_mut(see);
        }
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        for s in self {
            s.visit_origin(see);
        }
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        for s in self {
            s.visit_origin_mut(see);
        }
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        assert_eq!(self.len(), other.len(), "statistics of different shapes");
        self.iter_mut().zip(other).for_each(|(to, from)| to.axpy(factor, from));
    }

    fn align(&mut self, like: &Self) {
        self.iter_mut().zip(like).for_each(|(s, like)| s.align(like));
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Statistics),+> Statistics for ($($name,)+) {
            fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
                $(self.$index.visit(see);)+
            }

            fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
                $(self.$index.visit_mut(see);)+
            }

            fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
                $(self.$index.visit_origin(see);)+
            }

            fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
                $(self.$index.visit_origin_mut(see);)+
            }

            fn axpy(&mut self, factor: f64, other: &Self) {
                $(self.$index.axpy(factor, &other.$index);)+
            }

            fn align(&mut self, like: &Self) {
                $(self.$index.align(&like.$index);)+
            }
        }
    };
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
