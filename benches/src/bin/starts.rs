//! How often a search by default settings finds the best optimum known, and what it costs.
//!
//! ```text
//! starts [seeds=N] [starts=N] [structures=EII,VVV] [components=2,3] [learn=N] FILE.csv …
//! starts sweep FILE.csv [MCLUST.csv]
//! ```
//!
//! For every file, structure and number of components this fits a Gaussian mixture from so many seeds and prints a line: the share
//! of searches that end at the best sound optimum known to 10⁻⁶ nats per observation, and E-steps and CPU milliseconds of one
//! search on average. The best optima known are kept in `optima.csv` beside this crate, and raised there whenever a search
//! finds a better one; `learn=N` first makes one search of `N` starts for each.
//!
//! `sweep` fits all 14 structures with 1 to 9 components, each from one partition of one hierarchy and each from 20 starts, and says
//! what it took and which candidates differ; with a table of mclust's BIC, how many are as good as there.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::{collections::BTreeMap, error::Error, fmt::Write, path::Path, sync::Arc};

use elbo::mixture::{
    CovarianceStructure, Criterion, DataError, Fitted, GaussianMixture, GaussianSelection,
    Hierarchy, MultivariateGaussian, Rows,
};
use elbo_benches::time;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Key = (String, String, usize);

/// Two ends are one optimum if they agree to this many nats per observation.
const SAME: f64 = 1e-6;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, file, rest @ ..] = &arguments[..]
        && first == "sweep"
    {
        return sweep(file, rest.first());
    }
    let mut plan = Plan::default();
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("seeds", n)) => plan.seeds = n.parse()?,
            Some(("starts", n)) => plan.starts = Some(n.parse()?),
            Some(("learn", n)) => plan.learn = Some(n.parse()?),
            Some(("structures", names)) => {
                plan.structures = names.split(',').map(structure).collect::<Outcome<_>>()?;
            }
            Some(("components", numbers)) => {
                plan.components = numbers.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            _ => plan.files.push(argument),
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("optima.csv");
    let mut known = read_known(&path)?;
    let table = plan.run(&mut known)?;
    write_known(&path, &known)?;
    print!("{table}");
    Ok(())
}

/// BIC of each number of components with each structure.
type Bics = BTreeMap<(usize, String), f64>;

/// All structures and numbers of components, from a hierarchy and from many starts.
fn sweep(file: &str, reference: Option<&String>) -> Outcome<()> {
    let (values, d) = read(file)?;
    let rows = Rows::new(&values, values.len() / d, d);
    let hierarchy = timed("hierarchy", 5, || {
        let hierarchy = Arc::new(Hierarchy::of(rows.into())?);
        Ok(candidates(&GaussianMixture::new(1).hierarchical(hierarchy), rows))
    })?;
    let searches = timed("20 starts", 1, || Ok(candidates(&GaussianMixture::new(1), rows)))?;
    tell("hierarchy worse than starts", &hierarchy, &searches);
    tell("starts worse than hierarchy", &searches, &hierarchy);
    if let Some(reference) = reference {
        let mclust = read_mclust(reference)?;
        tell("hierarchy worse than mclust", &hierarchy, &mclust);
        tell("starts worse than mclust", &searches, &mclust);
    }
    Ok(())
}

fn candidates(builder: &GaussianMixture, rows: Rows<'_>) -> GaussianSelection {
    let components: Vec<usize> = (1..=9).collect();
    builder.select(rows.into(), &components, &CovarianceStructure::ALL, Criterion::Bic)
}

/// Prints the least time of so many sweeps; BIC of all sound fits.
fn timed(
    name: &str,
    times: usize,
    sweep: impl Fn() -> Result<GaussianSelection, DataError>,
) -> Outcome<Bics> {
    let (mut cpu, mut wall, mut e_steps, mut bics) = (f64::MAX, f64::MAX, 0, Bics::new());
    for _ in 0..times {
        let (seconds, selection) = time(&sweep);
        (cpu, wall) = (cpu.min(seconds.cpu), wall.min(seconds.wall));
        let selection = selection?;
        let fits = || {
            let all = selection.candidates.iter();
            all.filter_map(|one| Some((one.label, one.fit.as_ref().ok()?)))
        };
        e_steps = fits().map(|(_, fit)| fit.runs.e_steps()).sum();
        let sound = fits().filter(|(_, fit)| fit.spurious.is_empty());
        bics = sound.map(|((k, one), fit)| ((k, one.to_string()), fit.bic())).collect();
    }
    let (cpu, wall) = (1e3 * cpu, 1e3 * wall);
    println!("{name}: {cpu:.1} ms CPU, {wall:.1} ms on the wall, {e_steps} E-steps");
    Ok(bics)
}

/// A table of mclust's, which tells the negative.
fn read_mclust(path: &str) -> Outcome<Bics> {
    let text = std::fs::read_to_string(path)?.replace('"', "");
    let names: Vec<&str> = text.lines().next().unwrap_or("").split(',').collect();
    let mut bics = Bics::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        for (name, cell) in names.iter().zip(&cells).skip(1) {
            if let Ok(bic) = cell.parse::<f64>() {
                bics.insert((cells[0].parse()?, (*name).to_owned()), -bic);
            }
        }
    }
    Ok(bics)
}

