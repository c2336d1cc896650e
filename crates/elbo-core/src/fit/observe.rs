//! Watching a fit.

use std::ops::ControlFlow;

use super::{
    Stopped,
    checkpoint::{Checkpoint, Snapshot, Words},
};

/// What an observer sees at the end of an iteration.
#[derive(Debug)]
pub struct Event<'a, P> {
    /// Which restart, from 0.
    pub run: usize,
    /// M-steps done in this run.
    pub iteration: usize,
    /// E-steps done in this run.
    pub e_steps: usize,
    /// Data term + penalty at `params`.
    pub objective: f64,
    /// Aitken's estimate of what is left to gain, in nats over all data, where there is one.
    pub gap: Option<f64>,
    /// The parameters reached.
    pub params: &'a P,
    pub(super) run_state: &'a dyn Snapshot,
}

impl<P: Clone> Event<'_, P> {
    /// The whole state of the run, to [`resume`](crate::resume) from. Allocates; take one now and then.
    pub fn checkpoint(&self) -> Checkpoint<P> {
        let mut words = Words::default();
        self.run_state.save(&mut words);
        Checkpoint::new(self.params.clone(), words)
    }
}

/// Watches fits; shared by restarts that run side by side. `()` watches nothing, and any
/// `Fn(&Event<P>) -> ControlFlow<()>` is an observer: progress bars, traces, early stopping, checkpoints.
pub trait Observer<P>: Sync {
    /// After each iteration. `Break` ends this run for the [`reason`](Self::reason) that the observer gives.
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()>;

    /// Why this run was ended by `Break`: [`Stopped::Observer`], unless overridden.
    fn reason(&self, run: usize) -> Stopped {
        let _ = run;
        Stopped::Observer
    }

    /// After the last iteration of a run, whatever ended it.
    fn on_end(&self, run: usize) {
        let _ = run;
    }
}

impl<P> Observer<P> for () {
    fn on_iteration(&self, _: &Event<'_, P>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<P, F: Fn(&Event<'_, P>) -> ControlFlow<()> + Sync> Observer<P> for F {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        self(event)
    }
}
