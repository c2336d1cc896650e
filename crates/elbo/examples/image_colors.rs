//! The colors of a picture, reduced to a palette: k-means on pixels, beside a palette of evenly spread colors.
//!
//! ```sh
//! cargo run --release --example image_colors [OUT.ppm]
//! ```
//!
//! The picture (a sunset over hills) is made by code; with a file name the picture in eight colors is written there.

use std::error::Error;

use elbo::mixture::{Centers, KMeans, Rows};

const WIDTH: usize = 320;
const HEIGHT: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let pixels = picture();
    let rows = Rows::new(&pixels, WIDTH * HEIGHT, 3);
    println!("{:>7}  {:>14}  {:>14}", "colors", "k-means error", "even palette");
    for k in [2, 4, 8, 16, 32] {
        let fitted = KMeans::new(k).starts(4).seed(1).fit(rows.into())?;
        println!("{k:>7}  {:>14.2}  {:>14.2}", error(fitted.inertia), even(rows, k)?);
    }
    let palette = KMeans::new(8).starts(4).seed(1).fit(rows.into())?;
    println!("\nthe eight colors, by how much of the picture they cover:");
    let mut palette = palette;
    palette.sort_by_size();
    for (j, size) in palette.sizes.iter().enumerate() {
        let [red, green, blue] = bytes(palette.centers.center(j));
        let share = 100.0 * size / (WIDTH * HEIGHT) as f64;
        println!("#{red:02x}{green:02x}{blue:02x}  {share:5.1} %");
    }
    if let Some(path) = std::env::args().nth(1) {
        let labels = palette.centers.predict(rows)?;
        let mut file = format!("P6 {WIDTH} {HEIGHT} 255\n").into_bytes();
        file.extend(labels.iter().flat_map(|label| bytes(palette.centers.center(*label))));
        std::fs::write(path, file)?;
    }
    Ok(())
}

/// Root mean squared error of a color channel.
fn error(inertia: f64) -> f64 {
    (inertia / (3 * WIDTH * HEIGHT) as f64).sqrt()
}

/// The same with `k` grays from black to white.
fn even(rows: Rows<'_>, k: usize) -> Result<f64, Box<dyn Error>> {
    let level = |j: usize| 255.0 * j as f64 / (k - 1) as f64;
    let grays = Centers::new((0..k).flat_map(|j| [level(j); 3]).collect(), 3)?;
    Ok(error(grays.nearest(rows)?.iter().map(|(_, square)| square).sum()))
}

fn bytes(color: &[f64]) -> [u8; 3] {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "colors are between 0 and 255"
    )]
    [0, 1, 2].map(|c| color[c].round().clamp(0.0, 255.0) as u8)
}

/// Red, green and blue of every pixel, from 0 to 255, row by row.
fn picture() -> Vec<f64> {
    let mut pixels = Vec::with_capacity(3 * WIDTH * HEIGHT);
    let mut state = 1_u32;
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (u, v) = (x as f64 / WIDTH as f64, y as f64 / HEIGHT as f64);
            let (near, far) = (0.72 + 0.06 * (9.0 * u).sin(), 0.58 + 0.05 * (5.0 * u + 1.0).cos());
            let sun = (-60.0 * ((u - 0.68).powi(2) + (0.7 * (v - 0.42)).powi(2))).exp();
            let color = if v > near {
                [28.0 + 30.0 * v, 44.0 + 18.0 * v, 30.0]
            } else if v > far {
                [70.0, 62.0 + 40.0 * (v - far), 92.0]
            } else {
                [90.0 + 150.0 * v + 60.0 * sun, 80.0 + 90.0 * v + 90.0 * sun, 150.0 - 120.0 * v]
            };
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = 10.0 * (f64::from(state >> 16) / 65_536.0 - 0.5);
            pixels.extend(color.map(|c: f64| (c + grain).clamp(0.0, 255.0)));
        }
    }
    pixels
}
