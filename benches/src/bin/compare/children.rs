//! The processes that measure: one for each figure of a round, and two for the served ones.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

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
}

/// What a child reports: the value, its unit, and which part of the figure it is, if there are several.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) part: String,
}

/// How children are run.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// How long the measured part shall take.
    pub(crate) millis: u64,
    /// How long a child may take in all.
    pub(crate) limit: Duration,
    /// The cores of the server and of its client, where there are two.
    pub(crate) cores: Option<(CpuSet, CpuSet)>,
}

impl Conditions {
    pub(crate) fn new(millis: u64, limit: Duration) -> Conditions {
        allow_files();
        Conditions { millis, limit, cores: two_cores() }
    }

    /// Runs a contender once, in processes of its own.
    ///
    /// # Errors
    ///
    /// What there is to say of one that does not come to a figure.
    pub(crate) fn run(
        &self,
        program: &Program,
        workload: &Workload,
        size: u64,
    ) -> Result<Vec<Figure>, String> {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).arg(workload.name);
        command.args([size.to_string(), self.millis.to_string()]);
        command.envs(program.environment.iter().copied());
        if workload.is_served() { self.serve(command, workload, size) } else { self.measure(command) }
    }

    fn measure(&self, command: Command) -> Result<Vec<Figure>, String> {
        let mut running = Running::start(command, None).map_err(|error| error.to_string())?;
        let figures: Vec<_> =
            running.lines(self.limit)?.iter().filter_map(|line| Figure::parse(line)).collect();
        if figures.is_empty() { Err("it reports nothing".to_owned()) } else { Ok(figures) }
    }

    fn serve(&self, command: Command, workload: &Workload, size: u64) -> Result<Vec<Figure>, String> {
        let (server_core, client_core) = self.cores.as_ref().map(|(a, b)| (a, b)).unzip();
        let mut server = Running::start(command, server_core).map_err(|error| error.to_string())?;
        let port = server.line(self.limit)?;
        let port = port.strip_prefix("port ").ok_or("it does not say where it listens")?;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut client = Command::new(own);
        client.args(["--load", workload.name, port, &server.child.id().to_string()]);
        client.args([size.to_string(), self.millis.to_string()]);
        let mut client = Running::start(client, client_core).map_err(|error| error.to_string())?;
        let lines = client.lines(self.limit).map_err(|error| format!("the client: {error}"))?;
        Ok(lines.iter().filter_map(|line| Figure::parse(line)).collect())
    }
}

impl Figure {
    fn parse(line: &str) -> Option<Figure> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let value = words.next()?.parse().ok()?;
        Some(Figure { value, unit: words.next()?, part: words.next().unwrap_or_default() })
    }
}

/// A child whose output is collected. It is ended when it is dropped.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command, core: Option<&CpuSet>) -> io::Result<Running> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // One that is out of memory has none for a backtrace, and hangs in the attempt.
        command.env("RUST_BACKTRACE", "0");
        let mut child = on_core(core, || command.spawn())?;
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
    fn line(&mut self, limit: Duration) -> Result<String, String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.late(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(self.complaint()),
        }
    }

    /// All lines of a child that ends well.
    fn lines(&mut self, limit: Duration) -> Result<Vec<String>, String> {
        let end = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => return Err(self.late(limit)),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.child.wait().is_ok_and(|status| status.success()) { Ok(lines) } else { Err(self.complaint()) }
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

/// A child inherits the cores of the thread that starts it.
fn on_core<R>(core: Option<&CpuSet>, start: impl FnOnce() -> R) -> R {
    let Some(core) = core else { return start() };
    let before = sched_getaffinity(None).expect("this worked once");
    sched_setaffinity(None, core).expect("the core is one of ours");
    let result = start();
    sched_setaffinity(None, &before).expect("these cores were ours");
    result
}

/// Two of the cores that this process may use.
fn two_cores() -> Option<(CpuSet, CpuSet)> {
    let all = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).map(|core| {
        let mut alone = CpuSet::new();
        alone.set(core);
        alone
    });
    cores.next().zip(cores.next())
}

/// A thousand connections need more files than the usual soft limit, which children inherit.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it stays as it was the workload says what it lacks.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
