//! Gaussian mixtures for users: one builder over structures, estimators and numbers of components.

use std::sync::Arc;

use elbo_core::{
    Batch, Criterion, DataError, EstimateError, Family, FitError, Folds, Label, MaximumAPosteriori,
    MaximumLikelihood, Observer, Rows, Selection, Settings, Stopped, Uncertainty, UncertaintyError,
    VariationalBayes, Weighted,
};
use elbo_dist::{
    CovarianceStructure, Dirichlet, MultivariateGaussian, NormalInverseWishart, ParameterError,
    StickBreaking,
};
use elbo_linalg::weighted_mean_and_scatter;

use crate::{
    Fitted, Hierarchy, Mixture, MixtureModel, MixtureParams, NoisyGaussianMixture, Start,
    columns::Columns,
};

/// How the components of a [`GaussianMixture`] are estimated, with data-scaled default priors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Estimation {
    /// Maximum likelihood, no prior.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "ml"))]
    MaximumLikelihood,
    /// Maximum a posteriori under [`NormalInverseWishart::default_for`] and a flat prior on the weights: cures singular
    /// covariances.
    #[cfg_attr(feature = "serde", serde(rename = "map"))]
    MaximumAPosteriori,
    /// Variational Bayes under the same prior and a symmetric Dirichlet with total concentration 1 on the weights, which
    /// empties components that the data do not need.
    #[cfg_attr(feature = "serde", serde(rename = "vb"))]
    VariationalBayes,
}

/// What is expected of the weights of a [`GaussianMixture`] under MAP or variational Bayes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightPrior {
    /// A symmetric Dirichlet distribution of this concentration for each component. Far below 1, under variational Bayes,
    /// it empties components that the data do not need; the total, not each, is what should stay as components are added.
    Dirichlet(f64),
    /// The sticks of a Dirichlet process of this concentration, truncated at the number of components: about as many come
    /// new as the data grow by a factor `e`. Sticks know an order: under variational Bayes components are put into
    /// descending order of weight, where that raises the bound.
    DirichletProcess(f64),
}

/// Fits a mixture of multivariate Gaussians.
///
/// ```
/// use elbo_mixture::{CovarianceStructure, GaussianMixture, Rows};
///
/// let data = [0.0, 0.1, 0.3, 5.0, 5.2, 4.9];
/// let fitted = GaussianMixture::new(2)
///     .structure(CovarianceStructure::EII)
///     .starts(5)
///     .fit(Rows::new(&data, 6, 1).into())?;
/// assert_eq!(fitted.mixture.labels(Rows::new(&[0.2, 5.1], 2, 1))?.len(), 2);
/// assert!(fitted.report.stopped.is_converged());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianMixture {
    pub(crate) k: usize,
    pub(crate) structure: CovarianceStructure,
    pub(crate) estimation: Estimation,
    pub(crate) starts: usize,
    pub(crate) start_at: Option<Mixture<MultivariateGaussian>>,
    pub(crate) hierarchy: Option<Arc<Hierarchy>>,
    labels: Option<Vec<Label>>,
    pub(crate) weights_prior: Option<WeightPrior>,
    pub(crate) settings: Settings,
}

