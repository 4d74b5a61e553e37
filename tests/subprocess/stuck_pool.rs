//! The message of the global pool of threads when all of them are stuck.
#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use ramie::{ThreadPool, blocking, spawn, yield_now};

use crate::util::subprocess::part;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// The thread that reads here is stuck until the other process closes its end.
fn wait_for_the_parent() {
    let read = std::io::stdin().read(&mut [0]);
    assert_eq!(read.ok(), Some(0));
}

#[test]
fn stuck_threads_are_reported_once_with_their_calls() {
    match part() {
        Some(_) => {
            ThreadPool::global().set_maxsize(2);
            let stuck = [spawn(|| blocking(wait_for_the_parent)), spawn(|| blocking(wait_for_the_parent))];
            yield_now();
            let waiting = [spawn(|| ramie::fs::exists(".").ok()), spawn(|| ramie::fs::exists(".").ok())];
            for greenlet in waiting {
                assert_eq!(greenlet.get().ok(), Some(Some(true)));
            }
            stuck.iter().for_each(|greenlet| greenlet.join());
            eprintln!("all done");
        }
        None => within(LIMIT, || {
            let name = "stuck_pool::stuck_threads_are_reported_once_with_their_calls";
            let own_file = env::current_exe().expect("a test knows its own file");
            let mut child = Command::new(own_file)
                .args([name, "--exact", "--nocapture"])
                .env("RAMIE_TEST_PART", "stuck")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a test can be run a second time");
            let lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
            let mut lines = lines.map(|line| line.expect("it is text"));
            let report = lines.find(|line| line.starts_with("ramie: ")).expect("it is reported");
            for part in [
                "none of the 2 threads of the pool ramie-blocking",
                "jobs wait for one: 2.",
                "2 x ",
                "wait_for_the_parent",
            ] {
                assert!(report.contains(part), "{part}: {report}");
            }
            drop(child.stdin.take());
            let rest: Vec<String> = lines.collect();
            assert!(rest.iter().any(|line| line == "all done"), "{rest:?}");
            assert!(!rest.iter().any(|line| line.starts_with("ramie: ")), "{rest:?}");
            assert!(child.wait().expect("it is our child").success());
        }),
    }
}
