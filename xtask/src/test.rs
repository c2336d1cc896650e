//! Everything that runs the code.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use crate::{Outcome, cargo, layers, names_in, run, target};

/// Seed of the random tests, unless the environment gives one: a failure here is a failure everywhere.
const SEED: &str = "20771";

/// All tests of the workspace, doctests included, with all features.
///
/// Comparisons with golden results of other programs run where `ELBO_REFERENCE` names their folder.
pub(crate) fn workspace() -> Outcome {
    match env::var("ELBO_REFERENCE") {
        Ok(folder) => println!("golden results: {folder}"),
        Err(_) => println!("golden results: none (ELBO_REFERENCE is not set)"),
    }
    test("--workspace --all-features")
}

/// The crate whose laws take longer to compile than all others together. Nothing in them depends on a feature.
const CHECKED_ONLY: &str = "elbo-dist";

/// Each crate with nothing but its own dependencies: its tests without default features, and a check with them.
pub(crate) fn alone() -> Outcome {
    for name in layers::published() {
        println!("-- {name}");
        let package = format!("--quiet --package {name} --all-targets");
        match name {
            CHECKED_ONLY => cargo(&format!("check {package} --no-default-features"))?,
            _ => test(&format!("{package} --no-default-features"))?,
        }
        cargo(&format!("check {package}"))?;
    }
    Ok(())
}

/// Runs every example of every crate; its output is shown only when it fails.
pub(crate) fn examples() -> Outcome {
    cargo("build --workspace --all-features --examples")?;
    for krate in layers::published() {
        let folder = Path::new("crates").join(krate).join("examples");
        if !folder.exists() {
            continue;
        }
        for file in names_in(&folder)? {
            let Some(name) = file.strip_suffix(".rs") else { continue };
            println!("-- {krate}: {name}");
            let program = target().join("debug/examples").join(name);
            let output = Command::new(&program)
                .stdin(Stdio::null())
                .output()
                .map_err(|why| format!("{}: {why}", program.display()))?;
            if !output.status.success() {
                print!("{}", String::from_utf8_lossy(&output.stdout));
                print!("{}", String::from_utf8_lossy(&output.stderr));
                return Err(format!("example {name}: {}", output.status));
            }
        }
    }
    Ok(())
}

/// `cargo test` with space-separated arguments and a fixed seed.
fn test(arguments: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO"));
    command.arg("test").args(arguments.split(' '));
    if env::var_os("PROPTEST_RNG_SEED").is_none() {
        command.env("PROPTEST_RNG_SEED", SEED);
    }
    run(&mut command)
}