impl GaussianMixture {
    /// `k` components with covariances of their own ([`CovarianceStructure::VVV`]), by maximum likelihood from 20 starts.
    ///
    /// # Panics
    ///
    /// If `k = 0`.
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "a mixture needs a component");
        Self {
            k,
            structure: CovarianceStructure::VVV,
            estimation: Estimation::default(),
            starts: 20,
            start_at: None,
            hierarchy: None,
            labels: None,
            weights_prior: None,
            settings: Settings::default(),
        }
    }

    /// What the components' covariances share.
    #[must_use]
    pub fn structure(mut self, structure: CovarianceStructure) -> Self {
        self.structure = structure;
        self
    }

    /// ML, MAP or VB.
    #[must_use]
    pub fn estimation(mut self, estimation: Estimation) -> Self {
        self.estimation = estimation;
        self
    }

    /// Number of starts. Every ten in a row are followed by moves from the best of their ends
    /// ([`Settings::moves`](elbo_core::Settings)); fewer are left as they are.
    ///
    /// # Panics
    ///
    /// If zero.
    #[must_use]
    pub fn starts(mut self, starts: usize) -> Self {
        assert!(starts > 0, "at least one start is needed");
        self.starts = starts;
        self
    }

    /// One run from this mixture instead; its components must have the structure asked for.
    #[must_use]
    pub fn start_at(mut self, mixture: Mixture<MultivariateGaussian>) -> Self {
        self.k = mixture.k();
        self.start_at = Some(mixture);
        self
    }

    /// One run from the partition of this hierarchy into `k` parts instead, for whatever `k` and structure. The hierarchy must
    /// be of the rows that are fitted.
    ///
    /// This is the fast way through many candidates, since one hierarchy serves all; searches from many starts find better
    /// optima. Where some part determines no component, that of each part is estimated under the default prior to start from.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use elbo_mixture::{CovarianceStructure, Criterion, GaussianMixture, Hierarchy, Rows};
    ///
    /// let data = [0.0, 5.0, 0.1, 5.2, 9.0, 0.2, 4.9, 0.3, 5.3];
    /// let rows = Rows::new(&data, 9, 1);
    /// let hierarchy = Arc::new(Hierarchy::of(rows.into())?);
    /// let structures = [CovarianceStructure::EEE, CovarianceStructure::VVV];
    /// let selection = GaussianMixture::new(1)
    ///     .hierarchical(hierarchy)
    ///     .select(rows.into(), &[1, 2, 3], &structures, Criterion::Bic);
    /// assert!(selection.best().is_some());
    /// # Ok::<(), elbo_mixture::DataError>(())
    /// ```
    #[must_use]
    pub fn hierarchical(mut self, hierarchy: Arc<Hierarchy>) -> Self {
        self.hierarchy = Some(hierarchy);
        self
    }

    /// What is known of the component of each row: an `Option<usize>` where it is known or not, a [`Label`] where some
    /// components are ruled out. In place of labels that the data carry.
    ///
    /// ```
    /// use elbo_mixture::{CovarianceStructure, GaussianMixture, Rows};
    ///
    /// let data = [0.0, 0.4, 1.9, 2.1, 5.0, 5.2];
    /// let labels = [Some(1), None, None, None, None, Some(0)];
    /// let fitted = GaussianMixture::new(2)
    ///     .structure(CovarianceStructure::EII)
    ///     .labels(labels)
    ///     .fit(Rows::new(&data, 6, 1).into())?;
    /// assert!(fitted.mixture.components()[1].mean()[0] < fitted.mixture.components()[0].mean()[0]);
    /// # Ok::<(), elbo_mixture::FitError>(())
    /// ```
    #[must_use]
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<Label>>) -> Self {
        self.labels = Some(labels.into_iter().map(Into::into).collect());
        self
    }

    /// The prior of the weights, in place of the one that [`Estimation`] names.
    ///
    /// ```
    /// use elbo_mixture::{Estimation, GaussianMixture, Rows, WeightPrior};
    ///
    /// let data: Vec<f64> = (0..60).map(|i| f64::from(i % 2) * 10.0 + f64::from(i * 37 % 60) / 30.0).collect();
    /// let fitted = GaussianMixture::new(8)
    ///     .estimation(Estimation::VariationalBayes)
    ///     .weights_prior(WeightPrior::DirichletProcess(1.0))
    ///     .fit(Rows::new(&data, 60, 1).into())?;
    /// let used = fitted.mixture.weights().iter().filter(|weight| **weight > 0.05).count();
    /// assert_eq!(used, 2);
    /// # Ok::<(), elbo_mixture::FitError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Unless its concentration is positive and finite.
    #[must_use]
    pub fn weights_prior(mut self, prior: WeightPrior) -> Self {
        let (WeightPrior::Dirichlet(alpha) | WeightPrior::DirichletProcess(alpha)) = prior;
        assert!(alpha > 0.0 && alpha.is_finite(), "{alpha} is no concentration");
        self.weights_prior = Some(prior);
        self
    }

    /// Seed of the starts.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Everything else about the fit: tolerance, iterations, time budget, cancellation, seed.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Fits without watching.
    ///
    /// # Errors
    ///
    /// As [`fit_observed`](Self::fit_observed).
    pub fn fit(
        &self,
        data: Weighted<'_, Rows<'_>>,
    ) -> Result<Fitted<MultivariateGaussian>, FitError> {
        self.fit_observed(data, &())
    }

    /// Fits the mixture to `n × d` rows, which may have weights and missing values.
    ///
    /// `NaN` is a missing value. What is missing is integrated out, in each row by itself, in the likelihood and in the
    /// E-step, so that the fit is that of maximum likelihood (or the posterior) given all that was observed, where what is
    /// missing depends on nothing unobserved. A row without any value is allowed and tells nothing.
    ///
    /// Cost: per iteration and start `n·k` densities of `d²/2` multiplications (`d` for diagonal structures) and as many
    /// for the moments.
    ///
    /// # Errors
    ///
    /// [`DataError`] for infinite values, columns that are constant or missing throughout, and too few rows;
    /// [`EstimateError`](elbo_core::EstimateError) where not even one component can be estimated (`n ≤ d` under maximum
    /// likelihood).
    pub fn fit_observed(
        &self,
        data: Weighted<'_, Rows<'_>>,
        observer: &impl GaussianObserver,
    ) -> Result<Fitted<MultivariateGaussian>, FitError> {
        let data = self.labeled(data)?;
        let rows = data.units();
        if rows.is_empty() {
            return Err(DataError::Empty.into());
        }
        let mut template = MultivariateGaussian::standard(self.structure, vec![0.0; rows.d()]);
        template.check(rows)?;
        if let Some(columns) = Columns::of(data)? {
            template = columns.gaussian(self.structure)?;
        }
        let start = match (&self.start_at, &self.hierarchy) {
            (Some(mixture), _) => Start::At(mixture.clone()),
            (None, Some(hierarchy)) => Start::At(self.parts(data, hierarchy, &template)?),
            (None, None) => Start::Spread { k: self.k, runs: self.starts, template },
        };
        let settings = &self.settings;
        let usual = WeightPrior::Dirichlet(match self.estimation {
            Estimation::VariationalBayes => 1.0 / self.k as f64,
            _ => 1.0,
        });
        match (self.estimation, self.weights_prior.unwrap_or(usual)) {
            (Estimation::MaximumLikelihood, _) => {
                self.refuse_weights_prior()?;
                MixtureModel::ml().fit(data, &start, settings, observer)
            }
            (Estimation::MaximumAPosteriori, WeightPrior::Dirichlet(alpha)) => {
                let model = MixtureModel::map(self.default_prior(data)?, self.weight_prior(alpha));
                model.fit(data, &start, settings, observer)
            }
            (Estimation::MaximumAPosteriori, WeightPrior::DirichletProcess(alpha)) => {
                let model = MixtureModel::map(self.default_prior(data)?, self.sticks(alpha));
                model.fit(data, &start, settings, observer)
            }
            (Estimation::VariationalBayes, WeightPrior::Dirichlet(alpha)) => {
                let model = MixtureModel::vb(self.default_prior(data)?, self.weight_prior(alpha));
                model.fit(data, &start, settings, observer)
            }
            (Estimation::VariationalBayes, WeightPrior::DirichletProcess(alpha)) => {
                let model = MixtureModel::vb(self.default_prior(data)?, self.sticks(alpha));
                let fitted = model.fit(data, &start, settings, observer)?;
                model.sort_components(data, fitted, settings, observer)
            }
        }
    }

    /// Fits every number of components with every structure, side by side, and ranks the fits by `criterion`.
    ///
    /// All other choices are those of this builder, its seed included, so that a candidate alone is fitted as among others.
    /// To watch the fits, or to choose among anything else, use [`elbo_core::select`] itself.
    ///
    /// # Panics
    ///
    /// If a number of components is zero.
    pub fn select(
        &self,
        data: Weighted<'_, Rows<'_>>,
        components: &[usize],
        structures: &[CovarianceStructure],
        criterion: Criterion,
    ) -> GaussianSelection {
        elbo_core::select(grid(components, structures), criterion, |(k, structure)| {
            self.candidate(*k, *structure).fit(data)
        })
    }

    /// The same, ranked by the likelihood of rows held out; see [`elbo_core::cross_validate`].
    ///
    /// # Panics
    ///
    /// If a number of components is zero, or the folds are of other data.
    pub fn cross_validate(
        &self,
        data: Weighted<'_, Rows<'_>>,
        components: &[usize],
        structures: &[CovarianceStructure],
        folds: &Folds,
    ) -> GaussianSelection {
        elbo_core::cross_validate(
            grid(components, structures),
            folds,
            data.weights(),
            |(k, structure), weights| {
                self.candidate(*k, *structure).fit(data.with_weights(weights)?)
            },
            |_, fitted, weights| {
                fitted.mixture.score(self.labeled(data)?.with_weights(Some(weights))?)
            },
        )
    }

    /// The data with the labels that this builder was given, if it was.
    pub(crate) fn labeled<'d>(
        &'d self,
        data: Weighted<'d, Rows<'d>>,
    ) -> Result<Weighted<'d, Rows<'d>>, DataError> {
        match &self.labels {
            Some(labels) => data.with_labels(labels),
            None => Ok(data),
        }
    }

    /// The same with a component of uniform noise after the others: see [`NoisyGaussianMixture`].
    #[must_use]
    pub fn with_noise(self) -> NoisyGaussianMixture {
        NoisyGaussianMixture::new(self)
    }

    fn candidate(&self, k: usize, structure: CovarianceStructure) -> Self {
        assert!(k > 0, "a mixture needs a component");
        Self { k, structure, start_at: None, ..self.clone() }
    }

    /// Standard errors of what this builder has fitted to these data: see [`MixtureModel::standard_errors`].
    ///
    /// ```
    /// use elbo_mixture::{CovarianceStructure, GaussianMixture, Rows};
    ///
    /// let data = [0.0, 0.4, -0.3, 5.0, 5.7, 4.4, 0.2, 5.1];
    /// let builder = GaussianMixture::new(2).structure(CovarianceStructure::EII);
    /// let rows = Rows::new(&data, 8, 1);
    /// let errors = builder.standard_errors(&builder.fit(rows.into())?, rows.into())?;
    /// assert!(errors.parameter("component 1 mean[0]").unwrap().std_error.unwrap() < 0.3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there; [`EstimateError::Unsupported`] under variational Bayes, whose posteriors tell their spread themselves.
    pub fn standard_errors(
        &self,
        fitted: &Fitted<MultivariateGaussian>,
        data: Weighted<'_, Rows<'_>>,
    ) -> Result<Uncertainty, UncertaintyError> {
        let data = self.labeled(data)?;
        match self.estimation {
            Estimation::MaximumLikelihood => MixtureModel::ml().standard_errors(fitted, data),
            Estimation::MaximumAPosteriori => {
                let prior = self.default_prior(data).map_err(|error| match error {
                    FitError::Data(error) => UncertaintyError::Data(error),
                    FitError::Start(error) => UncertaintyError::Estimate(error),
                    _ => unreachable!("priors come from data alone"),
                })?;
                match self.weights_prior.unwrap_or(WeightPrior::Dirichlet(1.0)) {
                    WeightPrior::Dirichlet(alpha) => {
                        MixtureModel::map(prior, self.weight_prior(alpha))
                            .standard_errors(fitted, data)
                    }
                    WeightPrior::DirichletProcess(alpha) => {
                        MixtureModel::map(prior, self.sticks(alpha)).standard_errors(fitted, data)
                    }
                }
            }
            Estimation::VariationalBayes => Err(EstimateError::Unsupported {
                what: "the observed information",
                structure: "variational Bayes",
            }
            .into()),
        }
    }

    /// The components of the parts of a hierarchy.
    fn parts(
        &self,
        data: Weighted<'_, Rows<'_>>,
        hierarchy: &Hierarchy,
        template: &MultivariateGaussian,
    ) -> Result<Mixture<MultivariateGaussian>, FitError> {
        let (n, d) = (hierarchy.rows().len(), data.units().d());
        if n < self.k {
            return Err(DataError::TooFew { n, needed: self.k }.into());
        }
        let mut values = vec![0.0; n * d];
        for (row, to) in hierarchy.rows().iter().zip(values.chunks_exact_mut(d)) {
            data.units().copy_row(*row, to);
        }
        let weights: Option<Vec<f64>> =
            data.weights().map(|all| hierarchy.rows().iter().map(|row| all[*row]).collect());
        let part = Weighted::of(Rows::new(&values, n, d), weights.as_deref())?;
        let labels = hierarchy.labels(self.k);
        let mixture = MixtureModel::ml().components_from_labels(template, part, &labels, self.k);
        mixture.or_else(|_| {
            let model = MixtureModel::map(self.default_prior(part)?, self.weight_prior(1.0));
            model.components_from_labels(template, part, &labels, self.k)
        })
    }

    pub(crate) fn default_prior(
        &self,
        data: Weighted<'_, Rows<'_>>,
    ) -> Result<NormalInverseWishart, FitError> {
        let d = data.units().d();
        let (mean, mut covariance) = match Columns::of(data)? {
            None => complete_moments(data)?,
            Some(columns) => one_gaussian(data, &columns)?,
        };
        let prior = |covariance: &[f64]| {
            NormalInverseWishart::default_for(self.structure, self.k, mean.clone(), covariance)
        };
        let singular = match prior(&covariance) {
            Ok(prior) => return Ok(prior),
            Err(singular) => singular,
        };
        // Dependent columns, or no more rows than columns: a prior on the scale of each column alone.
        for (place, value) in covariance.iter_mut().enumerate() {
            *value *= f64::from(u8::from(place / d == place % d));
        }
        prior(&covariance).map_err(|error| match singular {
            ParameterError::NotPositiveDefinite { column, variance, .. } => {
                EstimateError::Singular { component: 0, column, variance }.into()
            }
            _ => unreachable!("finite moments of varying columns: {error}"),
        })
    }

    pub(crate) fn weight_prior(&self, alpha: f64) -> Dirichlet {
        Dirichlet::symmetric(self.k, alpha).expect("a positive number for each component")
    }
}

