//! Programs that a test starts: looked for first, listened to while other greenlets run, and gone
//! when the test is.

use std::cell::RefCell;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ramie::io::Cooperative;
use ramie::{Greenlet, blocking, sleep, spawn};
use rustix::process::{Pid, Signal, kill_process};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(100);
/// The time that a program has to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum number of times that a server is started, when another program takes its port.
const ATTEMPTS: usize = 5;

/// Runs a test within its limit, if these programs are installed. What it has started is killed and
/// reaped at its end, which may be a panic, and also when it hangs.
#[track_caller]
pub(crate) fn with(names: &[&str], test: impl FnOnce(&Programs) + Send + 'static) {
    if let Some(name) = names.iter().find(|name| find(name).is_none()) {
        println!("skipped: no {name} here");
        return;
    }
    let programs = Programs::default();
    let _ends = Ends(programs.clone());
    within(LIMIT, move || test(&programs));
}

/// Returns the path of an installed program.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A program that runs, or has run.
struct Running {
    child: Child,
    /// The signal that ends it in order.
    ends_by: Signal,
}

/// All that a test has started. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Programs(Arc<Mutex<Vec<Arc<Mutex<Running>>>>>);

struct Ends(Programs);

impl Drop for Ends {
    fn drop(&mut self) {
        // The last one first: it may use those before it.
        while let Some(running) = lock(&self.0.0).pop() {
            let mut running = lock(&running);
            let _ = running.end();
        }
    }
}

impl Running {
    fn end(&mut self) -> std::io::Result<()> {
        let limit = Instant::now() + PATIENCE;
        while self.ends_by != Signal::KILL && Instant::now() < limit {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            kill_process(Pid::from_child(&self.child), self.ends_by)?;
            thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

/// The complete output of a program.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: String,
}

impl Said {
    /// Its output, of a program that has not failed.
    #[track_caller]
    pub(crate) fn bytes(self) -> Vec<u8> {
        let output = String::from_utf8_lossy(&self.output);
        assert!(self.status.success(), "{}\n{output}\n{}", self.status, self.errors);
        self.output
    }

    /// The same, for one that writes text.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Programs {
    /// Runs a program up to its end, while others run.
    #[track_caller]
    pub(crate) fn run(&self, command: &mut Command) -> Said {
        self.run_with(command, "")
    }

    /// The same for one that gets something to read.
    #[track_caller]
    pub(crate) fn run_with(&self, command: &mut Command, input: impl Into<Vec<u8>>) -> Said {
        let input = input.into();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = Cooperative::new(child.stdin.take().unwrap()).unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let running = self.keep(child, Signal::KILL);
        // One that has heard enough may go before it has heard everything.
        spawn(move || stdin.write_all(&input).is_ok());
        let errors = spawn(|| everything(stderr));
        let output = everything(stdout);
        let errors = String::from_utf8_lossy(&errors.take().unwrap()).into_owned();
        Said { status: wait(&running), output, errors }
    }

    /// Starts a server on a port that is free, to be ended by that signal. It is there when it says
    /// `ready` on one of its lines. The command is asked for again if it ends before that, as it
    /// does when another program has taken the port in between.
    pub(crate) fn serve(&self, ready: &str, ends_by: Signal, command: impl Fn(u16) -> Command) -> Server {
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            // The other end is held by the command, and goes with it.
            let (reader, writer) = std::io::pipe().unwrap();
            let child = {
                let mut command = command(port);
                command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
                command.spawn().unwrap()
            };
            let running = self.keep(child, ends_by);
            let mut lines = BufReader::new(Cooperative::new(reader).unwrap()).lines().map_while(Result::ok);
            said = String::new();
            for line in &mut lines {
                said = said + &line + "\n";
                if line.contains(ready) {
                    let log = Rc::new(RefCell::new(said));
                    let listening = listen(lines, log.clone());
                    return Server { port, log, running, _listening: listening };
                }
            }
        }
        panic!("no server has come up:\n{said}");
    }

    fn keep(&self, child: Child, ends_by: Signal) -> Arc<Mutex<Running>> {
        let running = Arc::new(Mutex::new(Running { child, ends_by }));
        lock(&self.0).push(running.clone());
        running
    }
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) port: u16,
    log: Rc<RefCell<String>>,
    running: Arc<Mutex<Running>>,
    _listening: Greenlet<()>,
}

impl Server {
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns its output so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Ends it, in the way that it was started with.
    pub(crate) fn end(&self) {
        let running = self.running.clone();
        blocking(|| lock(&running).end()).unwrap();
    }
}

/// Ends the program before its folder is removed.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = lock(&self.running).end();
    }
}

/// Notes what a server says from now on.
fn listen(lines: impl Iterator<Item = String> + 'static, log: Rc<RefCell<String>>) -> Greenlet<()> {
    spawn(move || {
        for line in lines {
            let mut log = log.borrow_mut();
            log.push_str(&line);
            log.push('\n');
        }
    })
}

fn everything<T: Read + std::os::fd::AsFd + 'static>(stream: T) -> Vec<u8>
where
    Cooperative<T>: Read,
{
    let mut bytes = Vec::new();
    Cooperative::new(stream).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Waits for the end of a program, and lets others run.
fn wait(running: &Mutex<Running>) -> ExitStatus {
    loop {
        if let Some(status) = lock(running).child.try_wait().unwrap() {
            return status;
        }
        sleep(Duration::from_millis(1));
    }
}

/// Locks a mutex, also a poisoned one: a program that a failed test has left must be ended.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a port that no program uses at this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns a command with the common settings of all calls: no proxy, and no settings of the user.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
    command
}

/// curl that reads no settings, shows no progress, and says what went wrong.
pub(crate) fn curl() -> Command {
    let mut curl = command("curl");
    curl.args(["--disable", "--silent", "--show-error", "--max-time", "90"]);
    curl
}

/// Python that does not look at the settings of its user.
pub(crate) fn python(script: &str) -> Command {
    let mut python = command("python3");
    python.args(["-I", "-u", "-c", script]);
    python
}
