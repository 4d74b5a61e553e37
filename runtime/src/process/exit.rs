//! Exit notification: a descriptor that becomes readable when a child exits.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::thread;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Returns a descriptor that is readable after the child has exited.
pub(super) fn notice(child: &mut Child) -> io::Result<OwnedFd> {
    if child.try_wait()?.is_some() {
        // The process id may be reused by now. The other end of this pair is closed already.
        return Ok(UnixStream::pair()?.0.into());
    }
    let pid = Pid::from_child(child);
    // Fallback for systems without pidfd, or where it is not permitted.
    by_pidfd(pid).or_else(|_| by_thread(pid))
}

#[cfg(target_os = "linux")]
fn by_pidfd(pid: Pid) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn by_pidfd(_: Pid) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns one end of a socket pair. A thread waits for the child without reaping it, and then
/// closes the other end.
fn by_thread(pid: Pid) -> io::Result<OwnedFd> {
    let (near, far) = UnixStream::pair()?;
    let wait = move || {
        let _far = far;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Any other error means that the child has been reaped.
        while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
    };
    thread::Builder::new().name("ramie-child".to_owned()).spawn(wait)?;
    Ok(near.into())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    /// Starts a child that runs until its input ends.
    fn child() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    fn says_when_it_ends(notice: fn(&mut Child) -> io::Result<OwnedFd>) {
        let mut child = child();
        let fd = notice(&mut child).unwrap();
        let early = ramie_hub::wait_read(&fd, Some(Duration::from_millis(10))).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::TimedOut);
        assert!(child.try_wait().unwrap().is_none());
        drop(child.stdin.take());
        ramie_hub::wait_read(&fd, Some(Duration::from_secs(30))).unwrap();
        // Not reaped: the owner of the child can still get its status.
        assert!(child.try_wait().unwrap().unwrap().success());
        ramie_hub::wait_read(&fd, Some(Duration::from_secs(30))).unwrap();
    }

    #[test]
    fn thread_says_when_a_child_ends() {
        says_when_it_ends(|child| by_thread(Pid::from_child(child)));
    }

    #[test]
    fn whatever_there_is_says_when_a_child_ends() {
        says_when_it_ends(notice);
    }

    #[test]
    fn what_has_been_reaped_has_ended() {
        let mut child = child();
        child.kill().unwrap();
        while child.try_wait().unwrap().is_none() {
            ramie_hub::yield_now();
        }
        ramie_hub::wait_read(&notice(&mut child).unwrap(), Some(Duration::from_secs(30))).unwrap();
    }

    #[test]
    fn thread_is_told_when_somebody_else_reaps_the_child() {
        let mut child = child();
        let fd = by_thread(Pid::from_child(&child)).unwrap();
        child.kill().unwrap();
        while child.try_wait().unwrap().is_none() {
            ramie_hub::yield_now();
        }
        ramie_hub::wait_read(&fd, Some(Duration::from_secs(30))).unwrap();
    }
}
