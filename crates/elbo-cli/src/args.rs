//! The command line: what can be asked for, and how it is explained.

mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use elbo::mixture::{CovarianceStructure, Estimation};

use serde::{Deserialize, Serialize};

use crate::{
    chain::Emission,
    summary::Kind,
    table::{Columns, Header, Selection},
};
pub(crate) use values::{ComponentRange, Covariances, Starts, TimeBudget};

/// Fit latent-variable models to a table of numbers, and explain, apply and sample them.
#[derive(Debug, Parser)]
#[command(
    name = "elbo",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
Examples:
  elbo fit mixture faithful.csv --components 1..6 --report faithful.html
  elbo fit mixture faithful.csv --components 2 --model model.json
  elbo predict model.json new.csv
  elbo inspect model.json

Data are CSV or TSV files, NumPy .npy arrays, or - for standard input.
Exit codes: 0 fitted (converged or not: read the report), 2 wrong input or arguments,
130 interrupted (the best model so far is still written)."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fit a model to data
    Fit(Fit),
    /// Say to which component each row belongs, and how surely
    Predict(Predict),
    /// Say how well a model describes data
    Score(Score),
    /// Draw new rows from a model
    Sample(Sample),
    /// Show a fitted model
    Inspect(Inspect),
}

/// `elbo fit`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    subcommand_required = true,
    subcommand_value_name = "FAMILY",
    subcommand_help_heading = "Families",
    disable_help_subcommand = true,
    after_help = "\
Example:
  elbo fit mixture faithful.csv --components 1..6

Every family has its own options: elbo fit mixture --help"
)]
pub(crate) struct Fit {
    /// Which family of models.
    #[command(subcommand)]
    pub(crate) family: Family,
}

/// The families of models in this version.
#[derive(Debug, Subcommand)]
pub(crate) enum Family {
    /// Groups in continuous data or counts: a finite mixture of distributions
    Mixture(Box<MixtureArgs>),
    /// Regimes in sequences: a chain of hidden states, each with a distribution of its own
    Hmm(Box<HmmArgs>),
    /// Centers and hard labels, for many rows: k-means
    Kmeans(Box<KmeansArgs>),
    /// Anything else, to be refused with the list of families.
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// `elbo fit mixture`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  elbo fit mixture faithful.csv --components 2
      two groups with full covariances
  elbo fit mixture faithful.csv --components 1..6 --report faithful.html
      every number of groups from 1 to 6 with every covariance structure; the best by BIC,
      with pictures
  elbo fit mixture iris.csv --columns Petal.Length,Petal.Width --components 3 --covariance tied
  elbo fit mixture counts.csv --component poisson --components 1..4 --json
  elbo fit mixture x.csv --components 2 --start start.json --tol 0 --max-iter 10
      exactly ten EM iterations from given parameters")]
pub(crate) struct MixtureArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Number of components, or a range such as 1..6 (both ends included) to choose from
    #[arg(short = 'K', long, value_name = "K", help_heading = "Mixture")]
    pub(crate) components: ComponentRange,

    /// Distribution of a component
    #[arg(long, value_enum, default_value_t, help_heading = "Mixture")]
    pub(crate) component: Kind,

    /// Covariance structures: full, tied, diagonal, spherical, one of mclust's 14 names (EII, VII,
    /// EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV), a list of them, or all
    /// [default: full; all for a range of --components]
    #[arg(long, value_name = "STRUCTURE", help_heading = "Mixture")]
    pub(crate) covariance: Option<Covariances>,

    /// What "best" means when there is a choice; all criteria are smaller for better models
    #[arg(long, value_enum, default_value_t, help_heading = "Mixture")]
    pub(crate) criterion: Criterion,

    /// Parts of the rows that are held out in turn with --criterion cv [default: 10]
    #[arg(long, value_name = "N", value_parser = values::folds, help_heading = "Mixture")]
    pub(crate) folds: Option<usize>,

    /// How to fit.
    #[command(flatten)]
    pub(crate) fit: FitArgs,

    /// How many candidates the printed table lists; --json and --report always list all
    #[arg(long, value_enum, default_value_t, value_name = "ROWS", help_heading = "Output")]
    pub(crate) table: TableRows,

    /// What to write.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `elbo fit kmeans`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  elbo fit kmeans faithful.csv --clusters 2
  elbo fit kmeans pixels.npy --clusters 64 --model palette.json --labels --json
  elbo fit kmeans x.csv --clusters 8 --start start.json --tol 0 --max-iter 10
      exactly ten iterations from given centers
  elbo predict palette.json other.csv

Without --tol a run ends where no row changes its center.")]
pub(crate) struct KmeansArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Number of clusters
    #[arg(short = 'K', long, value_name = "K", value_parser = values::at_least_one, help_heading = "k-means")]
    pub(crate) clusters: usize,

