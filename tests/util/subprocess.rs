//! Runs a test a second time in a process of its own, to check how that process ends.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The environment variable that tells a second process which part it plays.
const PART: &str = "RAMIE_TEST_PART";

/// The part that this process plays; `None` in the process that the harness runs tests in.
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok()
}

/// Runs the test of that name, and no other, in a process of its own, where [`part`] is `part`.
pub(crate) fn again(test: &str, part: &str) -> Output {
    finish(Command::new(own_file()), test, part)
}

/// The same under a tool that takes the program and its arguments at the end of its own.
pub(crate) fn again_under(mut tool: Command, test: &str, part: &str) -> Output {
    tool.arg(own_file());
    finish(tool, test, part)
}

fn own_file() -> PathBuf {
    env::current_exe().expect("a test knows its own file")
}

fn finish(mut command: Command, test: &str, part: &str) -> Output {
    command.args([test, "--exact", "--nocapture", "--include-ignored"]);
    command.env(PART, part).env("RUST_BACKTRACE", "0");
    command.output().expect("a test can be run a second time")
}

/// Returns the text that a process wrote to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
