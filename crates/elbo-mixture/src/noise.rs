//! Gaussian mixtures with a component of uniform noise.

use elbo_core::{
    Batch, DataError, Either, EstimateError, FitError, MaximumAPosteriori, Rows, Sides,
    VariationalBayes, Weighted,
};
use elbo_dist::{Categorical, Dirichlet, MultivariateGaussian, UniformBox};

use crate::{
    Estimation, Fitted, GaussianMixture, Mixture, MixtureModel, Start, WeightPrior,
    gaussian::check_varies,
};

/// A component of a [`NoisyGaussianMixture`].
pub type GaussianOrNoise = Either<MultivariateGaussian, UniformBox>;

/// Fits a Gaussian mixture with one more component, the last: noise of constant density `1/V` over the box of the data,
/// which takes the rows that belong to no group.
///
/// Nothing of the noise is estimated but its share. Under a prior on the components it has none of its own, and its share
/// has the same Dirichlet prior as the other weights. Labels call the noise component `k`. A likelihood with noise is
/// unbounded as ever: a component on a single row is possible, as noise can explain the rest.
///
/// ```
/// use elbo_mixture::{GaussianMixture, Rows};
///
/// let data = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 9.0, -7.0];
/// let rows = Rows::new(&data, 9, 1);
/// let fitted = GaussianMixture::new(1).with_noise().fit(rows.into())?;
/// assert!((fitted.mixture.noise_share() - 2.0 / 9.0).abs() < 0.05);
/// assert_eq!(fitted.mixture.labels(rows)?[6..], [0, 1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Banfield & Raftery (1993), Biometrics 49(3); Fraley & Raftery (1998), Comput. J. 41(8).
#[derive(Clone, Debug)]
pub struct NoisyGaussianMixture {
    builder: GaussianMixture,
    volume: Option<f64>,
}

/// Sticks put components into an order in which noise has no place.
const UNSUPPORTED: EstimateError = EstimateError::Unsupported {
    what: "a Dirichlet process prior of the weights",
    structure: "mixtures with noise",
};

impl NoisyGaussianMixture {
    pub(crate) fn new(builder: GaussianMixture) -> Self {
        Self { builder, volume: None }
    }

    /// Density `1/V` in place of one over the volume of the data's box: see [`UniformBox::with_volume`].
    ///
    /// # Panics
    ///
    /// Unless `V` is positive and finite.
    #[must_use]
    pub fn volume(mut self, volume: f64) -> Self {
        assert!(volume > 0.0 && volume.is_finite(), "{volume} is no volume");
        self.volume = Some(volume);
        self
    }

    /// Fits `k` Gaussian components and noise to `n × d` rows, which may have weights and labels.
    ///
    /// # Errors
    ///
    /// As [`GaussianMixture::fit`].
    pub fn fit(&self, data: Weighted<'_, Rows<'_>>) -> Result<Fitted<GaussianOrNoise>, FitError> {
        let builder = &self.builder;
        let data = builder.labeled(data)?;
        let rows = data.units();
        if rows.is_empty() {
            return Err(DataError::Empty.into());
        }
        rows.check_finite()?;
        check_varies(data)?;
        let noise = self.noise(data)?;
        let (start, settings) = (self.start(rows.d(), &noise), &builder.settings);
        match builder.estimation {
            Estimation::MaximumLikelihood => {
                builder.refuse_weights_prior()?;
                MixtureModel::ml().fit(data, &start, settings, &())
            }
            Estimation::MaximumAPosteriori => {
                let gaussians = MaximumAPosteriori::new(builder.default_prior(data)?);
                let components = Sides::new(gaussians, MaximumAPosteriori::new(noise));
                let model =
                    MixtureModel::new(components, MaximumAPosteriori::new(self.weights(1.0)?));
                model.fit(data, &start, settings, &())
            }
            Estimation::VariationalBayes => {
                let gaussians = VariationalBayes::new(builder.default_prior(data)?);
                let components = Sides::new(gaussians, VariationalBayes::new(noise));
                let weights = VariationalBayes::new(self.weights(1.0 / (builder.k + 1) as f64)?);
                MixtureModel::new(components, weights).fit(data, &start, settings, &())
            }
        }
    }

    /// The prior of all weights, with the usual concentration unless another one is asked for.
    fn weights(&self, usual: f64) -> Result<Dirichlet, EstimateError> {
        let alpha = match self.builder.weights_prior {
            None => usual,
            Some(WeightPrior::Dirichlet(alpha)) => alpha,
            Some(WeightPrior::DirichletProcess(_)) => return Err(UNSUPPORTED),
        };
        Ok(Dirichlet::symmetric(self.builder.k + 1, alpha).expect("components and a concentration"))
    }

    /// The box of the rows that count.
    fn noise(&self, data: Weighted<'_, Rows<'_>>) -> Result<UniformBox, FitError> {
        let rows = data.units();
        let noise = match data.weights() {
            None => UniformBox::around(rows)?,
            Some(weights) => {
                let mut seen = vec![0.0; rows.d()];
                let mut values = Vec::new();
                for row in (0..rows.len()).filter(|row| weights[*row] > 0.0) {
                    rows.copy_row(row, &mut seen);
                    values.extend_from_slice(&seen);
                }
                UniformBox::around(Rows::new(&values, values.len() / rows.d(), rows.d()))?
            }
        };
        let infeasible = EstimateError::Infeasible { component: self.builder.k, what: "volume" };
        match self.volume {
            None => Ok(noise),
            Some(volume) => Ok(noise.with_volume(volume).map_err(|_| infeasible)?),
        }
    }

    /// Gaussians at rows or where the builder says, beside noise with a share like theirs.
    fn start(&self, d: usize, noise: &UniformBox) -> Start<GaussianOrNoise> {
        let GaussianMixture { k, structure, starts: runs, ref start_at, .. } = self.builder;
        let noise = Either::Right(noise.clone());
        let Some(given) = start_at else {
            let template = Either::Left(MultivariateGaussian::standard(structure, vec![0.0; d]));
            return Start::Beside { k, runs, template, others: vec![noise] };
        };
        let mut shares = given.weights().to_vec();
        shares.push(1.0 / k as f64);
        let weights = Categorical::from_weights(&shares).expect("positive shares");
        let mut components: Vec<_> = given.components().iter().cloned().map(Either::Left).collect();
        components.push(noise);
        Start::At(Mixture::from_parts(weights, components))
    }
}

impl Mixture<GaussianOrNoise> {
    /// The weight of the noise.
    pub fn noise_share(&self) -> f64 {
        let pairs = self.weights().iter().zip(self.components());
        pairs.filter(|(_, component)| component.right().is_some()).map(|(weight, _)| weight).sum()
    }
}
