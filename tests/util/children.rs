//! Tests that start processes, one at a time, each of which leaves nothing behind.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ramie::process::{Command, Stdio};
use ramie::sleep;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::footprint::{descriptors, settled};
use super::within;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test while no other one of its file runs, and looks for what it has left: entries of the hub, descriptors, children.
#[track_caller]
pub(crate) fn alone<F: FnOnce() + Send + 'static>(body: F) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    within(LIMIT, || {
        let before = (settled(), descriptors());
        body();
        assert_eq!((settled(), descriptors()), before);
        assert!(childless(), "a child was left behind");
    });
}

/// Whether this process has no children, not even any that have ended and nobody has reaped.
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
