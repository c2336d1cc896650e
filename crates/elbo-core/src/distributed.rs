//! An E-step shared by processes: parameters go out as bytes, statistics come back as bytes.

use crate::{
    Batch, ChunkSource, DataError, EStep, EStepError, EstimateError, Inference, LatentModel,
    Repairs, Shown, SourceError, Statistics,
    fit::How,
    source::check,
    wire::{Expectation, Kind, WireError, fingerprint},
};

/// What a worker is asked to do with its data.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Task {
    /// To see whether the model can use them.
    Check,
    /// An E-step.
    Expect(How),
}

/// The bytes of a request: a task, then the parameters.
fn write_request(task: Task, params: &[u8], out: &mut Vec<u8>) {
    Kind::Request.begin(out);
    let (code, beta) = match task {
        Task::Check => (0, 1.0),
        Task::Expect(How::Hard) => (2, 1.0),
        Task::Expect(How::Tempered(beta)) => (3, beta),
        Task::Expect(How::Soft | How::Sampled(_)) => (1, 1.0_f64),
    };
    out.push(code);
    out.extend_from_slice(&beta.to_le_bytes());
    out.extend_from_slice(params);
}

fn read_request(bytes: &[u8]) -> Result<(Task, &[u8]), WireError> {
    let body = Kind::Request.body(bytes)?;
    let cut_off = WireError::Length { expected: bytes.len() + 9 - body.len(), found: bytes.len() };
    let (code, body) = body.split_first().ok_or_else(|| cut_off.clone())?;
    let (beta, params) = body.split_first_chunk::<8>().ok_or(cut_off)?;
    let value = f64::from_le_bytes(*beta);
    let task = match code {
        0 => Task::Check,
        1 => Task::Expect(How::Soft),
        2 => Task::Expect(How::Hard),
        3 if value > 0.0 && value <= 1.0 => Task::Expect(How::Tempered(value)),
        3 => return Err(WireError::NotFinite { index: 0, value }),
        code => return Err(WireError::Task(*code)),
    };
    Ok((task, params))
}

/// Why a worker has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkerError {
    /// Its data do not fit the model.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The parameters do not explain its data, or these cannot be read.
    #[error(transparent)]
    EStep(#[from] EStepError),
}

/// A worker's part of an E-step: what an aggregate function of an engine keeps as its state.
///
/// | an engine's aggregate | here |
/// |---|---|
/// | create, with the request as a constant | [`new`](Self::new) |
/// | update by some rows | [`observe`](Self::observe) |
/// | state, or result | [`to_bytes`](Self::to_bytes) |
/// | merge another state | [`merge`](Self::merge) |
///
/// The result of all parts, merged in any order, is what [`Distributed`] wants back. Rounding depends on the order; where the
/// same bits matter, every shard is a request of its own, and the driver merges them in a fixed tree.
#[derive(Debug)]
pub struct PartialEStep<'m, M: LatentModel> {
    model: &'m M,
    params: M::Params,
    task: Task,
    sum: Expectation<M::Stats>,
    /// Statistics of one call, or of other bytes.
    fresh: Expectation<M::Stats>,
}

impl<'m, M: LatentModel> PartialEStep<'m, M> {
    /// Begins with nothing observed; `decode` turns the bytes of parameters into parameters.
    ///
    /// # Errors
    ///
    /// [`WireError`] if this is no request, or whatever `decode` says.
    pub fn new(
        model: &'m M,
        request: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<M::Params, WireError>,
    ) -> Result<Self, WireError> {
        let (task, params) = read_request(request)?;
        let params = decode(params)?;
        let mut stats = model.new_stats(&params);
        model.reset(&params, &mut stats);
        let request = fingerprint(request);
        let sum = Expectation { stats, data_term: 0.0, observations: 0.0, request };
        Ok(Self { model, params, task, fresh: sum.clone(), sum })
    }

    /// Adds data in memory, as one piece.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]; rows count from the first of `data`. Nothing is added then.
    pub fn observe(&mut self, data: M::Data<'_>) -> Result<(), WorkerError> {
        self.observe_source(&Shown::<M>(data), 1)
    }

