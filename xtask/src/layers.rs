//! The dependency direction of ARCHITECTURE.md, as data.

use std::{collections::BTreeSet, path::Path, process::Command};

use crate::{Outcome, names_in};

/// What a published crate may depend on.
struct Layer {
    name: &'static str,
    /// Crates of this workspace that it may reach, directly or not.
    ours: &'static [&'static str],
    /// Foreign crates that its manifest may name; `None` at the edge, where files and terminals are.
    foreign: Option<&'static [&'static str]>,
    /// Foreign crates that it must not reach with default features off, directly or not.
    light: &'static [&'static str],
}

/// From the bottom to the top. A new dependency is a line here, and a reader who agrees with it.
const LAYERS: &[Layer] = &[
    Layer {
        name: "elbo-core",
        ours: &[],
        foreign: Some(&["postcard", "rand", "rayon", "serde", "thiserror", "tracing"]),
        light: &["faer", "libm", "postcard", "rayon", "serde", "statrs"],
    },
    Layer {
        name: "elbo-linalg",
        ours: &[],
        foreign: Some(&["faer", "thiserror"]),
        light: &["rand", "rayon", "serde", "statrs"],
    },
    Layer {
        name: "elbo-laws",
        ours: &["elbo-core"],
        foreign: Some(&["proptest"]),
        light: &["faer", "statrs"],
    },
    Layer {
        name: "elbo-dist",
        ours: &["elbo-core", "elbo-linalg"],
        foreign: Some(&["libm", "rand", "rand_distr", "serde", "thiserror"]),
        light: FEATURES,
    },
    Layer { name: "elbo-mixture", ours: BELOW_FAMILIES, foreign: FAMILY, light: FEATURES },
    Layer { name: "elbo-factor", ours: BELOW_FAMILIES, foreign: FAMILY, light: FEATURES },
    Layer { name: "elbo-hmm", ours: BELOW_FAMILIES, foreign: FAMILY, light: FEATURES },
    Layer {
        name: "elbo-topics",
        ours: BELOW_FAMILIES,
        foreign: Some(&["rand", "serde", "stop-words", "thiserror", "unicode-segmentation"]),
        light: FEATURES,
    },
    Layer {
        name: "elbo-io",
        ours: &["elbo-core"],
        foreign: Some(&["bytes", "memmap2", "parquet", "thiserror"]),
        light: &["faer", "libm", "parquet", "rayon", "serde", "statrs"],
    },
    Layer {
        name: "elbo",
        ours: &[
            "elbo-core",
            "elbo-linalg",
            "elbo-dist",
            "elbo-mixture",
            "elbo-factor",
            "elbo-hmm",
            "elbo-topics",
            "elbo-io",
        ],
        foreign: Some(&[]),
        light: FEATURES,
    },
    Layer {
        name: "elbo-cli",
        ours: &[
            "elbo",
            "elbo-core",
            "elbo-linalg",
            "elbo-dist",
            "elbo-mixture",
            "elbo-factor",
            "elbo-hmm",
            "elbo-topics",
            "elbo-io",
        ],
        foreign: None,
        light: &["statrs"],
    },
];

/// What a model family stands on. Families never know one another.
const BELOW_FAMILIES: &[&str] = &["elbo-core", "elbo-linalg", "elbo-dist"];
const FAMILY: Option<&[&str]> = Some(&["rand", "serde", "thiserror"]);

/// Reached only when a feature asks for it, or in tests.
const FEATURES: &[&str] = &["memmap2", "postcard", "rayon", "serde", "statrs"];

/// Compares every published crate with its layer.
pub(crate) fn check() -> Outcome {
    every_crate_has_a_layer()?;
    for layer in LAYERS {
        let name = layer.name;
        let ours = |krate: &&str| LAYERS.iter().any(|other| other.name == *krate);

        let (all, direct) = (reached(name, &["--all-features"])?, direct(name)?);
        for krate in all.iter().map(|krate| name_of(krate)).filter(ours) {
            if krate != name && !layer.ours.contains(&krate) {
                return Err(format!("{name} must not reach {krate} (see ARCHITECTURE.md)"));
            }
        }
        for krate in direct.iter().map(|krate| name_of(krate)).filter(|krate| !ours(krate)) {
            if layer.foreign.is_some_and(|named| !named.contains(&krate)) {
                return Err(format!(
                    "{name} must not name {krate}: use a crate below it, or add a line to {}",
                    file!()
                ));
            }
        }
        for krate in reached(name, &["--no-default-features"])?.iter().map(|krate| name_of(krate)) {
            if layer.light.contains(&krate) {
                return Err(format!("{name} without its default features must not reach {krate}"));
            }
        }
    }
    Ok(())
}

/// Prints how many crates a user of each published crate builds besides it.
pub(crate) fn count() -> Outcome {
    println!("{:14}{:>12}{:>12}{:>14}", "crate", "no features", "default", "all features");
    for name in published() {
        let besides = |features: &[&str]| reached(name, features).map(|crates| crates.len() - 1);
        let (none, default) = (besides(&["--no-default-features"])?, besides(&[])?);
        println!("{name:14}{none:>12}{default:>12}{:>14}", besides(&["--all-features"])?);
    }
    Ok(())
}

/// The names of the published crates, from the bottom to the top.
pub(crate) fn published() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|layer| layer.name)
}

fn every_crate_has_a_layer() -> Outcome {
    let folders: BTreeSet<String> = names_in(Path::new("crates"))?.into_iter().collect();
    let layers: BTreeSet<String> = published().map(String::from).collect();
    match folders.symmetric_difference(&layers).next() {
        None => Ok(()),
        Some(odd) => {
            Err(format!("{odd} must be both a folder of crates/ and a layer in {}", file!()))
        }
    }
}

/// The crates a crate reaches through normal dependencies, itself included, each as `name version`.
fn reached(name: &str, options: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--package", name, "--edges", "normal", "--prefix", "none"]);
    command.args(["--format", "{p}", "--no-dedupe"]).args(options);
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}", why.trim()));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    Ok(tree.lines().map(String::from).collect())
}

/// The crates that a crate's manifest names, itself included.
fn direct(name: &str) -> Result<BTreeSet<String>, String> {
    reached(name, &["--all-features", "--depth", "1"])
}

fn name_of(krate: &str) -> &str {
    krate.split(' ').next().unwrap_or(krate)
}
