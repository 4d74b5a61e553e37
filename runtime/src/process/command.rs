//! What is to be started, and how.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::child::Child;
use super::communicate::{TimeoutExpired, Ward, communicate};

/// Starts a process: `std::process::Command`'s counterpart, with the same methods.
///
/// What is not here is reached through the one inside, by [`as_std_mut`](Command::as_std_mut) or by
/// `Command::from(std::process::Command)`.
///
/// # Examples
///
/// Two at once:
///
/// ```
/// use ramie::process::Command;
///
/// let words = ["hello", "world"].map(|word| {
///     ramie::spawn(move || Command::new("echo").arg(word).output().unwrap().stdout)
/// });
/// let words = words.map(|greenlet| greenlet.get().unwrap());
/// assert_eq!(words, [b"hello\n", b"world\n"]);
/// ```
#[derive(Debug)]
pub struct Command {
    std: process::Command,
    /// Which of the three streams were chosen here.
    chosen: [bool; 3],
    kill_on_drop: bool,
}

const STDIN: usize = 0;
const STDOUT: usize = 1;
const STDERR: usize = 2;

impl Command {
    /// Will start this program, which is looked for as std does, with no arguments, this process's environment and folder.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.std.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.std.env(key, value);
        self
    }

    /// Sets variables of the environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        self.std.envs(vars);
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.std.env_remove(key);
        self
    }

    /// Leaves only those variables that are set from now on.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// Sets the folder that it works in.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(folder);
        self
    }

    /// Sets its standard input. Unless it is set it is inherited, or, by [`output`](Command::output), nothing.
    ///
    /// An end of a [`pipe`](crate::io::pipe) is given by `Stdio::try_from`.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.std.stdin(stdin);
        self.chosen[STDIN] = true;
        self
    }

    /// Sets its standard output. Unless it is set it is inherited, or, by [`output`](Command::output), read.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.std.stdout(stdout);
        self.chosen[STDOUT] = true;
        self
    }

    /// Sets its standard error. Unless it is set it is inherited, or, by [`output`](Command::output), read.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.std.stderr(stderr);
        self.chosen[STDERR] = true;
        self
    }

    /// Sets the user that it runs as: `std::os::unix::process::CommandExt::uid`.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.std.uid(id);
        self
    }

    /// Sets the group that it runs as: `std::os::unix::process::CommandExt::gid`.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.std.gid(id);
        self
    }

    /// Puts it into a process group, 0 being a new one, which the signals of a terminal do not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.std.process_group(group);
        self
    }

    /// Sets what it is told as its own name.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg0(arg);
        self
    }

    /// Says whether a [`Child`] that is dropped is killed. At first it is not, as with std.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::process::Command;
    ///
    /// let child = Command::new("sleep").arg("3600").kill_on_drop(true).spawn()?;
    /// let handle = child.handle().clone();
    /// drop(child);
    /// assert!(!handle.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Starts it. Does not let others run: the thread is blocked until the program runs, or could not be started.
    ///
    /// # Errors
    ///
    /// What starting it failed with, such as `NotFound`; when the system has no descriptor left for it.
    pub fn spawn(&mut self) -> io::Result<Child> {
        Child::new(self.std.spawn()?, self.kill_on_drop)
    }

    /// Starts it, reads what it writes to its standard output and its standard error, and waits until it has ended.
    ///
    /// Unless they were set, both are pipes, and its standard input is nothing. See [`Child::communicate`] for who has
    /// input.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn), and the system's own. How it ended is no error: ask the `Output`'s status.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout kills and reaps the child first. What was read is lost.
    pub fn output(&mut self) -> io::Result<Output> {
        communicate(self.spawn_captured()?, &[], None)
    }

    /// [`output`](Command::output) with a limit, at which the child is killed and reaped: gevent's
    /// `check_output(timeout=...)`.
    ///
    /// # Errors
    ///
    /// As [`output`](Command::output), and `TimedOut`, with a [`TimeoutExpired`] that has what was read.
    ///
    /// # Cancellation
    ///
    /// As [`output`](Command::output).
    pub fn output_timeout(&mut self, timeout: Duration) -> io::Result<Output> {
        communicate(self.spawn_captured()?, &[], Some(timeout))
    }

    /// Starts it and waits until it has ended. If its standard input is a pipe, that is closed first.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn), and the system's own. How it ended is no error: ask the status.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout kills and reaps the child first.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ramie::process::Command::new("sh").args(["-c", "exit 3"]).status()?.code(), Some(3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.status_for(None)
    }

    /// [`status`](Command::status) with a limit, at which the child is killed and reaped: gevent's `call(timeout=...)`.
    ///
    /// # Errors
    ///
    /// As [`status`](Command::status), and `TimedOut`, with a [`TimeoutExpired`].
    ///
    /// # Cancellation
    ///
    /// As [`status`](Command::status).
    pub fn status_timeout(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        self.status_for(Some(timeout))
    }

    fn status_for(&mut self, timeout: Option<Duration>) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        let ward = Ward(&child.process.handle);
        drop(child.stdin.take());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let status = ward.0.wait_until(deadline)?;
        drop(ward);
        status.ok_or_else(|| {
            let timeout = timeout.unwrap_or(Duration::MAX);
            TimeoutExpired { timeout, status: None, stdout: Vec::new(), stderr: Vec::new() }.into_error()
        })
    }

    /// Starts it with pipes where nothing else was chosen, and leaves the choice as it was.
    fn spawn_captured(&mut self) -> io::Result<Child> {
        let set = |command: &mut Self, to: [fn() -> Stdio; 3]| {
            let [stdin, stdout, stderr] = to;
            if !command.chosen[STDIN] {
                command.std.stdin(stdin());
            }
            if !command.chosen[STDOUT] {
                command.std.stdout(stdout());
            }
            if !command.chosen[STDERR] {
                command.std.stderr(stderr());
            }
        };
        set(self, [Stdio::null, Stdio::piped, Stdio::piped]);
        let child = self.spawn();
        set(self, [Stdio::inherit, Stdio::inherit, Stdio::inherit]);
        child
    }

    /// The one of std inside, to be looked at.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ramie::process::Command::new("true").as_std().get_program(), "true");
    /// ```
    pub fn as_std(&self) -> &process::Command {
        &self.std
    }

    /// The one of std inside, for what is not here: `pre_exec` for one. Nobody should start it there: that would block
    /// the thread.
    ///
    /// Of streams that are set here [`output`](Command::output) knows nothing; it sets its own.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// Gives the one of std inside away.
    pub fn into_std(self) -> process::Command {
        self.std
    }
}

/// Takes over what std was told. Of streams that were set there [`output`](Command::output) knows nothing; it sets its own.
impl From<process::Command> for Command {
    fn from(std: process::Command) -> Self {
        Command { std, chosen: [false; 3], kill_on_drop: false }
    }
}
