//! The book of `docs/`, by mdBook.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, docs, run, target};

/// The mdBook that is installed into the build directory where there is none.
const MDBOOK: &str = "mdbook@0.5.4";

/// Builds the book into `target/book`, with KaTeX beside it, and follows every link inside it.
pub(crate) fn build() -> Outcome {
    let (pages, theme) = (target().join("book"), target().join("book-theme"));
    if pages.exists() {
        fs::remove_dir_all(&pages).map_err(|why| format!("{}: {why}", pages.display()))?;
    }
    fs::create_dir_all(&theme)
        .and_then(|()| fs::copy("docs/theme/math-header.html", theme.join("head.hbs")))
        .map_err(|why| format!("{}: {why}", theme.display()))?;
    let mut command = Command::new(mdbook()?);
    command.args(["build", "docs", "--dest-dir"]).arg(absolute(&pages)?);
    run(command.env("MDBOOK_OUTPUT__HTML__THEME", absolute(&theme)?))?;
    docs::copy_katex(&pages)?;
    follow_links(&pages)
}

/// mdBook from the path, or else installed once into `target/tools` (about three minutes of one core).
fn mdbook() -> Result<PathBuf, String> {
    let name = format!("mdbook{}", env::consts::EXE_SUFFIX);
    let paths = env::var_os("PATH").unwrap_or_default();
    let tools = target().join("tools");
    let known =
        env::split_paths(&paths).chain([tools.join("bin")]).map(|folder| folder.join(&name));
    if let Some(program) = known.into_iter().find(|program| program.exists()) {
        return Ok(program);
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["install", MDBOOK, "--quiet", "--locked", "--no-default-features", "--debug"]);
    command.args(["--config", "profile.dev.debug=false", "--root"]).arg(&tools);
    run(command.arg("--target-dir").arg(tools.join("build")))?;
    fs::remove_dir_all(tools.join("build")).map_err(|why| format!("{}: {why}", tools.display()))?;
    Ok(tools.join("bin").join(name))
}

/// Checks that every link from one page of the book to another meets a file, and a heading if it names one.
fn follow_links(pages: &Path) -> Outcome {
    for page in html_in(pages)?.into_iter().filter(|page| !page.ends_with("404.html")) {
        let text = read(&page)?;
        let folder = page.parent().unwrap_or(pages);
        for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            if link.is_empty() || link.contains(':') {
                continue; // the table of contents while it loads, and the world outside
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let there = if file.is_empty() { page.clone() } else { folder.join(file) };
            let dead = || format!("{}: dead link {link}", page.display());
            if !there.is_file() {
                return Err(dead());
            }
            if !anchor.is_empty() && !read(&there)?.contains(&format!("id=\"{anchor}\"")) {
                return Err(dead());
            }
        }
    }
    Ok(())
}

/// Every page in a folder and below it.
fn html_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut pages = Vec::new();
    for name in crate::names_in(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            pages.extend(html_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            pages.push(path);
        }
    }
    Ok(pages)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// mdBook takes relative paths from the folder of the book.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|why| format!("{}: {why}", path.display()))
}
