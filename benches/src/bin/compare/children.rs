//! The processes that measure: one for each figure of a round, and two for the served ones.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CpuSet;

use crate::affinity::{self, Cores};
use crate::protocol::{self, Figure, Line, Missing};
use crate::workload::Workload;

/// A program that runs a contender when it is told the workload, the size and the milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its name in the table.
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// What comes before the workload.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// The workloads that it is asked for.
    pub(crate) workloads: Workloads,
    /// Whether it has all cores where it runs by itself. A server has one in any case.
    pub(crate) on_all_cores: bool,
}

/// The workloads that a program is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Workloads {
    /// Those whose lists have its name.
    Listed,
    /// Those whose lists have another name, as it is the same contender built otherwise.
    Of(&'static str),
    /// All; it skips those that it does not know.
    All,
}

impl Program {
    pub(crate) fn takes_part(&self, workload: &Workload) -> bool {
        match self.workloads {
            Workloads::Listed => workload.has(self.name),
            Workloads::Of(other) => workload.has(other),
            Workloads::All => true,
        }
    }
}

/// How children are run.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// How long the measured part shall take.
    pub(crate) millis: u64,
    /// How long a child may take in all.
    pub(crate) limit: Duration,
    pub(crate) cores: Cores,
}

impl Conditions {
    pub(crate) fn new(millis: u64, limit: Duration) -> Conditions {
        allow_files();
        Conditions { millis, limit, cores: Cores::find() }
    }

    /// Runs a contender once, in processes of its own, which have ended when this returns.
    ///
    /// # Errors
    ///
    /// The reason why there is no figure.
    pub(crate) fn run(
        &self,
        program: &Program,
        workload: &Workload,
        size: u64,
    ) -> Result<Vec<Figure>, Missing> {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).arg(workload.name);
        command.args([size.to_string(), self.millis.to_string()]);
        command.envs(program.environment.iter().copied());
        if workload.is_served() {
            self.serve(command, workload, size)
        } else {
            self.measure(command, program.on_all_cores)
        }
    }

    fn measure(&self, command: Command, on_all_cores: bool) -> Result<Vec<Figure>, Missing> {
        let core = self.cores.measured.as_ref().filter(|_| !on_all_cores);
        protocol::figures(&Running::start(command, core)?.lines(self.limit)?)
    }

    fn serve(&self, command: Command, workload: &Workload, size: u64) -> Result<Vec<Figure>, Missing> {
        let mut server = Running::start(command, self.cores.measured.as_ref())?;
        let line = server.line(self.limit)?;
        let port = match Line::parse(&line) {
            Some(Line::Port(port)) => port,
            Some(Line::Skip(reason)) => return Err(Missing::Skipped(reason)),
            _ => return Err(Missing::Failed("it does not say where it listens".to_owned())),
        };
        let own = std::env::current_exe().map_err(|error| Missing::Failed(error.to_string()))?;
        let mut client = Command::new(own);
        client.args(["--load", workload.name, &port.to_string(), &server.child.id().to_string()]);
        client.args([size.to_string(), self.millis.to_string()]);
        let client_core = self.cores.client.as_ref().or(self.cores.measured.as_ref());
        let lines = Running::start(client, client_core)?.lines(self.limit);
        protocol::figures(&lines.map_err(|missing| match missing {
            Missing::Failed(reason) => Missing::Failed(format!("the client: {reason}")),
            skipped => skipped,
        })?)
    }
}

/// A child whose output is collected. It is ended when it is dropped.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command, core: Option<&CpuSet>) -> Result<Running, Missing> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // One that is out of memory has none for a backtrace, and hangs in the attempt.
        command.env("RUST_BACKTRACE", "0");
        let child = affinity::on(core, || command.spawn());
        let mut child = child.map_err(|error| Missing::Failed(error.to_string()))?;
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut errors = child.stderr.take().expect("it is piped");
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            // What was read by then is what there is to say.
            drop(errors.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Running { child, lines, errors: Some(errors) })
    }

    /// The next line.
    fn line(&mut self, limit: Duration) -> Result<String, Missing> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(Missing::Failed(self.late(limit))),
            Err(RecvTimeoutError::Disconnected) => Err(Missing::Failed(self.complaint())),
        }
    }

    /// All lines of a child that ends well.
    fn lines(&mut self, limit: Duration) -> Result<Vec<String>, Missing> {
        let end = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => return Err(Missing::Failed(self.late(limit))),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.child.wait().is_ok_and(|status| status.success()) {
            Ok(lines)
        } else {
            Err(Missing::Failed(self.complaint()))
        }
    }

    /// Ends one that takes too long, with what it has said so far.
    fn late(&mut self, limit: Duration) -> String {
        // It may have ended by itself.
        drop(self.child.kill());
        format!("not done within {} s; {}", limit.as_secs(), self.complaint())
    }

    /// How it ended, and the first of its own words that say why.
    fn complaint(&mut self) -> String {
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        let headings = ["thread '", "note: ", "Traceback", "  File"];
        let telling = |line: &&str| {
            !line.trim().is_empty()
                && !headings.iter().any(|heading| line.trim_start_matches('\n').starts_with(heading))
        };
        let mut reason = errors.lines().find(telling).unwrap_or_default().trim().to_owned();
        reason.truncate(reason.floor_char_boundary(160));
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if reason.is_empty() { status } else { format!("{reason} ({status})") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A thousand connections need more files than the usual soft limit, which children inherit.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it stays as it was the workload says what it lacks.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
