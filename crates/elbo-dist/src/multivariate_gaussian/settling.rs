//! When an inner iteration has done what it can.

/// Follows an iteration that lowers an objective and converges linearly.
///
/// Near the optimum the objective stands still in floating point while parameters still improve, by half as many
/// digits; so both must have come to rest.
#[derive(Debug)]
pub(crate) struct Settling {
    objective: f64,
    step: f64,
    stalled: usize,
}

impl Settling {
    pub(crate) fn new() -> Self {
        Self { objective: f64::INFINITY, step: f64::INFINITY, stalled: 0 }
    }

    /// Takes note of the objective and of the largest relative step that led there. Is there nothing left but
    /// rounding, because the step is that small, or because for a while the objective has not fallen and the step has
    /// hardly become smaller?
    pub(crate) fn is_done(&mut self, objective: f64, step: f64) -> bool {
        const ROUNDING: f64 = 16.0 * f64::EPSILON;
        const PATIENCE: usize = 4;
        if objective < self.objective || step < 0.9 * self.step {
            self.stalled = 0;
        } else {
            self.stalled += 1;
        }
        self.objective = self.objective.min(objective);
        self.step = self.step.min(step);
        step <= ROUNDING || self.stalled == PATIENCE
    }
}
