//! Extrapolation along the path of the statistics.
//!
//! An accelerator watches the steps of a run and proposes statistics that lie ahead. The driver turns them into parameters
//! and takes them only if the M-step accepts them and the objective does not fall, so that no proposal can do harm beyond
//! the E-step it costs.

mod eigen;
mod modes;
mod span;
mod squarem;

use super::{
    Acceleration,
    checkpoint::{Reader, Words},
};
use crate::{LatentModel, Statistics};

use span::Span;
use squarem::Squarem;

/// One way to look ahead.
pub(super) enum Accelerator<S> {
    Squarem(Squarem<S>),
    Span(Box<Span<S>>),
}

impl<S: Statistics> Accelerator<S> {
    /// What `acceleration` asks for, for runs that start at `params`; statistics of the model's shape give the room.
    ///
    /// Newton's method needs the metric of the model: a model that does not tell it is accelerated by SQUAREM.
    pub(super) fn new<M: LatentModel<Stats = S>>(
        acceleration: Acceleration,
        model: &M,
        params: &M::Params,
        shape: &S,
    ) -> Option<Self> {
        let span = |condition| Some(Self::Span(Box::new(Span::new(condition, shape))));
        match acceleration {
            Acceleration::None => None,
            Acceleration::Anderson => span(span::Condition::Residual),
            Acceleration::QuasiNewton if model.write_natural(params, shape, &mut Vec::new()) => {
                span(span::Condition::Gradient)
            }
            Acceleration::Squarem | Acceleration::QuasiNewton => {
                Some(Self::Squarem(Squarem::new(shape)))
            }
        }
    }

    /// Takes note of a plain step: the M-step saw `from`, which led to `params`, where the E-step gave `here`.
    pub(super) fn stepped<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        from: &S,
        here: &S,
        gain: f64,
    ) {
        match self {
            Self::Squarem(squarem) => squarem.note(from, gain),
            Self::Span(span) => span.stepped(model, params, from, here),
        }
    }

    /// Statistics ahead of `here`, if a leap is due.
    pub(super) fn propose(&mut self, here: &S) -> bool {
        match self {
            Self::Squarem(squarem) => squarem.propose(here),
            Self::Span(span) => span.propose(),
        }
    }

    /// The statistics proposed.
    pub(super) fn proposal(&self) -> &S {
        match self {
            Self::Squarem(squarem) => squarem.proposal(),
            Self::Span(span) => span.proposal(),
        }
    }

    /// Proposes something more careful, after an M-step that did not accept the last proposal; false if there is nothing.
    pub(super) fn propose_less(&mut self) -> bool {
        match self {
            Self::Squarem(_) => false,
            Self::Span(span) => span.propose_less(),
        }
    }

    /// The proposal was taken: it led to `params`, where the E-step gave `here`.
    pub(super) fn taken<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        here: &S,
    ) {
        match self {
            Self::Squarem(squarem) => squarem.learn(true),
            Self::Span(span) => span.taken(model, params, here),
        }
    }

    /// The proposal was not taken; the run is still at `params` and `here`.
    pub(super) fn failed<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        here: &S,
    ) {
        match self {
            Self::Squarem(squarem) => squarem.learn(false),
            Self::Span(span) => span.failed(model, params, here),
        }
    }

    pub(super) fn save(&self, words: &mut Words) {
        match self {
            Self::Squarem(squarem) => squarem.save(words),
            Self::Span(span) => span.save(words),
        }
    }

    pub(super) fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        match self {
            Self::Squarem(squarem) => squarem.load(words),
            Self::Span(span) => span.load(words),
        }
    }

    /// The run moved by other means: what was seen tells nothing of what comes.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Squarem(squarem) => squarem.forget(),
            Self::Span(span) => span.forget(),
        }
    }

    /// What is left to gain along the directions that were watched, in nats, where that is known.
    pub(super) fn gap(&self) -> Option<f64> {
        match self {
            Self::Squarem(_) => None,
            Self::Span(span) => span.gap(),
        }
    }
}

/// `to = from`, in the coordinates of `from`, without allocation.
fn copy<S: Statistics>(from: &S, to: &mut S) {
    to.set_zero();
    to.align(from);
    to.merge(from);
}