    /// Adds the data of a source, cut into at most `pieces` pieces that go side by side.
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe).
    ///
    /// # Panics
    ///
    /// If there are no pieces.
    pub fn observe_source<D>(&mut self, source: &D, pieces: usize) -> Result<(), WorkerError>
    where
        D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        if source.is_empty() {
            return Ok(());
        }
        match self.task {
            Task::Check => check(self.model, &self.params, source, pieces)?,
            Task::Expect(how) => {
                let e_step = EStep::<M>::over(source.len(), source.grain(), pieces);
                let stats = &mut self.fresh.stats;
                let data_term =
                    e_step.run_how(self.model, &self.params, source, how, None, stats)?;
                self.sum.stats.merge(stats);
                self.sum.data_term += data_term;
            }
        }
        self.sum.observations += source.observations();
        Ok(())
    }

    /// Adds what another worker observed for the same request.
    ///
    /// # Errors
    ///
    /// [`WireError`]. Nothing is added then.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.fresh.decode(bytes)?;
        self.sum.merge(&self.fresh)
    }

    /// What was observed so far: 38 bytes, and 8 for each number of the statistics and of their origins.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.sum.encode(&mut out);
        out
    }
}

/// Data that lie elsewhere, in shards: all that is known here is how many observations each has.
///
/// An engine that merges by itself, as a data base does, is one shard.
#[derive(Clone, Copy, Debug)]
pub struct Shards<'a> {
    observations: &'a [f64],
    first: usize,
}

impl<'a> Shards<'a> {
    /// One shard for each number of observations (or total weight).
    pub fn new(observations: &'a [f64]) -> Self {
        Self { observations, first: 0 }
    }
}

impl Batch for Shards<'_> {
    fn len(&self) -> usize {
        self.observations.len()
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self { first: self.first + range.start, observations: &self.observations[range] }
    }

    fn observations(&self) -> f64 {
        self.observations.iter().sum()
    }

    fn grain(&self) -> usize {
        1
    }
}

/// A model whose data lie elsewhere. It is a [`LatentModel`] of [`Shards`], so that every driver, variant and report serves it:
/// an E-step becomes one request per shard, side by side, and M-steps stay here.
///
/// `encode` turns parameters into bytes (`encode_params` of the feature `postcard`, or anything that the workers decode).
/// `engine` carries a request to a shard and brings back the bytes of the [`PartialEStep`] there; its failures end a run as
/// any failing E-step does, with the best parameters so far.
///
/// With [`Settings::pieces`](crate::Settings::pieces) not below the number of shards, statistics of shards are merged in the
/// tree in which pieces of data in memory are: shards that are these pieces give the bits of a fit in memory.
///
/// Latent variables that are drawn are not available: each shard would need a generator of its own.
///
/// # Example
///
/// `examples/distributed.rs` of the crate `elbo` runs a mixture and a hidden Markov model in three processes.
#[derive(Debug)]
pub struct Distributed<M, C, E> {
    model: M,
    encode: C,
    engine: E,
}