/// Which candidates of both have a higher BIC here, by more than programs leave open that stop early.
fn tell(what: &str, here: &Bics, there: &Bics) {
    let both: Vec<_> =
        here.iter().filter_map(|(key, bic)| Some((key, bic - there.get(key)?))).collect();
    let worse: Vec<String> = both
        .iter()
        .filter(|(_, more)| *more > 1e-2)
        .map(|((k, structure), more)| format!("{structure}{k} by {more:.2}"))
        .collect();
    println!("{what}: {} of {} ({})", worse.len(), both.len(), worse.join(", "));
}

/// What to search for.
struct Plan {
    seeds: u64,
    starts: Option<usize>,
    learn: Option<usize>,
    structures: Vec<CovarianceStructure>,
    components: Vec<usize>,
    files: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        use CovarianceStructure::{EEE, EII, VEV, VVI, VVV};
        Self {
            seeds: 100,
            starts: None,
            learn: None,
            structures: vec![EII, EEE, VVI, VEV, VVV],
            components: vec![2, 3, 4, 5, 6],
            files: Vec::new(),
        }
    }
}

impl Plan {
    fn run(&self, known: &mut BTreeMap<Key, f64>) -> Outcome<String> {
        let mut out = String::new();
        let (mut cells, mut good, mut cost, mut found) = (0, 0, 0.0, 0.0);
        for file in &self.files {
            let (values, d) = read(file)?;
            let rows = Rows::new(&values, values.len() / d, d);
            let name = Path::new(file).file_stem().map_or("", |stem| stem.to_str().unwrap_or(""));
            for structure in self.structures.iter().filter(|one| d > 1 || is_univariate(**one)) {
                for k in &self.components {
                    let key = (name.to_owned(), structure.to_string(), *k);
                    let (share, e_steps, milliseconds) =
                        self.cell(rows, *structure, *k, known.entry(key).or_insert(f64::MIN))?;
                    writeln!(
                        out,
                        "{name:10} {structure} {k}  {:5.1} %  {e_steps:7.0} E-steps  {milliseconds:7.2} ms",
                        100.0 * share
                    )?;
                    cells += 1;
                    good += usize::from(share >= 0.95);
                    cost += e_steps;
                    found += share;
                }
            }
        }
        let each = f64::from(cells);
        writeln!(
            out,
            "{good} of {cells} at 95 % or more; on average {:.1} % for {:.0} E-steps",
            100.0 * found / each,
            cost / each
        )?;
        Ok(out)
    }

    /// Share of searches that find the best, E-steps and milliseconds of a search.
    fn cell(
        &self,
        rows: Rows<'_>,
        structure: CovarianceStructure,
        k: usize,
        known: &mut f64,
    ) -> Outcome<(f64, f64, f64)> {
        let builder = GaussianMixture::new(k).structure(structure);
        if let Some(starts) = self.learn {
            let fitted = builder.clone().starts(starts).seed(u64::MAX).fit(rows.into())?;
            *known = known.max(best(&fitted));
        }
        let builder = self.starts.map_or(builder.clone(), |starts| builder.clone().starts(starts));
        let (mut bests, mut e_steps) = (Vec::new(), 0);
        let (seconds, result) = time(|| -> Outcome<()> {
            for seed in 0..self.seeds {
                let fitted = builder.clone().seed(seed).fit(rows.into())?;
                bests.push(best(&fitted));
                e_steps += fitted.runs.e_steps();
            }
            Ok(())
        });
        result?;
        *known = bests.iter().copied().fold(*known, f64::max);
        let within = SAME * rows_of(rows);
        let hits = bests.iter().filter(|best| **best >= *known - within).count();
        let n = self.seeds as f64;
        Ok((hits as f64 / n, e_steps as f64 / n, 1e3 * seconds.cpu / n))
    }
}

fn rows_of(rows: Rows<'_>) -> f64 {
    elbo::core::Batch::observations(&rows)
}

/// The objective of the best end, if it is sound.
fn best(fitted: &Fitted<MultivariateGaussian>) -> f64 {
    if fitted.report.spurious || fitted.report.stopped.is_failure() {
        return f64::MIN;
    }
    fitted.report.objective
}

/// In one dimension only these differ.
fn is_univariate(structure: CovarianceStructure) -> bool {
    matches!(structure, CovarianceStructure::EEE | CovarianceStructure::VVV)
}

fn structure(name: &str) -> Outcome<CovarianceStructure> {
    Ok(name.parse::<CovarianceStructure>()?)
}

/// The columns of numbers, row by row, and how many there are.
fn read(file: &str) -> Outcome<(Vec<f64>, usize)> {
    let text = std::fs::read_to_string(file)?;
    let mut d = 0;
    let mut values = Vec::new();
    for line in text.lines().skip(1) {
        let numbers: Vec<f64> = line.split(',').filter_map(|cell| cell.parse().ok()).collect();
        d = numbers.len();
        values.extend(numbers);
    }
    Ok((values, d))
}

fn read_known(path: &Path) -> Outcome<BTreeMap<Key, f64>> {
    let mut known = BTreeMap::new();
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(known) };
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [data, structure, k, objective] = cells[..] else { return Err(line.into()) };
        known.insert((data.to_owned(), structure.to_owned(), k.parse()?), objective.parse()?);
    }
    Ok(known)
}

fn write_known(path: &Path, known: &BTreeMap<Key, f64>) -> Outcome<()> {
    let mut text = "data,structure,components,log_likelihood\n".to_owned();
    for ((data, structure, k), objective) in known {
        writeln!(text, "{data},{structure},{k},{objective:.6}")?;
    }
    Ok(std::fs::write(path, text)?)
}
