//! Runs on statistics with origins, and under posteriors, go on to the bit.
#![cfg(feature = "serde")]

use std::{ops::ControlFlow, sync::Mutex};

use elbo_core::{Checkpoint, Estimator, Event, LatentModel, Weighted, fit, resume};
use elbo_dist::{Categorical, CovarianceStructure, Dirichlet, NormalInverseWishart};
use elbo_mixture::{Mixture, MixtureModel, MixtureParams, MultivariateGaussian, Settings, Variant};

use serde::{Serialize, de::DeserializeOwned};

use crate::support::shipped;

fn goes_on<E, W>(
    model: &MixtureModel<MultivariateGaussian, E, W>,
    structure: CovarianceStructure,
    settings: &Settings,
) where
    E: Estimator<MultivariateGaussian, Fits: Serialize + DeserializeOwned>,
    W: Estimator<Categorical, Fits: Serialize + DeserializeOwned>,
{
    type Params<E, W> = MixtureParams<MultivariateGaussian, E, W>;
    let table = shipped("faithful");
    let component = |mean: [f64; 2]| {
        MultivariateGaussian::new(structure, mean.to_vec(), &[1.0, 0.0, 0.0, 100.0]).unwrap()
    };
    let means = [[2.0, 55.0], [4.0, 75.0], [4.5, 85.0]];
    let mixture = Mixture::new(vec![0.3, 0.3, 0.4], means.map(component).to_vec()).unwrap();
    let data = Weighted::uniform(table.rows());
    let checkpoints: Mutex<Vec<Checkpoint<Params<E, W>>>> = Mutex::default();
    let observer = |event: &Event<'_, Params<E, W>>| {
        checkpoints.lock().unwrap().push(event.checkpoint());
        ControlFlow::Continue(())
    };
    let start = || model.start(mixture.clone(), 272.0).unwrap();
    let whole = fit(model, data, start(), settings, &observer).unwrap();
    for checkpoint in checkpoints.into_inner().unwrap().into_iter().step_by(9) {
        // By way of a file, as it would be.
        let file = serde_json::to_string(&checkpoint).unwrap();
        let checkpoint: Checkpoint<Params<E, W>> = serde_json::from_str(&file).unwrap();
        let resumed = resume(model, data, checkpoint, settings, &()).unwrap();
        assert_eq!(resumed.report.trace, whole.report.trace);
        assert_eq!(resumed.report.e_steps, whole.report.e_steps);
        assert_eq!(resumed.params.to_mixture(), whole.params.to_mixture());
        assert_eq!(resumed.stats, whole.stats);
        let _ = model.free_parameters(&resumed.params);
    }
}

#[test]
fn gaussians_go_on_under_every_estimator() {
    let settings = Settings::default();
    for structure in [CovarianceStructure::VVV, CovarianceStructure::EEE, CovarianceStructure::VVI]
    {
        goes_on(&MixtureModel::ml(), structure, &settings);
    }
    let full = CovarianceStructure::VVV;
    let prior = || {
        NormalInverseWishart::default_for(
            CovarianceStructure::VVV,
            3,
            vec![3.5, 71.0],
            &[1.3, 0.0, 0.0, 184.0],
        )
        .unwrap()
    };
    let weights = |alpha| Dirichlet::symmetric(3, alpha).unwrap();
    goes_on(&MixtureModel::map(prior(), weights(1.0)), full, &settings);
    goes_on(&MixtureModel::vb(prior(), weights(0.3)), full, &settings);
    let variant = Variant::Online { batch: 50, epochs: 20, decay: 0.7, delay: 2.0 };
    goes_on(&MixtureModel::ml(), full, &Settings { variant, ..Settings::default() });
}