    /// Also give the cluster of every row, from 1, in --json
    #[arg(long, help_heading = "k-means")]
    pub(crate) labels: bool,

    /// How to fit.
    #[command(flatten)]
    pub(crate) fit: FitArgs,

    /// What to write.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl MixtureArgs {
    /// The structures to fit to `d` columns: those asked for, else one for a single K and all for
    /// a range.
    pub(crate) fn structures(&self, d: usize) -> Vec<CovarianceStructure> {
        match &self.covariance {
            Some(covariances) => covariances.of(d),
            None if self.components.is_single() => vec![CovarianceStructure::VVV],
            None => Covariances::All.of(d),
        }
    }
}

/// `elbo fit hmm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  elbo fit hmm returns.csv --states 2
      two regimes with full covariances; the rows are one sequence, in their order
  elbo fit hmm counts.csv --emission poisson --states 1..4 --stationary --report counts.html
      every number of states from 1 to 4; the best by BIC, with pictures
  elbo fit hmm walks.csv --id animal --columns step,turn --emission diagonal --states 3
      one sequence for each animal

Rows of a sequence stand together, in the order of time. Missing rows and cells are allowed.")]
pub(crate) struct HmmArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Number of states, or a range such as 1..4 (both ends included) to choose from by BIC
    #[arg(short = 'K', long, value_name = "K", help_heading = "Hidden Markov model")]
    pub(crate) states: ComponentRange,

    /// What a state emits
    #[arg(long, value_enum, default_value_t, help_heading = "Hidden Markov model")]
    pub(crate) emission: Emission,

    /// The first state of a sequence has the stationary law of the chain, as if it had gone on forever
    #[arg(long, help_heading = "Hidden Markov model")]
    pub(crate) stationary: bool,

    /// How to fit.
    #[command(flatten)]
    pub(crate) fit: FitArgs,

    /// What to write.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to read.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataArgs {
    /// CSV or TSV file, NumPy .npy array, or - for standard input; empty, NA and NaN are missing
    #[arg(value_name = "DATA")]
    pub(crate) path: PathBuf,

    /// Columns to model, by name [default: all columns of numbers]
    #[arg(long, value_name = "A,B", value_delimiter = ',', help_heading = "Data")]
    pub(crate) columns: Option<Vec<String>>,

    /// Column that holds row weights
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub(crate) weights: Option<String>,

    /// Column that names the rows, or the sequence that a row belongs to; it is not modeled
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub(crate) id: Option<String>,

    /// How to read the first row.
    #[command(flatten)]
    pub(crate) header: HeaderArgs,
}

/// How to read the first row of text.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct HeaderArgs {
    /// The first row is data; columns are called x1, x2, … [default: seen from the file]
    #[arg(long, conflicts_with = "header", help_heading = "Data")]
    no_header: bool,

    /// The first row is column names, even if they are numbers
    #[arg(long, help_heading = "Data")]
    header: bool,
}

impl HeaderArgs {
    /// How to read the first row.
    pub(crate) fn kind(self) -> Header {
        match (self.header, self.no_header) {
            (true, _) => Header::Present,
            (_, true) => Header::Absent,
            _ => Header::Detect,
        }
    }
}

impl DataArgs {
    /// What to take from the file.
    pub(crate) fn selection(&self, quiet: bool) -> Selection {
        Selection {
            columns: match &self.columns {
                Some(names) => Columns::Named(names.clone()),
                None => Columns::AllNumbers,
            },
            weights: self.weights.clone(),
            id: self.id.clone(),
            header: self.header.kind(),
            quiet,
        }
    }
}

/// How to fit.
#[derive(Clone, Debug, Args)]
pub(crate) struct FitArgs {
    /// Estimator: maximum likelihood, maximum a posteriori, or variational Bayes
    #[arg(long, value_enum, default_value_t, help_heading = "Fitting")]
    pub(crate) estimator: EstimatorKind,

    /// Number of random starts, of which each ten are followed by moves of components from the best end; the best fit is kept.
    /// Or `hierarchical`: one start for each candidate, from one hierarchy of the rows; the fast way through many candidates [default:
    /// 20, 1 with --start]
    #[arg(long, value_name = "N", value_parser = values::starts, help_heading = "Fitting")]
    starts: Option<Starts>,

    /// Start from the parameters in this file, in the shape of "params" of --json
    #[arg(long, value_name = "FILE.json", help_heading = "Fitting")]
    pub(crate) start: Option<PathBuf>,

    /// Seed of everything random; the same seed gives the same result on any number of threads
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Fitting")]
    pub(crate) seed: u64,

    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Fitting")]
    pub(crate) threads: Option<usize>,

    /// Most iterations of one start
    #[arg(long, value_name = "N", default_value_t = 10_000, help_heading = "Fitting")]
    pub(crate) max_iter: usize,

