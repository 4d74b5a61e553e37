//! A watchdog that prints a message on stderr when all threads of a pool are stuck while jobs wait.
//!
//! Only the global pool has a watchdog: its jobs are short, and the caller of such a job cannot see
//! the cause of a delay. In a pool of the program's own a queue of long jobs is not unusual.
//!
//! The watchdog is a thread that is started when a job finds all threads busy, and that ends when
//! it finds no job waiting. So it costs nothing while there are idle threads.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Shared;
use super::state::{Stuck, Watched};

/// The time without a started job after which a report is made.
const PATIENCE: Duration = Duration::from_secs(5);

impl Shared {
    /// Starts the watchdog. The pool works without it if no thread can be started.
    pub(super) fn watch(self: &Arc<Self>) {
        let shared = self.clone();
        let started =
            thread::Builder::new().name(format!("{}-watch", self.name)).spawn(move || shared.watchdog());
        if started.is_err() {
            self.state.lock().stop_watching();
        }
    }

    fn watchdog(&self) {
        let (mut seen, mut reported) = (None, false);
        loop {
            let (watched, stuck) = {
                let mut state = self.state.lock();
                (state.look(), state.stuck())
            };
            let Watched::Waiting(begun) = watched else { return };
            let progress = seen.replace(begun) != Some(begun);
            reported &= !progress;
            if !progress && !reported {
                reported = true;
                // A write that fails cannot be handled.
                let _ = writeln!(io::stderr(), "ramie: {}", Report { name: &self.name, stuck: &stuck });
            }
            pause();
        }
    }
}

fn pause() {
    thread::sleep(PATIENCE);
}

struct Report<'a> {
    name: &'a str,
    stuck: &'a Stuck,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stuck { threads, waiting, calls } = self.stuck;
        let (name, seconds) = (self.name, PATIENCE.as_secs());
        write!(f, "none of the {threads} threads of the pool {name} has taken a job for {seconds} s, ")?;
        write!(f, "and jobs wait for one: {waiting}. The threads are in")?;
        for (at, (what, count)) in calls.iter().enumerate() {
            let what = what.trim_end_matches("::{{closure}}");
            write!(f, "{} {count} x {what}", if at == 0 { "" } else { "," })?;
        }
        f.write_str("; ThreadPool::global().set_maxsize(...) allows more")
    }
}
