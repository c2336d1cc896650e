//! Data and timing that the benches share.

use std::time::Instant;

use cpu_time::ProcessTime;

/// Seconds that a piece of work took.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    /// Of all threads together.
    pub cpu: f64,
    /// On the wall.
    pub wall: f64,
}

/// Times `work` once.
pub fn time<T>(work: impl FnOnce() -> T) -> (Seconds, T) {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let out = work();
    (Seconds { cpu: cpu.elapsed().as_secs_f64(), wall: wall.elapsed().as_secs_f64() }, out)
}

/// Rows around `k` separated centers with correlated columns, `n × d` row by row, and the start that every program is
/// given: `k` of the rows.
pub fn gaussian_rows(n: usize, d: usize, k: usize) -> (Vec<f64>, Vec<f64>) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let mut normal =
        move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    let centers: Vec<f64> = (0..k * d).map(|_| 2.0 * normal()).collect();
    let mut rows = Vec::with_capacity(n * d);
    for i in 0..n {
        let shared = 0.5 * normal();
        rows.extend((0..d).map(|j| centers[(i % k) * d + j] + shared + normal()));
    }
    let start = (0..k).flat_map(|j| rows[j * d..][..d].to_vec()).collect();
    (rows, start)
}
