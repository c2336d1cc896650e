//! The figures of the book, drawn from fits made here.
//!
//! ```text
//! cargo run --release -p elbo-benches --bin figures
//! ```
//!
//! writes `docs/src/figures/*.svg` and prints the numbers that the chapters quote. The same bits each time.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

mod data;
mod plot;

use std::{error::Error, path::Path};

use elbo::{
    core::{Acceleration, Moves, PathPoint, Settings, ShortRuns, Tolerance, Variant},
    mixture::{MixtureModel, Start},
};

use data::{Table, best_of, e_steps, ends_at, meets, simulated, traced, univariate};
use plot::{Axis, COLORS, Mark, Plot, Scale, Series};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    save("acceleration", &acceleration()?)?;
    save("hard", &hard()?)?;
    save("stochastic", &stochastic()?)?;
    escapes()?;
    save("online", &online()?)?;
    save("annealed", &annealed()?)?;
    save("restarts", &restarts()?)
}

fn save(name: &str, plot: &Plot) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/figures");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(format!("{name}.svg")), plot.to_svg())?)
}

/// Plain EM until `per_observation` nats remain to be gained.
fn plain(per_observation: f64) -> Settings {
    Settings {
        acceleration: Acceleration::None,
        tolerance: Tolerance::Gap(per_observation),
        max_iterations: 50_000,
        moves: Moves::none(),
        ..Settings::default()
    }
}

/// Distance to the optimum against E-steps: Old Faithful, four components, one start.
fn acceleration() -> Outcome<Plot> {
    println!("## acceleration: E-steps to within 10⁻⁶ nats");
    let geyser = Table::read("faithful")?;
    let methods = [
        ("plain EM", Acceleration::None),
        ("SQUAREM", Acceleration::Squarem),
        ("Anderson", Acceleration::Anderson),
        ("quasi-Newton", Acceleration::QuasiNewton),
    ];
    let mut paths = Vec::new();
    for seed in 0.. {
        paths = geyser.paths(4, seed, &methods.map(|method| method.1))?;
        if end_together(&paths) {
            println!("from the start of seed {seed}, the first from which all end together");
            break;
        }
    }
    let top = paths.iter().flatten().map(|point| point.objective).fold(f64::MIN, f64::max);
    let mut series = Vec::new();
    for ((place, (name, _)), path) in methods.into_iter().enumerate().zip(&paths) {
        let points: Vec<(f64, f64)> =
            path.iter().map(|point| (point.e_steps as f64, top - point.objective)).collect();
        let end = points.last().map_or(f64::NAN, |point| point.1);
        let near = points.iter().find(|(_, gap)| *gap < 1e-6).map_or(f64::NAN, |point| point.0);
        println!("{name}: {near} E-steps, ends {end:.1e} nats below the best");
        let points = points.into_iter().take_while(|(_, gap)| *gap > 1e-8).collect();
        series.push(Series { name: name.into(), color: COLORS[place], mark: Mark::Line, points });
    }
    let last = series[0].points.last().map_or(1.0, |point| point.0);
    Ok(Plot {
        x: Axis::linear("E-steps, those of failed leaps included", 0.0, last),
        y: Axis::logarithmic("distance to the optimum, nats", 1e-8, 1e2),
        series,
    })
}

/// Do all paths end at one optimum?
fn end_together(paths: &[Vec<PathPoint>]) -> bool {
    let ends = || paths.iter().filter_map(|path| path.last()).map(|point| point.objective);
    ends().fold(f64::MIN, f64::max) - ends().fold(f64::MAX, f64::min) < 1e-6
}