impl<M, C, E> Distributed<M, C, E>
where
    M: LatentModel,
    C: Fn(&M::Params) -> Result<Vec<u8>, WireError> + Send + Sync,
    E: Fn(usize, &[u8]) -> Result<Vec<u8>, SourceError> + Send + Sync,
{
    /// `model` does the M-steps, `encode` writes parameters, and `engine(shard, request)` asks a shard.
    pub fn new(model: M, encode: C, engine: E) -> Self {
        Self { model, encode, engine }
    }

    /// Asks every shard, and merges what they say.
    fn ask(
        &self,
        task: Task,
        params: &M::Params,
        shards: Shards<'_>,
        stats: &mut M::Stats,
        scratch: &mut Expectation<M::Stats>,
    ) -> Result<f64, SourceError> {
        let mut request = Vec::new();
        let encoded = (self.encode)(params).map_err(SourceError::new)?;
        write_request(task, &encoded, &mut request);
        let (of, mut data_term) = (fingerprint(&request), 0.0);
        for (i, known) in shards.observations.iter().enumerate() {
            let shard = shards.first + i;
            let bytes = (self.engine)(shard, &request)?;
            let failed =
                |why: &dyn std::fmt::Display| SourceError::new(format!("shard {shard}: {why}"));
            scratch.decode(&bytes).map_err(|why| failed(&why))?;
            if scratch.request != of {
                return Err(failed(&WireError::Request));
            }
            // Sums of weights depend on their order by rounding.
            if (scratch.observations - known).abs() > 1e-9 * known.abs() {
                let seen = scratch.observations;
                return Err(failed(&format!("{seen} observations were seen instead of {known}")));
            }
            stats.merge(&scratch.stats);
            data_term += scratch.data_term;
        }
        Ok(data_term)
    }
}

impl<M, C, E> LatentModel for Distributed<M, C, E>
where
    M: LatentModel,
    C: Fn(&M::Params) -> Result<Vec<u8>, WireError> + Send + Sync,
    E: Fn(usize, &[u8]) -> Result<Vec<u8>, SourceError> + Send + Sync,
{
    type Data<'a> = Shards<'a>;
    type Params = M::Params;
    type Stats = M::Stats;
    type Scratch = DistributedScratch<M::Stats>;

    fn check(&self, params: &M::Params, shards: Shards<'_>) -> Result<(), DataError> {
        let mut stats = self.model.new_stats(params);
        let mut scratch = self.new_scratch(params);
        self.ask(Task::Check, params, shards, &mut stats, &mut scratch.0)?;
        Ok(())
    }

    fn new_stats(&self, params: &M::Params) -> M::Stats {
        self.model.new_stats(params)
    }

    fn new_scratch(&self, params: &M::Params) -> Self::Scratch {
        let stats = self.model.new_stats(params);
        let (data_term, observations, request) = (0.0, 0.0, 0);
        DistributedScratch(Expectation { stats, data_term, observations, request })
    }

    fn reset(&self, params: &M::Params, stats: &mut M::Stats) {
        self.model.reset(params, stats);
    }

    fn e_step(
        &self,
        params: &M::Params,
        shards: Shards<'_>,
        how: &mut Inference<'_>,
        stats: &mut M::Stats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError> {
        let how = match how {
            Inference::Soft => How::Soft,
            Inference::Hard => How::Hard,
            Inference::Tempered(beta) => How::Tempered(*beta),
            Inference::Sampled(_) => {
                return Err(EStepError::Source(SourceError::new(
                    "latent variables cannot be drawn in shards; use soft, hard or annealed EM",
                )));
            }
        };
        self.ask(Task::Expect(how), params, shards, stats, &mut scratch.0)
            .map_err(EStepError::Source)
    }

    fn m_step(
        &self,
        params: &M::Params,
        stats: &M::Stats,
        next: &mut M::Params,
    ) -> Result<Repairs, EstimateError> {
        self.model.m_step(params, stats, next)
    }

    fn retreat(&self, params: &M::Params, next: &mut M::Params) -> bool {
        self.model.retreat(params, next)
    }

    fn ends_here(&self, params: &M::Params, stats: &M::Stats) -> bool {
        self.model.ends_here(params, stats)
    }

    fn write_natural(&self, params: &M::Params, like: &M::Stats, out: &mut Vec<f64>) -> bool {
        self.model.write_natural(params, like, out)
    }

    fn penalty(&self, params: &M::Params) -> f64 {
        self.model.penalty(params)
    }

    fn free_parameters(&self, params: &M::Params) -> usize {
        self.model.free_parameters(params)
    }

    fn is_spurious(&self, params: &M::Params, stats: &M::Stats) -> bool {
        self.model.is_spurious(params, stats)
    }
}

/// The last answer of a shard.
#[derive(Debug)]
pub struct DistributedScratch<S>(Expectation<S>);