impl GaussianMixture {
    fn sticks(&self, alpha: f64) -> StickBreaking {
        StickBreaking::dirichlet_process(self.k, alpha).expect("components and a concentration")
    }

    /// Maximum likelihood knows no prior; that one was asked for is not ignored.
    pub(crate) fn refuse_weights_prior(&self) -> Result<(), EstimateError> {
        match self.weights_prior {
            None => Ok(()),
            Some(_) => Err(EstimateError::Unsupported {
                what: "a prior of the weights",
                structure: "maximum likelihood",
            }),
        }
    }
}

/// Gaussian mixtures, ranked; a label is a number of components and what their covariances share.
pub type GaussianSelection =
    Selection<(usize, CovarianceStructure), Fitted<MultivariateGaussian>, FitError>;

/// Every structure within each number of components.
fn grid(
    components: &[usize],
    structures: &[CovarianceStructure],
) -> Vec<(usize, CovarianceStructure)> {
    components.iter().flat_map(|k| structures.iter().map(|structure| (*k, *structure))).collect()
}

/// Watches fits of Gaussian mixtures under any [`Estimation`] and [`WeightPrior`]. Everything that observes all is one:
/// implement `Observer<P>` for every `P`.
pub trait GaussianObserver:
    Observer<MlParams>
    + Observer<MapParams>
    + Observer<MapParams<StickBreaking>>
    + Observer<VbParams>
    + Observer<VbParams<StickBreaking>>
{
}

