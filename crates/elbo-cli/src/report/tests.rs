//! Reports of made-up fits: well-formed, self-contained, without a number that is none.

use std::fs;

use super::*;
use crate::fixture;

fn pages() -> Vec<(&'static str, String)> {
    [
        ("faithful", fixture::faithful()),
        ("galaxies", fixture::galaxies()),
        ("wide", fixture::wide()),
        ("counts", fixture::counts()),
        ("degenerate", fixture::degenerate()),
    ]
    .map(|(name, (summary, drawn))| (name, mixture(&summary, &drawn)))
    .into()
}

/// The tags of `html` in order, without attributes; checks that quotes and brackets pair up.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "a lone > before {:?}",
            &rest[start..rest.len().min(start + 40)]
        );
        let mut quoted = false;
        let length = rest[start..].bytes().position(|byte| {
            quoted ^= byte == b'"';
            byte == b'>' && !quoted
        });
        let tag = &rest[start + 1..start + length.expect("every tag ends")];
        assert!(!tag.contains('<'), "tag within a tag: {tag}");
        tags.push(tag.to_string());
        rest = &rest[start + tag.len() + 2..];
    }
    tags
}

#[test]
fn every_tag_is_closed_in_order() {
    for (name, page) in pages() {
        let (before, after) = page.split_once("<style>").unwrap();
        let after = after.split_once("</style>").unwrap().1;
        let mut open = Vec::new();
        for tag in tags(&(before.to_string() + after)) {
            let word = tag.split([' ', '\n']).next().unwrap();
            if let Some(closed) = word.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(closed), "{name}");
            } else if !(tag.ends_with('/') || ["!DOCTYPE", "meta"].contains(&word)) {
                open.push(word.to_string());
            }
        }
        assert_eq!(open, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn no_attribute_holds_a_number_that_is_none() {
    for (name, page) in pages() {
        for tag in tags(page.split_once("</style>").unwrap().1) {
            for word in ["NaN", "inf", "null", "e-", "e+"] {
                let found = tag.split('"').skip(1).step_by(2).any(|value| {
                    value.contains(word)
                        && value.starts_with(|c: char| c.is_ascii_digit() || "Mm-".contains(c))
                });
                assert!(!found, "{name}: {tag}");
            }
        }
    }
}

#[test]
fn pages_need_nothing_from_elsewhere_and_stay_small() {
    for (name, page) in pages() {
        for word in ["http", "src=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(word), "{name}: {word}");
        }
        assert!(page.len() < 1_000_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn pictures_have_a_title_and_a_description_each_with_an_id_of_its_own() {
    for (name, page) in pages() {
        let pictures = page.matches("role=\"img\"").count();
        assert!(pictures >= 1, "{name}");
        assert_eq!(page.matches("<desc id=").count(), pictures, "{name}");
        let mut ids: Vec<_> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next()).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}");
    }
}

#[test]
fn the_page_says_what_it_leaves_out() {
    let (summary, drawn) = fixture::wide();
    let page = mixture(&summary, &drawn);
    assert!(page.contains("5,000 of 1,000,000 rows are drawn"));
    assert!(page.contains("Shown are the 5 of 6 columns"));
    assert!(page.contains("A row is left out where a value is missing."));
    assert!(page.contains("length &lt;cm&gt;") && !page.contains("length <cm>"));
    let (summary, drawn) = fixture::faithful();
    let page = mixture(&summary, &drawn);
    assert!(page.contains("1 of 24 could not be fitted"));
    assert!(page.contains("more --starts may find a better one"));
}

/// Writes the pages to the folder named by `ELBO_REPORTS`, for a look at them in a browser.
#[test]
fn pages_can_be_written_for_a_look() {
    let Some(folder) = std::env::var_os("ELBO_REPORTS") else { return };
    for (name, page) in pages() {
        fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), page).unwrap();
    }
}
