//! Ends that come from outside: Ctrl-C, and readers that leave.

use std::{
    fmt::Write,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::Folder;

fn spawn(folder: &Folder, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_elbo"))
        .args(line.split_whitespace())
        .current_dir(folder.path("."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Rows of three overlapping columns, without structure: slow to fit.
fn many_rows() -> String {
    let mut text = String::from("a,b,c\n");
    let mut x = 1_u64;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((x >> 40) as u32) / f64::from(1 << 24)
    };
    for _ in 0..4000 {
        let (a, b, c) = (next(), next(), next());
        writeln!(text, "{a},{},{}", a * b, b + c * c).unwrap();
    }
    text
}

/// Waits until the process has a handler for signal 2, which Linux tells in `/proc`.
fn wait_for_handler(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    for _ in 0..500 {
        let text = fs::read_to_string(Path::new(&status)).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        if mask & 0b10 != 0 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("no handler for Ctrl-C");
}

#[test]
fn ctrl_c_keeps_the_best_model_so_far() {
    let folder = Folder::new(&many_rows());
    let line = "fit mixture data.csv --components 2..9 --starts 200 --json --model model.json --report report.html";
    let child = spawn(&folder, line);
    wait_for_handler(&child);
    thread::sleep(Duration::from_millis(700)); // time for a few iterations
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{error}");
    let fit: Value = serde_json::from_slice(&output.stdout).unwrap();
    let model: Value = serde_json::from_str(&folder.read("model.json")).unwrap();
    assert_eq!(model["params"], fit["params"]);
    let told = fit["table"].to_string() + &fit["starts"].to_string();
    assert!(told.contains("cancelled") || told.contains("not_run"), "{told}");
    assert!(folder.read("report.html").ends_with("</html>\n"));
    folder.run("score model.json data.csv");
}

#[test]
fn an_interrupted_start_says_cancelled() {
    let folder = Folder::new(&many_rows());
    let line = "fit mixture data.csv --components 9 --starts 1 --tol 0 --max-iter 100000000 --json --model model.json";
    let child = spawn(&folder, line);
    wait_for_handler(&child);
    thread::sleep(Duration::from_millis(700));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let fit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&fit["stopped"], &fit["converged"]), (&"cancelled".into(), &false.into()));
    assert!(fit["warnings"][0].as_str().unwrap().contains("was interrupted after"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::of("faithful.csv");
    folder.run("fit mixture data.csv --components 2 --starts 1 --model model.json");
    for line in ["sample model.json -n 200000", "sample model.json -n 20000 --json"] {
        let mut child = spawn(&folder, line);
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 20]).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        assert_eq!(output.status.code(), Some(0), "{line}");
    }
}