    /// Stop when the objective is this close to its limit, in nats per row; 0 runs to --max-iter
    /// [default: 1e-10; of k-means where no row changes its center]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = values::tolerance, help_heading = "Fitting")]
    pub(crate) tol: Option<f64>,

    /// Acceleration of EM; with --tol 0 every iteration is a plain one
    #[arg(long, value_enum, default_value_t, help_heading = "Fitting")]
    pub(crate) accelerate: Acceleration,

    /// Stop after this long with the best model so far, for example 30s or 5min
    #[arg(long, value_name = "TIME", help_heading = "Fitting")]
    pub(crate) time_budget: Option<TimeBudget>,
}

impl FitArgs {
    /// Starts when neither `--starts` nor `--start` is given.
    const STARTS: usize = 20;

    /// The tolerance asked for, or the usual one.
    pub(crate) fn tolerance(&self) -> f64 {
        self.tol.unwrap_or(1e-10)
    }

    /// Number of starts: one when the start is given.
    ///
    /// # Errors
    ///
    /// One line when both `--start` and more than one of `--starts` are given.
    pub(crate) fn starts(&self) -> Result<usize, String> {
        match (&self.start, self.starts) {
            (Some(_), Some(Starts::Random(n))) if n > 1 => Err(format!(
                "--starts {n} does not go with --start, which is a single start; leave one out"
            )),
            (Some(_), Some(Starts::Hierarchical)) => {
                Err("--starts hierarchical does not go with --start; leave one out".into())
            }
            (Some(_), _) | (None, Some(Starts::Hierarchical)) => Ok(1),
            (None, Some(Starts::Random(n))) => Ok(n),
            (None, None) => Ok(Self::STARTS),
        }
    }

    /// Whether a hierarchy of the rows gives the starts.
    pub(crate) fn is_hierarchical(&self) -> bool {
        self.starts == Some(Starts::Hierarchical)
    }
}

/// What to write.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write the fitted model here
    #[arg(long, value_name = "OUT.json", help_heading = "Output")]
    pub(crate) model: Option<PathBuf>,

    /// Write a report with pictures here, one self-contained page
    #[arg(long, value_name = "OUT.html", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Terminal output.
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
}

/// How much of a long table of candidates is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableRows {
    /// The best ones, and the best for each number of components
    #[default]
    Short,
    /// Every candidate
    All,
}

/// Terminal output.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TerminalArgs {
    /// Print one JSON object on standard output instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// No progress bars and notes on standard error
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// `elbo predict`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  elbo predict model.json new.csv > labels.csv
  elbo predict model.json new.csv --id plant --out labels.csv
  elbo predict model.json new.csv --json

Components are numbered from 1, in the order of the model file."
)]
pub(crate) struct Predict {
    /// Model and data.
    #[command(flatten)]
    pub(crate) input: ModelAndData,

    /// Of a hidden Markov model with --json: also the law of the state this many steps after the end
    #[arg(long, value_name = "STEPS", help_heading = "Output")]
    pub(crate) ahead: Option<usize>,

    /// Write here instead of to standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}

/// `elbo score`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  elbo score model.json new.csv
  elbo score model.json new.csv --rows > densities.csv"
)]
pub(crate) struct Score {
    /// Model and data.
    #[command(flatten)]
    pub(crate) input: ModelAndData,

    /// Column that holds row weights
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub(crate) weights: Option<String>,

    /// Give the log density of every row
    #[arg(long, help_heading = "Output")]
    pub(crate) rows: bool,
}

/// A model and the data to apply it to.
#[derive(Debug, Args)]
pub(crate) struct ModelAndData {
    /// A model written by elbo fit --model
    #[arg(value_name = "MODEL.json")]
    pub(crate) model: PathBuf,

    /// Data with the model's columns: CSV, TSV, .npy, or - for standard input
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Column that names the rows; it is copied to the output
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub(crate) id: Option<String>,

    /// How to read the first row.
    #[command(flatten)]
    pub(crate) header: HeaderArgs,

    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    pub(crate) threads: Option<usize>,

    /// Terminal output.
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
}

impl ModelAndData {
    /// The columns of the model, by name, or by place where the file has no names.
    pub(crate) fn selection(&self, columns: &[String], weights: Option<&str>) -> Selection {
        Selection {
            columns: Columns::OfModel(columns.to_vec()),
            weights: weights.map(Into::into),
            id: self.id.clone(),
            header: self.header.kind(),
            quiet: self.terminal.quiet,
        }
    }
}

/// `elbo sample`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Example:
  elbo sample model.json -n 1000 --seed 7 > new.csv"
)]
pub(crate) struct Sample {
    /// A model written by elbo fit --model
    #[arg(value_name = "MODEL.json")]
    pub(crate) model: PathBuf,

