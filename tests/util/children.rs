//! Tests that start processes, one at a time, each of which leaves nothing behind.

use std::time::Duration;

use ramie::process::{Command, Stdio};
use ramie::sleep;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::footprint;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test as [`footprint::alone`] does, and looks for children that it has left too.
#[track_caller]
pub(crate) fn alone(body: impl FnOnce() + Send + 'static) {
    footprint::alone(LIMIT, || {
        body();
        assert!(childless(), "a child was left behind");
    });
}

/// Returns `true` if this process has no children, not even any that have ended and are not reaped.
pub(crate) fn childless() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// Waits until what was left alone has ended and been reaped.
pub(crate) fn wait_until_childless() {
    while !childless() {
        sleep(Duration::from_millis(1));
    }
}

/// A shell's command, to be started.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// The same with pipes for all three streams.
pub(crate) fn piped(script: &str) -> Command {
    let mut command = shell(script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
