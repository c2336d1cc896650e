//! Watching a fit.

use std::ops::ControlFlow;

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
}

/// Watches fits; shared by restarts that run side by side. `()` watches nothing, and any
/// `Fn(&Event<P>) -> ControlFlow<()>` is an observer: progress bars, traces, early stopping, checkpoints.
pub trait Observer<P>: Sync {
    /// After each iteration. `Break` ends this run with [`Stopped::Observer`](crate::Stopped::Observer).
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()>;

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
