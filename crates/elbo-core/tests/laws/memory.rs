//! Models that remember units from one E-step to the next.

use elbo_core::{
    EStepError, EstimateError, Inference, LatentModel, Repairs, Settings, Tolerance, Variant, fit,
};

use crate::on_threads;

/// Counts how often each scratch has seen its units, and complains if they are others.
struct Attendance;

#[derive(Default)]
struct Seen {
    units: Vec<f64>,
    visits: usize,
}

impl LatentModel for Attendance {
    type Data<'a> = &'a [f64];
    type Params = Vec<f64>; // visits of all scratches at each E-step
    type Stats = Vec<f64>; // visits, scratches
    type Scratch = Seen;

    const REMEMBERS: bool = true;

    fn new_stats(&self, _: &Vec<f64>) -> Vec<f64> {
        vec![0.0; 2]
    }

    fn new_scratch(&self, _: &Vec<f64>) -> Seen {
        Seen::default()
    }

    fn e_step(
        &self,
        _: &Vec<f64>,
        data: &[f64],
        _: &mut Inference<'_>,
        stats: &mut Vec<f64>,
        seen: &mut Seen,
    ) -> Result<f64, EStepError> {
        assert!(seen.visits == 0 || seen.units == data, "the scratch of other units");
        seen.units = data.to_vec();
        seen.visits += 1;
        stats[0] += seen.visits as f64;
        stats[1] += 1.0;
        Ok(0.0)
    }

    fn m_step(
        &self,
        visits: &Vec<f64>,
        stats: &Vec<f64>,
        next: &mut Vec<f64>,
    ) -> Result<Repairs, EstimateError> {
        next.clone_from(visits);
        next.push(stats[0] / stats[1]);
        Ok(Repairs::default())
    }

    fn free_parameters(&self, _: &Vec<f64>) -> usize {
        0
    }
}

fn visits(variant: Variant) -> Vec<f64> {
    let data: Vec<f64> = (0..20_000).map(f64::from).collect();
    let settings = Settings {
        tolerance: Tolerance::Change(0.0),
        max_iterations: 4,
        variant,
        ..Settings::default()
    };
    fit(&Attendance, &data[..], Vec::new(), &settings, &()).unwrap().params
}

#[test]
fn each_piece_has_a_scratch_of_its_own() {
    for threads in [1, 3] {
        on_threads(threads, || {
            assert_eq!(visits(Variant::Soft), [1.0, 2.0, 3.0, 4.0]);
            assert_eq!(visits(Variant::Hard), [1.0, 2.0, 3.0, 4.0]);
        });
    }
}

#[test]
fn nothing_is_remembered_of_batches() {
    let online = Variant::Online { batch: 5_000, epochs: 2, decay: 0.6, delay: 1.0 };
    assert!(visits(online).iter().all(|visits| *visits == 1.0));
}
