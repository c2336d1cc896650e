//! Times k-means on files made for a comparison: `kmeans-iteration DIR CASE f64|f32 THREADS LOW HIGH all|auto [REPETITIONS]`.
//!
//! Reads `CASE.X.f64`, `CASE.means.f64` and `CASE.json` (N, D, K) as the peers' scripts do, and prints JSON: CPU seconds per
//! iteration between LOW and HIGH iterations, and inertia after HIGH. With HIGH = 0 the run goes to its end.

use std::{error::Error, fs, path::Path, time::Instant};

use cpu_time::ProcessTime;
use elbo::mixture::{
    Acceleration, Centers, Comparisons, FittedKMeans, KMeans, Rows, Settings, Tolerance,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, case, storage, threads, low, high, comparisons, rest @ ..] = &args[..] else {
        return Err("DIR CASE f64|f32 THREADS LOW HIGH all|auto [REPETITIONS]".into());
    };
    let (low, high): (usize, usize) = (low.parse()?, high.parse()?);
    let repetitions = rest.first().map_or(Ok(3), |text| text.parse())?;
    let comparisons = if comparisons == "all" { Comparisons::All } else { Comparisons::Auto };
    let path = |ending: &str| Path::new(dir).join(format!("{case}.{ending}"));
    let [n, d] = shape(&fs::read_to_string(path("json"))?)?;
    let (data, means) = (numbers(&path("X.f64"))?, numbers(&path("means.f64"))?);
    let builder = KMeans::new(1).start_at(Centers::new(means, d)?).comparisons(comparisons);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let single: Vec<f32> =
        if storage == "f32" { data.iter().map(|x| *x as f32).collect() } else { Vec::new() };
    let run = |iterations: usize| -> Result<FittedKMeans, Box<dyn Error>> {
        let exactly = Settings {
            max_iterations: iterations,
            tolerance: Tolerance::Gap(0.0),
            acceleration: Acceleration::None,
            ..Settings::default()
        };
        let builder =
            if iterations > 0 { builder.clone().settings(exactly) } else { builder.clone() };
        Ok(if storage == "f32" {
            pool.install(|| builder.fit(Rows::new(&single, n, d).into()))?
        } else {
            pool.install(|| builder.fit(Rows::new(&data, n, d).into()))?
        })
    };
    let mut best = [[f64::INFINITY; 2]; 2];
    let mut fitted = run(low)?;
    for _ in 0..repetitions {
        for (iterations, best) in [low, high].into_iter().zip(&mut best) {
            let (cpu, wall) = (ProcessTime::now(), Instant::now());
            fitted = run(iterations)?;
            best[0] = best[0].min(cpu.elapsed().as_secs_f64());
            best[1] = best[1].min(wall.elapsed().as_secs_f64());
        }
    }
    let [[low_cpu, low_wall], [high_cpu, high_wall]] = best;
    let between = (fitted.report.iterations - low) as f64;
    println!(
        "{{\"cpu\": {}, \"wall\": {}, \"total\": {high_cpu}, \"total_wall\": {high_wall}, \"iterations\": {}, \"inertia\": {}, \"stopped\": \"{}\"}}",
        (high_cpu - low_cpu) / between,
        (high_wall - low_wall) / between,
        fitted.report.iterations,
        fitted.inertia,
        fitted.report.stopped.as_str()
    );
    Ok(())
}

fn numbers(path: &Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap_or_default());
    Ok(bytes.chunks_exact(8).map(number).collect())
}

/// N and D of a flat JSON object.
fn shape(text: &str) -> Result<[usize; 2], Box<dyn Error>> {
    let field = |name: &str| -> Result<usize, Box<dyn Error>> {
        let (_, rest) = text.split_once(&format!("\"{name}\":")).ok_or("a field is missing")?;
        let digits: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    };
    Ok([field("N")?, field("D")?])
}
