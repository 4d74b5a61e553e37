//! The builder of child processes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};
use std::time::Duration;

use ramie_hub::Limit;

use super::child::Child;
use super::communicate::{KillOnDrop, TimeoutExpired, communicate};

/// A builder of processes: the counterpart of `std::process::Command`, with the same methods.
///
/// Other settings can be reached through the inner command, by [`as_std_mut`](Command::as_std_mut)
/// or `Command::from(std::process::Command)`.
///
/// # Examples
///
/// Two processes at once:
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
    /// `true` for each of the three streams that was set through this type.
    chosen: [bool; 3],
    kill_on_drop: bool,
}

const STDIN: usize = 0;
const STDOUT: usize = 1;
const STDERR: usize = 2;

impl Command {
    /// Creates a command for a program, with no arguments and this process's environment and
    /// current directory. The program is searched for as by std.
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

    /// Removes all variables, so that only those that are set later remain.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// Sets the current directory of the child.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(folder);
        self
    }

    /// Sets the standard input. The default is to inherit it, and an empty input for
    /// [`output`](Command::output).
    ///
    /// Use `Stdio::try_from` to pass an end of a [`pipe`](crate::io::pipe).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.std.stdin(stdin);
        self.chosen[STDIN] = true;
        self
    }

    /// Sets the standard output. The default is to inherit it, and a pipe for
    /// [`output`](Command::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.std.stdout(stdout);
        self.chosen[STDOUT] = true;
        self
    }

    /// Sets the standard error. The default is to inherit it, and a pipe for
    /// [`output`](Command::output).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.std.stderr(stderr);
        self.chosen[STDERR] = true;
        self
    }

    /// Sets the user id of the child: `std::os::unix::process::CommandExt::uid`.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.std.uid(id);
        self
    }

    /// Sets the group id of the child: `std::os::unix::process::CommandExt::gid`.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.std.gid(id);
        self
    }

    /// Sets the process group of the child; 0 creates a new group. Signals of the terminal do not
    /// reach a new group.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.std.process_group(group);
        self
    }

    /// Sets the program name that the child sees as its first argument.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg0(arg);
        self
    }

    /// Sets whether a dropped [`Child`] is killed. The default is `false`, as in std.
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

    /// Starts the process. Does not let other greenlets run: the thread is blocked until the
    /// program runs or could not be started.
    ///
    /// # Errors
    ///
    /// Returns the error of starting the program, such as `NotFound`, or of the system if no
    /// descriptor is left.
    pub fn spawn(&mut self) -> io::Result<Child> {
        Child::new(self.std.spawn()?, self.kill_on_drop)
    }

    /// Starts the process, reads its standard output and standard error, and waits until it has
    /// exited.
    ///
    /// By default both are pipes, and the standard input is empty. To write input, use
    /// [`Child::communicate`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`spawn`](Command::spawn), or the error of the system. An unsuccessful
    /// exit is no error: check the status of the `Output`.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout first kills and reaps the child. The output that was read is lost.
    pub fn output(&mut self) -> io::Result<Output> {
        communicate(self.spawn_captured()?, &[], Limit::Never)
    }

    /// Runs [`output`](Command::output) with a timeout, after which the child is killed and reaped:
    /// gevent's `check_output(timeout=...)`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`output`](Command::output), and `TimedOut` with a [`TimeoutExpired`]
    /// that contains the output that was read.
    ///
    /// # Cancellation
    ///
    /// Same as for [`output`](Command::output).
    pub fn output_timeout(&mut self, timeout: impl Into<Limit>) -> io::Result<Output> {
        communicate(self.spawn_captured()?, &[], timeout.into())
    }

    /// Starts the process and waits until it has exited. If its standard input is a pipe, the pipe
    /// is closed first.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`spawn`](Command::spawn), or the error of the system. An unsuccessful
    /// exit is no error: check the status.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout first kills and reaps the child.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ramie::process::Command::new("sh").args(["-c", "exit 3"]).status()?.code(), Some(3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.status_for(Limit::Never)
    }

    /// Runs [`status`](Command::status) with a timeout, after which the child is killed and reaped:
    /// gevent's `call(timeout=...)`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`status`](Command::status), and `TimedOut` with a [`TimeoutExpired`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`status`](Command::status).
    pub fn status_timeout(&mut self, timeout: impl Into<Limit>) -> io::Result<ExitStatus> {
        self.status_for(timeout.into())
    }

    fn status_for(&mut self, limit: Limit) -> io::Result<ExitStatus> {
        let timeout = limit.duration().unwrap_or(Duration::MAX);
        let mut child = self.spawn()?;
        let ward = KillOnDrop(&child.process.handle);
        drop(child.stdin.take());
        let status = ward.0.wait_timeout(limit)?;
        drop(ward);
        status.ok_or_else(|| {
            TimeoutExpired { timeout, status: None, stdout: Vec::new(), stderr: Vec::new() }.into_error()
        })
    }

    /// Starts the process with pipes for the streams that were not set, and leaves the settings
    /// unchanged.
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

    /// Returns the inner command of std for inspection.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ramie::process::Command::new("true").as_std().get_program(), "true");
    /// ```
    pub fn as_std(&self) -> &process::Command {
        &self.std
    }

    /// Returns the inner command of std, for settings that this type does not have, such as
    /// `pre_exec`. The command must not be started through it, because that would block the thread.
    ///
    /// [`output`](Command::output) does not see streams that are set on the inner command, and
    /// replaces them.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// Returns the inner command of std.
    pub fn into_std(self) -> process::Command {
        self.std
    }
}

/// Converts a command of std. [`output`](Command::output) does not see streams that were set on it,
/// and replaces them.
impl From<process::Command> for Command {
    fn from(std: process::Command) -> Self {
        Command { std, chosen: [false; 3], kill_on_drop: false }
    }
}
