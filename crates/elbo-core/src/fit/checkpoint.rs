//! The state of a run in words, so that it can go on elsewhere.

use std::fmt;

use super::Stopped;
use crate::{Statistics, wire::fingerprint};

/// A run at the end of an iteration. [`resume`](crate::resume) goes on from it as if nothing had happened: the same bits as
/// the uninterrupted run, whatever the variant and the acceleration.
///
/// An observer takes one with [`Event::checkpoint`](crate::Event::checkpoint), and writes it wherever it likes: it is what
/// `serde` makes of the parameters and a list of whole numbers, so that a format needs no NaN. Its size is that of the
/// parameters, and of 25 statistics where leaps are prepared, of all pieces' statistics under incremental EM.
///
/// ```
/// use std::{ops::ControlFlow, sync::Mutex};
/// use elbo_core::{Checkpoint, Event, Settings, fit, resume};
/// # use elbo_core::{EStepError, EstimateError, Inference, LatentModel, Repairs};
/// # struct Coins;
/// # impl LatentModel for Coins {
/// #     type Data<'a> = &'a [f64];
/// #     type Params = [f64; 2];
/// #     type Stats = ([f64; 2], [f64; 2]);
/// #     type Scratch = ();
/// #     fn new_stats(&self, _: &[f64; 2]) -> Self::Stats { ([0.0; 2], [0.0; 2]) }
/// #     fn new_scratch(&self, _: &[f64; 2]) {}
/// #     fn e_step(&self, heads: &[f64; 2], packets: &[f64], how: &mut Inference<'_>, stats: &mut Self::Stats, (): &mut ())
/// #         -> Result<f64, EStepError> {
/// #         let mut data_term = 0.0;
/// #         for (row, x) in packets.iter().enumerate() {
/// #             let mut joint = heads.map(|p| x * p.ln() + (5.0 - x) * (1.0 - p).ln());
/// #             data_term += how.assign(&mut joint).map_err(|_| EStepError::Impossible { row })?;
/// #             for j in 0..2 { stats.0[j] += joint[j]; stats.1[j] += joint[j] * x; }
/// #         }
/// #         Ok(data_term)
/// #     }
/// #     fn m_step(&self, _: &[f64; 2], (n, heads): &Self::Stats, next: &mut [f64; 2]) -> Result<Repairs, EstimateError> {
/// #         for j in 0..2 { next[j] = heads[j] / (5.0 * n[j]); }
/// #         Ok(Repairs::default())
/// #     }
/// #     fn free_parameters(&self, _: &[f64; 2]) -> usize { 2 }
/// # }
/// # let packets = [4.0, 5.0, 1.0, 0.0, 4.0, 1.0, 5.0, 1.0];
/// let last: Mutex<Option<Checkpoint<[f64; 2]>>> = Mutex::default();
/// let observer = |event: &Event<'_, [f64; 2]>| {
///     if event.iteration == 2 {
///         *last.lock().unwrap() = Some(event.checkpoint());
///     }
///     ControlFlow::Continue(())
/// };
/// let settings = Settings::default();
/// let whole = fit(&Coins, &packets[..], [0.6, 0.5], &settings, &observer).unwrap();
///
/// let checkpoint = last.into_inner().unwrap().unwrap();
/// let resumed = resume(&Coins, &packets[..], checkpoint, &settings, &()).unwrap();
/// assert_eq!(resumed.params, whole.params);
/// assert_eq!(resumed.report.trace, whole.report.trace);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Checkpoint<P> {
    /// The parameters reached.
    pub params: P,
    state: Vec<u64>,
}

impl<P> Checkpoint<P> {
    pub(super) fn new(params: P, state: Words) -> Self {
        Self { params, state: state.0 }
    }

    pub(super) fn into_parts(self) -> (P, Vec<u64>) {
        (self.params, self.state)
    }
}

/// A run that can tell its state.
pub(super) trait Snapshot {
    fn save(&self, words: &mut Words);
}

impl fmt::Debug for dyn Snapshot + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("state")
    }
}

/// What is written.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<u64>);

impl Words {
    pub(super) fn put(&mut self, number: usize) {
        self.0.push(number as u64);
    }

    pub(super) fn put_f64(&mut self, x: f64) {
        self.0.push(x.to_bits());
    }

    pub(super) fn put_slice(&mut self, numbers: &[f64]) {
        self.put(numbers.len());
        self.0.extend(numbers.iter().map(|x| x.to_bits()));
    }

    pub(super) fn put_stats<S: Statistics>(&mut self, stats: &S) {
        stats.visit_origin(&mut |part| self.0.extend(part.iter().map(|x| x.to_bits())));
        stats.visit(&mut |part| self.0.extend(part.iter().map(|x| x.to_bits())));
    }

    /// What must be the same where the run goes on.
    pub(super) fn put_text(&mut self, text: &str) {
        self.0.push(fingerprint(text.as_bytes()));
    }

    pub(super) fn put_stopped(&mut self, stopped: Option<&Stopped>) {
        let code = stopped.map_or(0, |stopped| {
            ENDS.iter().position(|end| end == stopped).map_or(0, |place| place + 1)
        });
        self.put(code);
    }
}

/// Ends that an iteration may conclude with, in the order of their codes.
const ENDS: [Stopped; 5] =
    [Stopped::Gap, Stopped::Change, Stopped::RelativeChange, Stopped::Rounding, Stopped::Finished];

/// What is read, from the front; `None` says that the words are not those of such a run.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u64]);

impl Reader<'_> {
    fn word(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self) -> Option<usize> {
        usize::try_from(self.word()?).ok()
    }

    /// A number that must not exceed `most`.
    pub(super) fn take_up_to(&mut self, most: usize) -> Option<usize> {
        self.take().filter(|number| *number <= most)
    }

    pub(super) fn take_f64(&mut self) -> Option<f64> {
        self.word().map(f64::from_bits)
    }

    pub(super) fn take_slice(&mut self, to: &mut Vec<f64>) -> Option<()> {
        let n = self.take()?;
        let (head, rest) = self.0.split_at_checked(n)?;
        to.clear();
        to.extend(head.iter().map(|word| f64::from_bits(*word)));
        self.0 = rest;
        Some(())
    }

    pub(super) fn take_stats<S: Statistics>(&mut self, stats: &mut S) -> Option<()> {
        let mut whole = true;
        let mut read = |part: &mut [f64]| match self.0.split_at_checked(part.len()) {
            Some((head, rest)) => {
                part.iter_mut().zip(head).for_each(|(x, word)| *x = f64::from_bits(*word));
                self.0 = rest;
            }
            None => whole = false,
        };
        stats.visit_origin_mut(&mut read);
        stats.visit_mut(&mut read);
        whole.then_some(())
    }

    pub(super) fn take_text(&mut self, text: &str) -> Option<()> {
        (self.word()? == fingerprint(text.as_bytes())).then_some(())
    }

    pub(super) fn take_stopped(&mut self, to: &mut Option<Stopped>) -> Option<()> {
        *to = match self.take_up_to(ENDS.len())? {
            0 => None,
            code => Some(ENDS[code - 1].clone()),
        };
        Some(())
    }
}
