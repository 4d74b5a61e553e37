//! The other world: a Python process with gevent that is given programs and answers traces.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::program::Program;
use crate::runner::{HANG, PATIENCE};

/// The folder of this package.
pub const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// What gevent did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The trace.
    pub trace: Vec<String>,
    /// From which line on it is not compared.
    pub cut: Option<usize>,
    /// Which deviations were applied, and how often.
    pub deviations: BTreeMap<String, usize>,
}

/// A running gevent.
#[derive(Debug)]
pub struct Gevent {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

/// Why there is no gevent.
#[derive(Debug)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let venv = venv();
        let venv = venv.display();
        write!(
            f,
            "gevent cannot be run ({}). To install it:\n  python3 -m venv {venv}\n  \
             {venv}/bin/pip install -r tests/conformance/gevent/requirements.txt",
            self.0,
        )
    }
}

impl std::error::Error for Missing {}

fn venv() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("conformance").join("venv")
}

#[derive(Serialize)]
struct Request<'a> {
    tick: f64,
    program: &'a Program,
}

impl Gevent {
    /// Starts it from the environment variable `RAMIE_GEVENT_PYTHON`, or from the virtual environment under the target
    /// directory.
    ///
    /// # Errors
    ///
    /// When there is no Python, or it has no gevent.
    pub fn start() -> Result<Self, Missing> {
        let python = env::var_os("RAMIE_GEVENT_PYTHON")
            .map_or_else(|| venv().join("bin").join("python"), PathBuf::from);
        let mut command = Command::new(&python);
        command.arg("-u").arg(Path::new(HOME).join("gevent").join("runner.py"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONHASHSEED", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.stderr(Stdio::null()).spawn();
        let mut child = spawned.map_err(|error| Missing(format!("{}: {error}", python.display())))?;
        let requests = child.stdin.take().expect("it was piped");
        let output = child.stdout.take().expect("it was piped");
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let gevent = Gevent { child, requests, answers };
        match gevent.answers.recv_timeout(PATIENCE) {
            Ok(line) if line.contains("gevent") => Ok(gevent),
            Err(RecvTimeoutError::Timeout) => {
                Err(Missing(format!("{} has not started within {} s", python.display(), PATIENCE.as_secs())))
            }
            _ => Err(Missing(format!("{} has no gevent", python.display()))),
        }
    }

    /// Runs a program there. One that does not come back answers with a hang, and gevent is started anew.
    ///
    /// # Errors
    ///
    /// When gevent has died and cannot be started again.
    pub fn run(&mut self, program: &Program, tick: Duration) -> Result<Answer, Missing> {
        let request = Request { tick: tick.as_secs_f64(), program };
        let line = serde_json::to_string(&request).expect("a program can be written");
        let sent = writeln!(self.requests, "{line}").and_then(|()| self.requests.flush());
        let answer = sent.ok().and_then(|()| self.answers.recv_timeout(PATIENCE).ok());
        let answer = answer.and_then(|answer| serde_json::from_str(&answer).ok());
        if let Some(answer) = answer {
            return Ok(answer);
        }
        *self = Gevent::start()?;
        Ok(Answer { trace: vec![HANG.to_owned()], ..Answer::default() })
    }
}

impl Drop for Gevent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
