//! The bytes in which parameters, requests and statistics travel between processes.
//!
//! All numbers are little-endian. Every message begins with four letters, its kind and the version of its layout.

use crate::Statistics;

/// Why bytes are not what they should be. Nothing is merged then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// They begin otherwise.
    #[error("these bytes are not {expected} of this library; see who sends them")]
    Kind {
        /// What they should have been.
        expected: &'static str,
    },
    /// They come from another version of the library.
    #[error(
        "these bytes have version {found} of their layout, {known} is known; use one version of the library everywhere"
    )]
    Version {
        /// The version found.
        found: u8,
        /// The version of this library.
        known: u8,
    },
    /// There are too few or too many of them.
    #[error("{found} bytes instead of {expected}; something was cut off or glued together")]
    Length {
        /// Bytes that there should be.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// They are of a model of another shape.
    #[error(
        "these are statistics of another shape; use the same number of components and columns everywhere"
    )]
    Shape,
    /// A number is NaN, or infinite where that has no meaning.
    #[error("number {index} is {value}; the sender computed nonsense, or bytes were lost")]
    NotFinite {
        /// Which number, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// They answer another request: statistics of different parameters do not add up.
    #[error("this answers another request; ask every worker anew when the parameters have changed")]
    Request,
    /// A request for something unknown.
    #[error("unknown task {0}; use one version of the library everywhere")]
    Task(u8),
    /// Parameters of another model.
    #[error("these are parameters of {found:?}, not of {expected:?}")]
    Format {
        /// The format asked for.
        expected: String,
        /// The format found.
        found: String,
    },
    /// Parameters that no constructor would accept, or that cannot be written.
    #[error("parameters: {0}")]
    Params(String),
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Statistics = 1,
    Request = 2,
    #[cfg(feature = "postcard")]
    Params = 3,
}

const MAGIC: [u8; 4] = *b"elbo";
const VERSION: u8 = 1;
const HEADER: usize = MAGIC.len() + 2;

impl Kind {
    pub(crate) fn begin(self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self as u8, VERSION]);
    }

    /// What follows the header.
    pub(crate) fn body(self, bytes: &[u8]) -> Result<&[u8], WireError> {
        let expected = match self {
            Self::Statistics => "statistics",
            Self::Request => "a request",
            #[cfg(feature = "postcard")]
            Self::Params => "parameters",
        };
        let Some((header, body)) = bytes.split_at_checked(HEADER) else {
            return Err(WireError::Kind { expected });
        };
        if header[..MAGIC.len()] != MAGIC || header[MAGIC.len()] != self as u8 {
            return Err(WireError::Kind { expected });
        }
        if header[HEADER - 1] != VERSION {
            return Err(WireError::Version { found: header[HEADER - 1], known: VERSION });
        }
        Ok(body)
    }
}

/// The expected statistics of some units at some parameters, with what else adds up over units.
#[derive(Clone, Debug)]
pub(crate) struct Expectation<S> {
    pub(crate) stats: S,
    /// In nats.
    pub(crate) data_term: f64,
    /// Their total weight.
    pub(crate) observations: f64,
    /// The [fingerprint] of the request that this answers.
    pub(crate) request: u64,
}

/// Request, shape, data term, observations.
const FIXED: usize = 4 * 8;

impl<S: Statistics> Expectation<S> {
    /// Writes over `out`: the header, the request, the shape, data term, observations, origins, sums.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Kind::Statistics.begin(out);
        out.extend_from_slice(&self.request.to_le_bytes());
        out.extend_from_slice(&shape(&self.stats).to_le_bytes());
        let mut put = |numbers: &[f64]| {
            for number in numbers {
                out.extend_from_slice(&number.to_le_bytes());
            }
        };
        put(&[self.data_term, self.observations]);
        self.stats.visit_origin(&mut |part| put(part));
        self.stats.visit(&mut |part| put(part));
    }

    /// Overwrites this by what `bytes` hold; after an error nothing has changed.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let body = Kind::Statistics.body(bytes)?;
        let (mut origins, mut sums) = (0, 0);
        self.stats.visit_origin(&mut |part| origins += part.len());
        self.stats.visit(&mut |part| sums += part.len());
        let expected = FIXED + 8 * (origins + sums);
        let (words, rest) = body.as_chunks::<8>();
        if body.len() >= 16 && u64::from_le_bytes(words[1]) != shape(&self.stats) {
            return Err(WireError::Shape);
        }
        if body.len() != expected || !rest.is_empty() {
            return Err(WireError::Length { expected: HEADER + expected, found: bytes.len() });
        }
        let numbers = || words[2..].iter().map(|word| f64::from_le_bytes(*word));
        // An origin may hold a limit that nothing has met yet; sums over data are finite.
        let is_origin = |index: usize| (2..2 + origins).contains(&index);
        let sane = |index: usize, x: f64| x.is_finite() || (is_origin(index) && !x.is_nan());
        if let Some((index, value)) = numbers().enumerate().find(|(i, x)| !sane(*i, *x)) {
            return Err(WireError::NotFinite { index, value });
        }
        let mut numbers = numbers();
        let mut take = |to: &mut [f64]| to.iter_mut().zip(&mut numbers).for_each(|(to, x)| *to = x);
        let mut fixed = [0.0; 2];
        take(&mut fixed);
        self.stats.visit_origin_mut(&mut |part| take(part));
        self.stats.visit_mut(&mut |part| take(part));
        (self.request, [self.data_term, self.observations]) = (u64::from_le_bytes(words[0]), fixed);
        Ok(())
    }

    /// Adds what was observed elsewhere.
    ///
    /// # Errors
    ///
    /// [`WireError::Request`] if it was observed at other parameters.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), WireError> {
        if self.request != other.request {
            return Err(WireError::Request);
        }
        self.stats.merge(&other.stats);
        self.data_term += other.data_term;
        self.observations += other.observations;
        Ok(())
    }
}

