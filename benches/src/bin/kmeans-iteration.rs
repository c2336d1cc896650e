//! Seconds per iteration of k-means on given data from given centers, for comparisons with other programs.
//!
//! ```text
//! kmeans-iteration FOLDER CASE f64|f32 all|auto N D THREADS LOW HIGH
//! ```
//!
//! reads `CASE.X.f64` (`N × D`) and `CASE.means.f64` (`K × D`), little-endian doubles, row by row. Prints one JSON line: the
//! slope between LOW and HIGH iterations, so that reading and setting up cancel (minimum of three), and the inertia after
//! HIGH iterations. With HIGH = 0 one run goes to its end, and its seconds are those of the whole run; labels are then
//! written to `CASE.labels.u32`.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::error::Error;

use elbo::{
    linalg::Number,
    mixture::{Centers, Comparisons, KMeans, Rows, Settings, Tolerance},
};
use elbo_benches::time;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, case, storage, comparisons, numbers @ ..] = &arguments[..] else {
        return Err("usage: FOLDER CASE f64|f32 all|auto N D THREADS LOW HIGH".into());
    };
    let numbers = numbers.iter().map(|x| x.parse()).collect::<Result<Vec<usize>, _>>()?;
    let &[n, d, threads, low, high] = &numbers[..] else {
        return Err("five numbers are needed: N D THREADS LOW HIGH".into());
    };
    let doubles = |what: &str| -> Result<Vec<f64>, Box<dyn Error>> {
        let bytes = std::fs::read(format!("{folder}/{case}.{what}.f64"))?;
        let mut values = Vec::with_capacity(bytes.len() / 8);
        for chunk in bytes.chunks_exact(8) {
            values.push(f64::from_le_bytes(chunk.try_into()?));
        }
        Ok(values)
    };
    let (data, means) = (doubles("X")?, doubles("means")?);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let comparisons = if comparisons == "all" { Comparisons::All } else { Comparisons::Auto };
    let builder = KMeans::new(1).start_at(Centers::new(means, d)?).comparisons(comparisons);
    let place = format!("{folder}/{case}.labels.u32");
    let line = if storage == "f32" {
        #[allow(clippy::cast_possible_truncation, reason = "single precision is the point")]
        let single: Vec<f32> = data.iter().map(|x| *x as f32).collect();
        drop(data);
        measure(&builder, Rows::new(&single, n, d), low, high, &place)?
    } else {
        measure(&builder, Rows::new(&data, n, d), low, high, &place)?
    };
    println!(
        r#"{{"program": "elbo", "case": "{case}", "storage": "{storage}", "threads": {threads}, {line}}}"#
    );
    Ok(())
}

fn measure<T: Number>(
    builder: &KMeans,
    rows: Rows<'_, T>,
    low: usize,
    high: usize,
    place: &str,
) -> Result<String, Box<dyn Error>> {
    if high == 0 {
        let (seconds, fitted) = time(|| builder.fit(rows.into()));
        let fitted = fitted?;
        let labels = fitted.centers.predict(rows)?;
        let bytes: Vec<u8> =
            labels.iter().flat_map(|label| (*label as u32).to_le_bytes()).collect();
        std::fs::write(place, bytes)?;
        return Ok(format!(
            r#""cpu": {:.6}, "wall": {:.6}, "iterations": {}, "inertia": {:.17e}"#,
            seconds.cpu, seconds.wall, fitted.report.iterations, fitted.inertia
        ));
    }
    let (mut cpu, mut wall, mut inertia) = ([f64::INFINITY; 2], [f64::INFINITY; 2], f64::NAN);
    for _ in 0..3 {
        for (which, iterations) in [low, high].into_iter().enumerate() {
            let settings = Settings {
                tolerance: Tolerance::Gap(0.0),
                max_iterations: iterations,
                ..Settings::default()
            };
            let builder = builder.clone().settings(settings);
            let (seconds, fitted) = time(|| builder.fit(rows.into()));
            cpu[which] = cpu[which].min(seconds.cpu);
            wall[which] = wall[which].min(seconds.wall);
            inertia = fitted?.inertia;
        }
    }
    let per_iteration = |seconds: [f64; 2]| (seconds[1] - seconds[0]) / (high - low) as f64;
    let (cpu, wall) = (per_iteration(cpu), per_iteration(wall));
    Ok(format!(
        r#""cpu": {cpu:.6}, "wall": {wall:.6}, "iterations": {high}, "inertia": {inertia:.17e}"#
    ))
}