    /// Number of rows to draw
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    pub(crate) n: usize,

    /// Seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Also give the component of every row
    #[arg(long, help_heading = "Output")]
    pub(crate) labels: bool,

    /// Terminal output.
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
}

/// `elbo inspect`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Inspect {
    /// A model written by elbo fit --model
    #[arg(value_name = "MODEL.json")]
    pub(crate) model: PathBuf,

    /// Terminal output.
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
}

/// How parameters are estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EstimatorKind {
    /// Maximum likelihood
    #[default]
    Ml,
    /// Maximum a posteriori, with a weak default prior
    Map,
    /// Variational Bayes: a posterior over the parameters
    Vb,
}

impl Acceleration {
    /// The library's name for it.
    pub(crate) fn setting(self) -> elbo::core::Acceleration {
        match self {
            Self::None => elbo::core::Acceleration::None,
            Self::Squarem => elbo::core::Acceleration::Squarem,
            Self::Anderson => elbo::core::Acceleration::Anderson,
            Self::Auto => elbo::core::Acceleration::default(),
        }
    }
}

impl EstimatorKind {
    /// The estimator's name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ml => "ml",
            Self::Map => "map",
            Self::Vb => "vb",
        }
    }

    /// The library's name for it.
    pub(crate) fn estimation(self) -> Estimation {
        match self {
            Self::Ml => Estimation::MaximumLikelihood,
            Self::Map => Estimation::MaximumAPosteriori,
            Self::Vb => Estimation::VariationalBayes,
        }
    }

    /// What it maximizes.
    pub(crate) fn objective(self) -> &'static str {
        match self {
            Self::Ml => "log-likelihood",
            Self::Map => "log-posterior",
            Self::Vb => "evidence lower bound",
        }
    }
}

/// How EM is accelerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acceleration {
    /// Plain EM
    None,
    /// SQUAREM: leaps along the path of EM, taken only if the objective does not fall
    Squarem,
    /// Anderson mixing over the last five steps
    Anderson,
    /// A quasi-Newton method over the last five steps
    #[default]
    Auto,
}

/// What chooses among candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Criterion {
    /// Bayesian information criterion
    #[default]
    Bic,
    /// Integrated completed likelihood: BIC that also wants well-separated groups
    Icl,
    /// Akaike's information criterion
    Aic,
    /// Akaike's information criterion corrected for few rows
    Aicc,
    /// Log-likelihood of rows held out in turn, times -2: K-fold cross-validation, see --folds
    Cv,
}

impl Criterion {
    /// The same for the library.
    pub(crate) fn criterion(self) -> elbo::core::Criterion {
        match self {
            Self::Bic => elbo::core::Criterion::Bic,
            Self::Icl => elbo::core::Criterion::Icl,
            Self::Aic => elbo::core::Criterion::Aic,
            Self::Aicc => elbo::core::Criterion::Aicc,
            Self::Cv => elbo::core::Criterion::HeldOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn mixture(line: &str) -> MixtureArgs {
        let words = "elbo fit mixture data.csv".split(' ').chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Fit(Fit { family: Family::Mixture(args) }) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn structures_default_to_one_for_one_k_and_all_for_a_range() {
        use CovarianceStructure::{EEE, EII, VII, VVV};
        assert_eq!(mixture("--components 3").structures(2), [VVV]);
        assert_eq!(mixture("--components 1..3").structures(2), CovarianceStructure::ALL);
        assert_eq!(mixture("--components 1..3").structures(1), [EII, VII]);
        let chosen = mixture("--components 1..3 --covariance tied,VVV").structures(2);
        assert_eq!(chosen, [EEE, VVV]);
    }

    #[test]
    fn a_given_start_is_the_only_one() {
        assert_eq!(mixture("-K 2").fit.starts(), Ok(20));
        let hierarchical = mixture("-K 2 --starts hierarchical").fit;
        assert_eq!((hierarchical.starts(), hierarchical.is_hierarchical()), (Ok(1), true));
        assert!(mixture("-K 2 --start s.json --starts hierarchical").fit.starts().is_err());
        assert_eq!(mixture("-K 2 --starts 3").fit.starts(), Ok(3));
        assert_eq!(mixture("-K 2 --start s.json").fit.starts(), Ok(1));
        assert_eq!(mixture("-K 2 --start s.json --starts 1").fit.starts(), Ok(1));
        assert!(mixture("-K 2 --start s.json --starts 2").fit.starts().is_err());
    }

    #[test]
    fn unknown_families_are_kept_for_a_clear_refusal() {
        let cli = Cli::try_parse_from(["elbo", "fit", "ppca", "x.csv", "--factors", "2"]).unwrap();
        let Command::Fit(Fit { family: Family::Unknown(words) }) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(words[0], "ppca");
    }
}
