//! Runs `compare` once with contenders of the test's own, which speak its protocol.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const EXAMPLE: &str = concat!("asyncio=python3 ", env!("CARGO_MANIFEST_DIR"), "/peers/example.py");

fn compare(arguments: &[&str]) -> Output {
    let mut compare = Command::new(env!("CARGO_BIN_EXE_compare"));
    compare.args(["--once", "--no-build", "--contender", "ramie"]).args(arguments);
    compare.output().expect("compare can be started")
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The words of the line of a contender's figure.
fn figure<'a>(text: &'a str, label: &str, contender: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(&format!("{label} {contender} ")));
    line.unwrap_or_else(|| panic!("no {label} of {contender} in\n{text}")).split(' ').skip(2).collect()
}

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_example_contender_takes_part_and_skips_what_it_does_not_know() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3 here");
        return;
    }
    let output = text(&compare(&["--contender", EXAMPLE, "yield/3", "spawn/1", "echo/50"]));
    for label in ["yield/3", "echo/50", "echo/50-cpu", "echo/50-p99"] {
        let words = figure(&output, label, "asyncio");
        assert!(words[0].parse::<f64>().is_ok_and(|value| value > 0.0), "{label} {words:?}");
    }
    assert_eq!(figure(&output, "yield/3", "asyncio")[1], "ns");
    assert_eq!(figure(&output, "echo/50-cpu", "ramie")[1], "us");
    assert_eq!(figure(&output, "spawn/1", "asyncio").join(" "), "skipped: not written for asyncio");
}

#[test]
fn a_contenders_figures_reach_the_lines_the_tables_and_the_picture() {
    // It answers with the size and the milliseconds that it was asked for.
    let script = scratch("echoes-its-arguments.sh");
    fs::write(&script, "echo warming up\necho \"$2$3 ns\"\n").expect("the folder can be written to");
    let contender = format!("mine=sh '{}'", script.display());
    let (whole, summary, plot) = (scratch("whole.md"), scratch("summary.md"), scratch("plot.svg"));
    let files = ["Before.\n<!-- compare -->\nold\n<!-- /compare -->\nAfter.\n", ""];
    fs::write(&whole, files[0]).expect("the folder can be written to");
    fs::write(&summary, files[1]).expect("the folder can be written to");
    let output = text(&compare(&[
        "--contender",
        &contender,
        "yield/3",
        "--markdown",
        &whole.to_string_lossy(),
        "--summary",
        &summary.to_string_lossy(),
        "--plot",
        &plot.to_string_lossy(),
    ]));
    assert_eq!(figure(&output, "yield/3", "mine")[..3], ["310", "ns", "310..310"]);
    let whole = fs::read_to_string(whole).expect("it was written");
    assert!(
        whole.starts_with("Before.\n<!-- compare -->\n") && whole.ends_with("<!-- /compare -->\nAfter.\n")
    );
    assert!(whole.contains("| ramie | mine |") && whole.contains("310") && !whole.contains("old"));
    let summary = fs::read_to_string(summary).expect("it was written");
    assert!(summary.contains("| best peer |") && summary.contains("mine 310"), "{summary}");
    assert!(fs::read_to_string(plot).expect("it was written").contains("<title>mine</title>"));
}

#[test]
fn a_contender_that_breaks_the_protocol_is_named_with_its_reason() {
    let output = text(&compare(&[
        "--contender",
        "silent=true",
        "--contender",
        "broken=sh -c 'echo no stack left >&2; exit 3' broken",
        "--contender",
        "wrong=sh -c 'echo 5 apples' wrong",
        "yield/3",
        "echo/1",
    ]));
    assert_eq!(figure(&output, "yield/3", "silent").join(" "), "failed: it reports nothing");
    assert_eq!(figure(&output, "yield/3", "broken").join(" "), "failed: no stack left (exit status: 3)");
    let wrong = figure(&output, "yield/3", "wrong").join(" ");
    assert_eq!(wrong, "failed: it reports apples, not ns");
    let silent = figure(&output, "echo/1", "wrong").join(" ");
    assert_eq!(silent, "failed: it does not say where it listens");
}

#[test]
fn a_contender_needs_a_free_name_and_a_command() {
    for (argument, complaint) in [
        ("tokio=true", "there is a contender tokio already"),
        ("mine=", "wants a name"),
        ("=true", "wants a name"),
        ("mine", "there is no contender mine"),
    ] {
        let output = compare(&["--contender", argument, "yield/0"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(complaint), "{argument}: {errors}");
    }
}