/// The errors of soft and hard EM on two groups that overlap.
fn hard() -> Outcome<Plot> {
    println!("## hard: estimated distance and standard deviations");
    let mut series = Vec::new();
    for (name, variant, color) in
        [("soft", Variant::Soft, COLORS[2]), ("hard", Variant::Hard, COLORS[1])]
    {
        let (mut distances, mut deviations) = (Vec::new(), Vec::new());
        for truth in (3..=12).map(|i| f64::from(i) / 2.0) {
            let values = simulated(&[(0.0, 20_000), (truth, 20_000)]);
            let start = Start::At(univariate(&[0.5, 0.5], &[0.0, truth])?);
            let settings = Settings { variant, ..Settings::default() };
            let fitted = MixtureModel::ml().fit(values[..].into(), &start, &settings, &())?;
            let [low, high] = fitted.mixture.components() else { unreachable!("two components") };
            let distance = high.mean() - low.mean();
            println!(
                "{name}, {truth} apart: {distance:.3}, sd {:.3} and {:.3}, weight {:.3}",
                low.std_dev(),
                high.std_dev(),
                fitted.mixture.weights()[0]
            );
            if fitted.spurious.is_empty() {
                distances.push((truth, distance - truth));
                deviations.push((truth, f64::midpoint(low.std_dev(), high.std_dev()) - 1.0));
            }
        }
        let errors = [("distance", Mark::LineAndDots, distances), ("sd", Mark::Dashed, deviations)];
        series.extend(errors.map(|(what, mark, points)| Series {
            name: format!("{what}, {name} EM"),
            color,
            mark,
            points,
        }));
    }
    Ok(Plot {
        x: Axis::linear("true distance of the means, standard deviations", 1.5, 6.0),
        y: Axis::linear("estimate less truth", -0.3, 0.4),
        series,
    })
}

/// The path of a mean under soft, stochastic and stochastic approximation EM.
fn stochastic() -> Outcome<Plot> {
    println!("## stochastic: a mean");
    let values = simulated(&[(0.0, 500), (3.0, 500)]);
    let sampled = |decay: f64| Variant::Sampled { draws: 1, burn_in: 50, averaged: 150, decay };
    let runs = [
        ("stochastic EM", sampled(0.0), COLORS[1]),
        ("SAEM, decay 0.8", sampled(0.8), COLORS[3]),
        ("soft EM", Variant::Soft, COLORS[2]),
    ];
    let (mut series, mut ends) = (Vec::new(), Vec::new());
    for (name, variant, color) in runs {
        let settings = Settings { variant, max_iterations: 200, ..plain(0.0) };
        let start = Start::At(univariate(&[0.5, 0.5], &[-1.0, 1.0])?);
        let (path, fitted) =
            traced(&values, &start, &settings, |mixture| mixture.components()[1].mean())?;
        let end = fitted.mixture.components()[1].mean();
        println!("{name}: mean {end:.4}, log-likelihood {:.4}", fitted.log_likelihood);
        ends.push(end);
        let late: Vec<f64> = path[50..].iter().map(|point| point.values[0]).collect();
        let center = late.iter().sum::<f64>() / late.len() as f64;
        let spread = late.iter().map(|x| (x - center).powi(2)).sum::<f64>() / late.len() as f64;
        println!("  after the burn-in: spread {:.4}", spread.sqrt());
        let points = path.iter().map(|point| (point.iteration as f64, point.values[0])).collect();
        series.push(Series { name: name.into(), color, mark: Mark::Line, points });
    }
    series.insert(
        1,
        Series {
            name: "result of stochastic EM".into(),
            color: COLORS[1],
            mark: Mark::Dashed,
            points: vec![(50.0, ends[0]), (200.0, ends[0])],
        },
    );
    Ok(Plot {
        x: Axis::linear("iteration; the burn-in is 50", 0.0, 200.0),
        y: Axis::linear("mean of the upper component", 2.1, 3.1),
        series,
    })
}