impl<O> GaussianObserver for O where
    O: Observer<MlParams>
        + Observer<MapParams>
        + Observer<MapParams<StickBreaking>>
        + Observer<VbParams>
        + Observer<VbParams<StickBreaking>>
{
}

/// Parameters of a Gaussian mixture under maximum likelihood.
pub type MlParams = MixtureParams<MultivariateGaussian, MaximumLikelihood, MaximumLikelihood>;
/// Parameters of a Gaussian mixture under MAP; `W` is the prior of the weights.
pub type MapParams<W = Dirichlet> = MixtureParams<
    MultivariateGaussian,
    MaximumAPosteriori<NormalInverseWishart>,
    MaximumAPosteriori<W>,
>;
/// Parameters of a Gaussian mixture under variational Bayes; `W` is the prior of the weights.
pub type VbParams<W = Dirichlet> = MixtureParams<
    MultivariateGaussian,
    VariationalBayes<NormalInverseWishart>,
    VariationalBayes<W>,
>;

/// Mean and covariance of rows that miss nothing.
fn complete_moments(data: Weighted<'_, Rows<'_>>) -> Result<(Vec<f64>, Vec<f64>), FitError> {
    let rows = data.units();
    let (values, row_stride, column_stride) = rows.raw();
    let ones = vec![1.0; if data.weights().is_none() { rows.len() } else { 0 }];
    let weights = data.weights().unwrap_or(&ones);
    let (n, d) = (rows.len(), rows.d());
    let view = elbo_linalg::Rows { data: values, n, d, row_stride, column_stride };
    let moments = weighted_mean_and_scatter(view, weights).map_err(|_| DataError::Empty)?;
    let covariance = moments.scatter.iter().map(|s| s / moments.total_weight).collect();
    Ok((moments.mean, covariance))
}

/// Mean and covariance of one Gaussian by maximum likelihood, where values are missing; those of each column alone where the
/// observed values determine no covariance.
fn one_gaussian(
    data: Weighted<'_, Rows<'_>>,
    columns: &Columns,
) -> Result<(Vec<f64>, Vec<f64>), FitError> {
    let alone = columns.gaussian(CovarianceStructure::VVI)?;
    let start = Mixture::new(vec![1.0], vec![columns.gaussian(CovarianceStructure::VVV)?]);
    let start = Start::At(start.expect("one component of weight 1"));
    let fitted = MixtureModel::ml().fit(data, &start, &Settings::default(), &())?;
    let determined = !matches!(fitted.report.stopped, Stopped::MStep(_));
    let point = if determined { &fitted.mixture.components()[0] } else { &alone };
    Ok((point.mean().to_vec(), point.covariance()))
}
