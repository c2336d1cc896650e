//! What is known of the component that a unit comes from.

/// What is known of the component, or state, that a unit comes from: nothing, which one, or which ones it may be.
///
/// Data carry one for each unit ([`Weighted::with_labels`](crate::Weighted::with_labels)). A model with components gives
/// those that a label forbids no share of its unit, whatever the mode of inference, and the data term of the unit is the
/// log of its joint density with the label, `ln Σ_{j allowed} πⱼ p(x ∣ θⱼ)`. Models without components have nothing to
/// ask of it.
///
/// Source: semi-supervised mixtures: Nigam et al. (2000), *Text classification from labeled and
/// unlabeled documents using EM*, Mach. Learn. 39.
///
/// ```
/// use elbo_core::Label;
///
/// let not_two = Label::any_but(&[2]);
/// assert!(not_two.allows(0) && !not_two.allows(2));
/// assert_eq!(Label::from(Some(1)).known(), Some(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Label {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The component, from 0.
    Known(usize),
    /// The components that are possible, as bits: component `j` if bit `j` is set, for components 0 to 63. No component
    /// from 64 on is possible, and bits beyond the last component mean nothing.
    AnyOf(u64),
}

impl Label {
    /// Any of these components.
    ///
    /// # Panics
    ///
    /// If one is not below 64.
    pub fn any_of(components: &[usize]) -> Self {
        Self::AnyOf(bits(components))
    }

    /// Any of the first 64 components but these.
    ///
    /// # Panics
    ///
    /// If one is not below 64.
    pub fn any_but(components: &[usize]) -> Self {
        Self::AnyOf(!bits(components))
    }

    /// May the unit come from component `j`?
    pub fn allows(self, j: usize) -> bool {
        match self {
            Self::Unknown => true,
            Self::Known(component) => j == component,
            Self::AnyOf(set) => j < 64 && set >> j & 1 == 1,
        }
    }

    /// May it come from one of `k` components at all?
    pub fn allows_any(self, k: usize) -> bool {
        match self {
            Self::Unknown => k > 0,
            Self::Known(component) => component < k,
            Self::AnyOf(set) => (set.trailing_zeros() as usize) < k.min(64),
        }
    }

    /// The component, if only one is possible.
    pub fn known(self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Known(component) => Some(component),
            Self::AnyOf(set) => set.is_power_of_two().then(|| set.trailing_zeros() as usize),
        }
    }
}

/// Known, or not.
impl From<Option<usize>> for Label {
    fn from(component: Option<usize>) -> Self {
        component.map_or(Self::Unknown, Self::Known)
    }
}

#[track_caller]
fn bits(components: &[usize]) -> u64 {
    components.iter().fold(0, |set, j| {
        assert!(*j < 64, "component {j} has no bit: sets hold components 0 to 63");
        set | 1 << j
    })
}