/// How many of 100 starts meet the best optimum by soft EM, and by soft EM after stochastic EM.
fn escapes() -> Outcome<()> {
    let variant = Variant::Sampled { draws: 1, burn_in: 100, averaged: 20, decay: 0.0 };
    for (name, k) in [("faithful", 3), ("faithful", 4), ("galaxies", 3), ("galaxies", 4)] {
        let table = Table::read(name)?;
        let (mut direct, mut after) = (Vec::new(), Vec::new());
        for seed in 0..100 {
            let settings = Settings { seed, ..Settings::default() };
            direct.push(table.fit(k, 1, &settings)?);
            let wandered = table.fit(k, 1, &Settings { variant, ..settings.clone() })?;
            let start = Start::At(wandered.mixture);
            after.push(MixtureModel::ml().fit(table.rows().into(), &start, &settings, &())?);
        }
        let best = best_of(&direct).max(best_of(&after));
        let [direct, after] =
            [direct, after].map(|all| all.iter().map(|fitted| meets(fitted, best)).sum::<usize>());
        println!("{name} {k}: {direct} of 100 starts by soft EM, {after} after stochastic EM");
    }
    Ok(())
}

/// Distance to the optimum against E-steps over all data.
fn online() -> Outcome<Plot> {
    println!("## online: nats to the optimum after passes");
    let values = simulated(&[(0.0, 10_000), (3.0, 6_000), (6.0, 4_000)]);
    let start = Start::At(univariate(&[0.3, 0.3, 0.4], &[0.0, 2.0, 4.0])?);
    let top = MixtureModel::ml()
        .fit(
            values[..].into(),
            &start,
            &Settings { tolerance: Tolerance::Gap(1e-15), ..Settings::default() },
            &(),
        )?
        .log_likelihood;
    let online = |decay: f64| Variant::Online { batch: 200, epochs: 100, decay, delay: 10.0 };
    let runs = [
        ("batch EM", Variant::Soft, plain(0.0)),
        ("batch EM, accelerated", Variant::Soft, Settings::default()),
        ("incremental EM", Variant::Incremental, plain(0.0)),
        ("online EM, decay 0.6", online(0.6), plain(0.0)),
        ("online EM, decay 0.9", online(0.9), plain(0.0)),
    ];
    let mut series = Vec::new();
    for ((name, variant, settings), color) in runs.into_iter().zip(COLORS) {
        let settings = Settings { variant, max_iterations: 100, ..settings };
        let (path, fitted) = traced(&values, &start, &settings, |mixture| {
            mixture.log_likelihood(&values[..]).unwrap_or(f64::NAN)
        })?;
        let gap = |point: &PathPoint| (point.e_steps as f64, top - point.values[0]);
        let points: Vec<(f64, f64)> = path.iter().map(gap).collect();
        let at = |pass: f64| points.iter().rfind(|point| point.0 <= pass).map_or(f64::NAN, |p| p.1);
        println!(
            "{name}: {:.1} after 2, {:.1} after 10, {:.3} after 100; result {:.3}; within 1 from {:?}",
            at(2.0),
            at(10.0),
            at(100.0),
            top - fitted.log_likelihood,
            points.iter().find(|point| point.1 < 1.0).map(|point| point.0)
        );
        let points = points.into_iter().take_while(|point| point.1 > 1e-3).collect();
        series.push(Series { name: name.into(), color, mark: Mark::Line, points });
    }
    Ok(Plot {
        x: Axis::logarithmic("E-steps over all data", 2.0, 100.0),
        y: Axis::logarithmic("distance to the optimum, nats", 1e-3, 1e3),
        series,
    })
}

