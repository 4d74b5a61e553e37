//! Runs this program under callgrind and reads the counts.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::{Command, id};

/// Ends one count and begins the next: callgrind writes down what it has counted whenever this function is called.
#[inline(never)]
pub(crate) fn mark() {
    black_box(());
}

/// Returns `true` if valgrind can be run.
pub(crate) fn is_there() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// Runs this program with these arguments, and returns the instructions of the whole process up to the first mark,
/// between two marks, and after the last.
pub(crate) fn count(arguments: &[&str]) -> Result<Vec<f64>, Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("ramie-instructions-{}", id()));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--combine-dumps=yes", "--dump-before=*callgrind::mark*"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    let output = valgrind.arg(std::env::current_exe()?).args(arguments).output()?;
    let text = fs::read_to_string(&file);
    // It may not have been made.
    let _ = fs::remove_file(&file);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} under valgrind: {said}", arguments.join(" ")).into());
    }
    let counts = text?
        .lines()
        .filter_map(|line| line.strip_prefix("totals: "))
        .map(str::parse)
        .collect::<Result<_, _>>();
    Ok(counts?)
}
