//! The fourteen covariance structures of Gaussian mixtures.

use std::fmt;
use std::str::FromStr;

/// What the covariances `Σⱼ = λⱼ Dⱼ Aⱼ Dⱼᵀ` of the components have in common, under mclust's names.
///
/// The volume `λⱼ = |Σⱼ|^{1/d}`, the shape `Aⱼ` (diagonal, determinant 1) and the orientation `Dⱼ` (orthogonal) are
/// each equal for all components (`E`), variable (`V`) or the identity (`I`); the three letters of a name tell volume,
/// shape and orientation in this order. Four have a name of their own: `full` is `VVV`, `tied` is `EEE`, `diagonal` is
/// `VVI` and `spherical` is `VII`. In one dimension only the volume is left: `E` stands for `EII`, `V` for `VII`.
///
/// ```
/// use elbo_dist::CovarianceStructure;
///
/// let structure: CovarianceStructure = "tied".parse()?;
/// assert_eq!(structure, CovarianceStructure::EEE);
/// assert_eq!(structure.covariance_parameters(3, 4), 10);
/// # Ok::<(), elbo_dist::ParseStructureError>(())
/// ```
///
/// # Source
///
/// Celeux & Govaert (1995), *Gaussian parsimonious clustering models*, Pattern Recognition 28(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub enum CovarianceStructure {
    /// `λI`: equal spheres.
    EII,
    /// `λⱼI`: spheres, also called spherical.
    VII,
    /// `λA`: one diagonal covariance for all.
    EEI,
    /// `λⱼA`: diagonal, of equal shape.
    VEI,
    /// `λAⱼ`: diagonal, of equal volume.
    EVI,
    /// `λⱼAⱼ`: diagonal, also called diagonal.
    VVI,
    /// `λDADᵀ`: one covariance for all, also called tied.
    EEE,
    /// `λⱼDADᵀ`: proportional covariances.
    VEE,
    /// `λDAⱼDᵀ`: common axes, equal volume.
    EVE,
    /// `λⱼDAⱼDᵀ`: common axes.
    VVE,
    /// `λDⱼADⱼᵀ`: one ellipsoid, turned.
    EEV,
    /// `λⱼDⱼADⱼᵀ`: ellipsoids of equal shape.
    VEV,
    /// `λDⱼAⱼDⱼᵀ`: equal volume.
    EVV,
    /// `λⱼDⱼAⱼDⱼᵀ`: nothing in common, also called full.
    VVV,
}

/// What the components share of one aspect of their covariances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Nothing to estimate: a shape without preferred axis, or axes along the columns.
    Identity,
    /// One for all components.
    Equal,
    /// One for each component.
    Variable,
}

impl CovarianceStructure {
    /// All fourteen, spheres first.
    pub const ALL: [Self; 14] = [
        Self::EII,
        Self::VII,
        Self::EEI,
        Self::VEI,
        Self::EVI,
        Self::VVI,
        Self::EEE,
        Self::VEE,
        Self::EVE,
        Self::VVE,
        Self::EEV,
        Self::VEV,
        Self::EVV,
        Self::VVV,
    ];

    /// Those that differ from one another in `d` dimensions: all, but only equal and variable variance in one.
    pub fn distinct(d: usize) -> &'static [Self] {
        if d == 1 { &Self::ALL[..2] } else { &Self::ALL }
    }

    /// mclust's name, three letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::EII => "EII",
            Self::VII => "VII",
            Self::EEI => "EEI",
            Self::VEI => "VEI",
            Self::EVI => "EVI",
            Self::VVI => "VVI",
            Self::EEE => "EEE",
            Self::VEE => "VEE",
            Self::EVE => "EVE",
            Self::VVE => "VVE",
            Self::EEV => "EEV",
            Self::VEV => "VEV",
            Self::EVV => "EVV",
            Self::VVV => "VVV",
        }
    }

    /// Whether the components have one volume `λ` or one each.
    pub fn volume(self) -> Sharing {
        self.letter(0)
    }

    /// What they share of the shape `A`.
    pub fn shape(self) -> Sharing {
        self.letter(1)
    }

    /// What they share of the orientation `D`.
    pub fn orientation(self) -> Sharing {
        self.letter(2)
    }

    /// Are all covariances diagonal?
    pub fn is_diagonal(self) -> bool {
        self.orientation() == Sharing::Identity
    }

    /// Are all covariances multiples of the identity?
    pub fn is_spherical(self) -> bool {
        self.shape() == Sharing::Identity
    }

    /// Is one covariance shared by all components (`EII`, `EEI`, `EEE`)?
    pub fn is_tied(self) -> bool {
        matches!(self, Self::EII | Self::EEI | Self::EEE)
    }

    /// Number of free parameters in the covariances of `k` components in `d` dimensions.
    pub fn covariance_parameters(self, k: usize, d: usize) -> usize {
        let count = |sharing, each| match sharing {
            Sharing::Identity => 0,
            Sharing::Equal => each,
            Sharing::Variable => k * each,
        };
        count(self.volume(), 1)
            + count(self.shape(), d - 1)
            + count(self.orientation(), d * (d - 1) / 2)
    }

    fn letter(self, place: usize) -> Sharing {
        match self.name().as_bytes()[place] {
            b'I' => Sharing::Identity,
            b'E' => Sharing::Equal,
            _ => Sharing::Variable,
        }
    }
}

impl fmt::Display for CovarianceStructure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CovarianceStructure {
    type Err = ParseStructureError;

    fn from_str(name: &str) -> Result<Self, ParseStructureError> {
        let known = match name.to_ascii_lowercase().as_str() {
            "full" => Some(Self::VVV),
            "tied" => Some(Self::EEE),
            "diagonal" => Some(Self::VVI),
            "spherical" | "v" => Some(Self::VII),
            "e" => Some(Self::EII),
            _ => Self::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name)),
        };
        known.ok_or_else(|| ParseStructureError { name: name.to_owned() })
    }
}

impl From<CovarianceStructure> for String {
    fn from(structure: CovarianceStructure) -> Self {
        structure.name().to_owned()
    }
}

impl TryFrom<String> for CovarianceStructure {
    type Error = ParseStructureError;

    fn try_from(name: String) -> Result<Self, ParseStructureError> {
        name.parse()
    }
}

/// A name that no covariance structure has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no covariance structure; use full, tied, diagonal, spherical or one of EII VII EEI VEI EVI VVI EEE VEE EVE VVE EEV VEV EVV VVV"
)]
pub struct ParseStructureError {
    /// The name.
    pub name: String,
}