/// How many of 100 starts meet the best optimum, with and without annealing.
fn annealed() -> Outcome<Plot> {
    println!("## annealed: starts of 100 that meet the best optimum");
    let annealed = |start: f64| Variant::Annealed { start, rate: 1.02 };
    let variants = [
        ("soft EM", Variant::Soft),
        ("annealed from 0.7", annealed(0.7)),
        ("from 0.4", annealed(0.4)),
        ("from 0.1", annealed(0.1)),
    ];
    let mut series: Vec<Series> = variants
        .iter()
        .zip(COLORS)
        .map(|((name, _), color)| Series::new(name, color, Mark::Bars(0.19)))
        .collect();
    let cases = [
        ("faithful", Table::read("faithful")?, 2..=4),
        ("galaxies", Table::read("galaxies")?, 3..=4),
        ("grid", Table::grid(), 9..=9),
    ];
    let mut ticks = Vec::new();
    for (name, table, components) in cases {
        for k in components {
            let place = ticks.len() as f64;
            ticks.push((place, format!("{name} {k}")));
            println!("{name} {k}");
            let reached = compare(&table, k, &variants)?;
            for (i, (series, reached)) in series.iter_mut().zip(reached).enumerate() {
                series.points.push((place + 0.21 * (i as f64 - 1.5), reached as f64));
            }
        }
    }
    let to = ticks.len() as f64 - 0.5;
    let label = "data and number of components";
    Ok(Plot {
        x: Axis { label, from: -0.5, to, scale: Scale::Named(ticks) },
        y: Axis::linear("starts of 100 that meet the best optimum", 0.0, 100.0),
        series,
    })
}

/// How many of 100 starts meet the best optimum, variant by variant.
fn compare(table: &Table, k: usize, variants: &[(&str, Variant)]) -> Outcome<Vec<usize>> {
    let mut all = Vec::new();
    for (_, variant) in variants {
        all.push(table.fit(k, 100, &Settings { variant: *variant, ..plain(1e-10) })?);
    }
    let best = best_of(&all);
    let one = table.fit(1, 1, &plain(1e-10))?.report.objective;
    let reached = all.iter().map(|fitted| meets(fitted, best)).collect::<Vec<_>>();
    for ((fitted, (name, _)), reached) in all.iter().zip(variants).zip(&reached) {
        let (e_steps, merged) = (e_steps(fitted) / 100, ends_at(fitted, one));
        println!("  {name}: {reached}, {e_steps} E-steps a run, {merged} merged into one");
    }
    Ok(reached)
}

/// E-steps against the probability of meeting the best optimum, with and without short runs.
fn restarts() -> Outcome<Plot> {
    println!("## restarts: E-steps and share of 100 searches that meet the best optimum");
    let geyser = Table::read("faithful")?;
    let (plain, fast) = (Acceleration::None, Acceleration::default());
    let plans: [(&str, Acceleration, Option<usize>, &[usize]); 5] = [
        ("long runs, plain", plain, None, &[5, 10, 20]),
        ("short runs first, plain", plain, Some(10), &[20, 40, 100, 200]),
        ("long runs", fast, None, &[5, 10, 20, 40, 80]),
        ("short runs first", fast, Some(10), &[20, 40, 100, 200]),
        ("starts compared first", fast, Some(0), &[100, 200, 400, 800]),
    ];
    let (mut searches, mut best) = (Vec::new(), f64::MIN);
    for (line, (_, acceleration, iterations, sizes)) in plans.into_iter().enumerate() {
        for starts in sizes {
            let short_runs =
                iterations.map(|iterations| ShortRuns { iterations, keep: starts / 20 });
            let moves = Moves::none();
            let settings = Settings { acceleration, short_runs, moves, ..Settings::default() };
            let (cost, all) = geyser.searches(*starts, &settings)?;
            best = best_of(&all).max(best);
            searches.push((line, *starts, cost, all));
        }
    }
    let mut series: Vec<Series> = plans
        .into_iter()
        .zip(COLORS)
        .map(|((name, ..), color)| Series::new(name, color, Mark::LineAndDots))
        .collect();
    for (line, starts, cost, all) in &searches {
        let found = all.iter().filter(|fitted| meets(fitted, best) > 0).count();
        println!("{}, {starts} starts: {cost:.0} E-steps, {found} %", series[*line].name);
        series[*line].points.push((*cost, found as f64));
    }
    Ok(Plot {
        x: Axis::logarithmic("E-steps of a search, on average", 200.0, 20_000.0),
        y: Axis::linear("searches of 100 that meet the best optimum", 0.0, 100.0),
        series,
    })
}
