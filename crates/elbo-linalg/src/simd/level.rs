//! Which instruction set runs, decided once per process.
#![allow(unsafe_code, reason = "calls functions compiled for CPU features after checking for them")]

use core::fmt;
use core::str::FromStr;
use std::sync::OnceLock;

use super::{Kernel, portable};

/// An instruction set for which kernels are compiled.
///
/// The environment variable `ELBO_SIMD` (`portable`, `neon`, `avx2` or `avx512`) chooses one for the
/// whole process. Sums differ in their last bits between instruction sets; `ELBO_SIMD=portable`
/// gives the same bits on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Plain Rust, two lanes, no fused multiply-add: every CPU, the same bits everywhere.
    Portable,
    /// 64-bit ARM, two lanes.
    Neon,
    /// AVX2 and FMA, four lanes: x86-64 CPUs since about 2013.
    Avx2,
    /// AVX-512 F, DQ and VL, eight lanes: x86-64 servers since 2017, AMD since Zen 4.
    Avx512,
}

impl Level {
    /// All levels, slowest first, whether this CPU has them or not.
    const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The level kernels should use: that of `ELBO_SIMD` if it is set, else the fastest of this CPU.
    ///
    /// Looked up once; later calls cost one load.
    ///
    /// # Panics
    ///
    /// If `ELBO_SIMD` names no level or one that this CPU lacks. A program that wants to report this
    /// itself calls [`try_detect`](Self::try_detect) first.
    pub fn detect() -> Self {
        match Self::try_detect() {
            Ok(level) => level,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`detect`](Self::detect), with a bad `ELBO_SIMD` as an error.
    ///
    /// # Errors
    ///
    /// - [`LevelError::Unknown`]: the variable names no level.
    /// - [`LevelError::Unavailable`]: it names a level that this CPU lacks.
    pub fn try_detect() -> Result<Self, LevelError> {
        static DETECTED: OnceLock<Result<Level, LevelError>> = OnceLock::new();
        DETECTED
            .get_or_init(|| match std::env::var_os("ELBO_SIMD") {
                None => Ok(Self::best()),
                Some(name) => Self::chosen(&name.to_string_lossy()),
            })
            .clone()
    }

    /// The levels this CPU has, slowest first; [`Portable`](Self::Portable) is always one of them.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// Whether this CPU has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Runs a kernel with the vectors of this level.
    ///
    /// Costs a few predictable branches, so call it per block of work, not per row.
    ///
    /// # Panics
    ///
    /// If this CPU lacks the instruction set.
    #[inline]
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self.is_available(), "this CPU has no {self}");
        match self {
            // SAFETY: the features were found above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { run_avx2(kernel) },
            // SAFETY: the features were found above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => kernel.run::<super::neon::Neon>(),
            _ => kernel.run::<portable::Portable>(),
        }
    }

    /// The name that `ELBO_SIMD` and [`FromStr`] understand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    fn chosen(name: &str) -> Result<Self, LevelError> {
        let level: Self = name.parse()?;
        if level.is_available() {
            Ok(level)
        } else {
            Err(LevelError::Unavailable { level, best: Self::best() })
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(name: &str) -> Result<Self, LevelError> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| LevelError::Unknown { name: name.to_owned() })
    }
}

/// Why `ELBO_SIMD` cannot be honored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelError {
    /// The name is no level.
    #[error(
        "ELBO_SIMD={name:?} names no instruction set; unset it or use portable, neon, avx2 or avx512"
    )]
    Unknown {
        /// The value of the variable.
        name: String,
    },
    /// The CPU lacks the instruction set.
    #[error("ELBO_SIMD={level}, but this CPU has at most {best}; unset it or choose a lower one")]
    Unavailable {
        /// The level asked for.
        level: Level,
        /// The fastest level of this CPU.
        best: Level,
    },
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<super::x86::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma,popcnt")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<super::x86::Avx512>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("sse9".parse::<Level>(), Err(LevelError::Unknown { name: "sse9".to_owned() }));
    }

    #[test]
    fn only_available_levels_can_be_chosen() {
        for level in Level::ALL {
            let chosen = Level::chosen(level.name());
            if Level::available().any(|other| other == level) {
                assert_eq!(chosen, Ok(level));
            } else {
                assert_eq!(chosen, Err(LevelError::Unavailable { level, best: Level::best() }));
            }
        }
        assert!(Level::Portable.is_available());
        assert!(!(Level::Neon.is_available() && Level::Avx2.is_available()));
    }
}
