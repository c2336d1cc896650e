//! API pages whose formulas are drawn without a network.

use std::{fs, io, path::Path, process::Command};

use crate::{Outcome, book, layers, run, target};

/// Builds the API pages and the book; a warning of rustdoc is an error.
pub(crate) fn build() -> Outcome {
    let mut command = Command::new(env!("CARGO"));
    command.args(["doc", "--no-deps", "--all-features", "--lib"]);
    // Joined to the header that .cargo/config.toml passes; RUSTDOCFLAGS would replace it.
    command.args(["--config", r#"build.rustdocflags=["-Dwarnings"]"#]);
    for name in layers::published().filter(|name| *name != "elbo-cli") {
        command.args(["--package", name]);
    }
    run(&mut command)?;
    copy_katex(&target().join("doc"))?;
    book::build()
}

/// Puts KaTeX where the math header looks for it, at the root of the pages.
pub(crate) fn copy_katex(pages: &Path) -> Outcome {
    copy(Path::new("docs/theme/katex"), &pages.join("katex"))
        .map_err(|why| format!("KaTeX to {}: {why}", pages.display()))
}

/// Copies a folder and its sub-folders.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &there)?;
        } else {
            fs::copy(entry.path(), there)?;
        }
    }
    Ok(())
}
