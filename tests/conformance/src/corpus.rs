//! Programs with the traces that gevent left, in `corpus/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gevent::{Answer, HOME};
use crate::program::Program;

/// A recorded program.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The program.
    pub program: Program,
    /// The trace of gevent; empty until it is recorded.
    #[serde(default)]
    pub gevent: Answer,
}

/// The folder of the corpus.
pub fn folder() -> PathBuf {
    Path::new(HOME).join("corpus")
}

/// The files of the corpus, in order of their names.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn files() -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder())?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Reads a file: recorded programs, by their names.
///
/// # Errors
///
/// When it cannot be read, or is not of the format.
pub fn read(path: &Path) -> io::Result<std::collections::BTreeMap<String, Recorded>> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(io::Error::from)
}

/// Writes a file, one program and one trace a line, so that changes can be read.
///
/// # Errors
///
/// When it cannot be written.
pub fn write(path: &Path, programs: &std::collections::BTreeMap<String, Recorded>) -> io::Result<()> {
    let mut text = String::from("{\n");
    for (at, (name, recorded)) in programs.iter().enumerate() {
        let comma = if at + 1 < programs.len() { "," } else { "" };
        let trace = serde_json::to_string(&recorded.gevent)?;
        let program = recorded.program.to_line();
        text.push_str(&format!(
            "{}: {{\n \"program\": {program},\n \"gevent\": {trace}\n}}{comma}\n",
            serde_json::to_string(name)?
        ));
    }
    text.push_str("}\n");
    fs::write(path, text)
}
