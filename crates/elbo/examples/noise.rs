//! Two groups in a field of noise: with and without a component for what belongs to neither.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::mixture::{Either, GaussianMixture, Mixture, MultivariateGaussian, Rows};

fn show(name: &str, means: impl Iterator<Item = Vec<f64>>) {
    for mean in means {
        println!("{name}: a group at ({:.2}, {:.2})", mean[0], mean[1]);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Deterministic stand-ins for random numbers between −1 and 1.
    let u = |i: usize, by: usize| (i * by % 199) as f64 / 99.5 - 1.0;
    let mut values = Vec::new();
    for i in 1..=80 {
        let x = if i % 2 == 0 { 3.0 } else { -3.0 };
        values.extend([x + u(i, 31) + u(i, 57), u(i, 83) + u(i, 101)]);
    }
    for i in 1..=40 {
        values.extend([12.0 * u(i, 47), 12.0 * u(i, 113)]);
    }
    let rows = Rows::new(&values, 120, 2);

    let plain = GaussianMixture::new(2).fit(rows.into())?;
    let of_plain: &Mixture<MultivariateGaussian> = &plain.mixture;
    show("without noise", of_plain.components().iter().map(|c| c.mean().to_vec()));

    let noisy = GaussianMixture::new(2).with_noise().fit(rows.into())?;
    let groups = noisy.mixture.components().iter().filter_map(Either::left);
    show("with noise", groups.map(|c| c.mean().to_vec()));
    let share = noisy.mixture.noise_share();
    println!(
        "{:.0} % of the rows are noise; BIC {:.1}, without {:.1}",
        100.0 * share,
        noisy.bic(),
        plain.bic()
    );
    assert!((share - 1.0 / 3.0).abs() < 0.1 && noisy.bic() < plain.bic());
    Ok(())
}