/// The bytes of statistics alone: 38 bytes and 8 for each number of both views.
///
/// [`read_statistics`] gives back every bit. Statistics of an E-step that is shared by processes travel inside a
/// [`PartialEStep`](crate::PartialEStep) instead, which knows the request that they answer.
///
/// ```
/// use elbo_core::{read_statistics, write_statistics};
///
/// let stats = (vec![1.0, 2.0], [0.1]);
/// let bytes = write_statistics(&stats);
/// let mut back = (vec![0.0; 2], [0.0]);
/// read_statistics(&bytes, &mut back)?;
/// assert_eq!(back, stats);
/// # Ok::<(), elbo_core::WireError>(())
/// ```
pub fn write_statistics<S: Statistics>(stats: &S) -> Vec<u8> {
    let mut out = Vec::new();
    let (data_term, observations, request) = (0.0, 0.0, 0);
    Expectation { stats: stats.clone(), data_term, observations, request }.encode(&mut out);
    out
}

/// Overwrites `stats`, which give the shape, by those that were [written](write_statistics).
///
/// # Errors
///
/// [`WireError`]; `stats` are then as they were.
pub fn read_statistics<S: Statistics>(bytes: &[u8], stats: &mut S) -> Result<(), WireError> {
    let (data_term, observations, request) = (0.0, 0.0, 0);
    let mut read = Expectation { stats: stats.clone(), data_term, observations, request };
    read.decode(bytes)?;
    *stats = read.stats;
    Ok(())
}

/// A fingerprint of the lengths of all parts.
fn shape<S: Statistics>(stats: &S) -> u64 {
    let mut hash = Fingerprint::default();
    stats.visit_origin(&mut |part| hash.add(&part.len().to_le_bytes()));
    hash.add(b"sums");
    stats.visit(&mut |part| hash.add(&part.len().to_le_bytes()));
    hash.0
}

/// A fingerprint of bytes.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = Fingerprint::default();
    hash.add(bytes);
    hash.0
}

/// The 64-bit hash FNV-1a: against mistakes, not against malice.
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Parameters as bytes: `format`, the caller's name for them, and the value in postcard, a compact binary form of serde.
///
/// # Errors
///
/// [`WireError::Params`] if the value cannot be written.
///
/// ```
/// use elbo_core::{WireError, decode_params, encode_params};
///
/// let bytes = encode_params("coins", &[0.25, 0.5])?;
/// assert_eq!(decode_params::<[f64; 2]>("coins", &bytes)?, [0.25, 0.5]);
/// assert!(matches!(decode_params::<[f64; 2]>("dice", &bytes), Err(WireError::Format { .. })));
/// # Ok::<(), WireError>(())
/// ```
#[cfg(feature = "postcard")]
pub fn encode_params<T: serde::Serialize>(format: &str, params: &T) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    Kind::Params.begin(&mut out);
    postcard::to_extend(&(format, params), out).map_err(|why| WireError::Params(why.to_string()))
}

/// Parameters that were [encoded](encode_params) under the same format. What a checked constructor refuses is refused here.
///
/// # Errors
///
/// [`WireError`].
#[cfg(feature = "postcard")]
pub fn decode_params<T: serde::de::DeserializeOwned>(
    format: &str,
    bytes: &[u8],
) -> Result<T, WireError> {
    let invalid = |why: postcard::Error| WireError::Params(why.to_string());
    let body = Kind::Params.body(bytes)?;
    let (found, body) = postcard::take_from_bytes::<&str>(body).map_err(invalid)?;
    if found != format {
        return Err(WireError::Format { expected: format.into(), found: found.into() });
    }
    let (params, rest) = postcard::take_from_bytes(body).map_err(invalid)?;
    if rest.is_empty() {
        Ok(params)
    } else {
        Err(WireError::Length { expected: bytes.len() - rest.len(), found: bytes.len() })
    }
}
