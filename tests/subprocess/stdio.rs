//! Standard input and output, each in a process of its own.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use ramie::io::{Cooperative, stderr, stdin, stdout};
use ramie::{sleep, spawn, with_timeout, yield_now};

use crate::util::footprint::{is_nonblocking, settled};
use crate::util::sleepers::parked;
use crate::util::subprocess::part;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);

/// The second process: it answers each line, and prints once between two lines that other greenlets
/// run.
fn answer_lines() {
    // First of all, nothing is there: a waiter can be killed and timed out, and leaves the input to
    // others.
    let before = settled();
    let waiting = parked(|| stdin().read_line(&mut String::new()).unwrap());
    let in_line = parked(|| drop(stdin().lock()));
    waiting.kill();
    in_line.get().unwrap();
    let locked = parked(|| stdin().lines().count());
    let in_line = parked(|| drop(stdin().lock()));
    in_line.kill();
    locked.kill();
    assert!(with_timeout(SHORT, || stdin().read(&mut [0; 8]).unwrap()).is_err());
    drop((waiting, in_line, locked));
    assert_eq!(settled(), before);
    let ticks = Rc::new(Cell::new(0));
    let count = ticks.clone();
    let ticking = spawn(move || {
        loop {
            count.set(count.get() + 1);
            if count.get() == 3 {
                writeln!(stderr(), "ticked").unwrap();
            }
            sleep(Duration::from_millis(1));
        }
    });
    let mut line = String::new();
    while stdin().read_line(&mut line).unwrap() > 0 {
        writeln!(stdout(), "answer {}: {}", 42, line.trim_end()).unwrap();
        line.clear();
        ticks.set(0);
    }
    assert!(!is_nonblocking(stdin()) && !is_nonblocking(stdout()) && !is_nonblocking(stderr()));
    ticking.kill();
}

#[test]
fn standard_streams_wait_for_one_greenlet_only() {
    if part().is_some() {
        return within(LIMIT, answer_lines);
    }
    within(LIMIT, || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["stdio::standard_streams_wait_for_one_greenlet_only", "--exact", "--nocapture"])
            .env("RAMIE_TEST_PART", "child")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = |output: Box<dyn Read>| BufReader::new(output).lines().map(Result::unwrap);
        let mut output = lines(Box::new(Cooperative::new(child.stdout.take().unwrap()).unwrap()));
        let mut errors = lines(Box::new(Cooperative::new(child.stderr.take().unwrap()).unwrap()));
        for word in ["one", "two", "three"] {
            // It waits for a line, and another greenlet runs.
            assert_eq!(errors.next().as_deref(), Some("ticked"));
            writeln!(input, "{word}").unwrap();
            // The harness writes something of its own, also in front of an answer.
            let answer = output.find(|line| line.contains("answer")).unwrap();
            assert!(answer.ends_with(&format!("answer 42: {word}")), "{answer}");
        }
        drop(input);
        output.for_each(drop);
        let rest = errors.collect::<Vec<_>>();
        assert!(child.wait().unwrap().success(), "{rest:?}");
    });
}

/// The second process: its input is a file, or nothing.
fn count_lines() {
    let lines = stdin().lines().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(stdin().lock().read_until(b'\n', &mut Vec::new()).unwrap(), 0);
    writeln!(stdout(), "there were {}: {:?}", lines.len(), lines.last()).unwrap();
}

#[test]
fn standard_input_may_be_a_file_or_nothing() {
    if part().is_some() {
        return within(LIMIT, count_lines);
    }
    within(LIMIT, || {
        let path = std::env::temp_dir().join(format!("ramie-input-{}", std::process::id()));
        fs::write(&path, "a line\n".repeat(5000) + "the last").unwrap();
        for (input, expected) in [
            (Stdio::from(File::open(&path).unwrap()), "there were 5001: Some(\"the last\")"),
            (Stdio::null(), "there were 0: None"),
        ] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["stdio::standard_input_may_be_a_file_or_nothing", "--exact", "--nocapture"])
                .env("RAMIE_TEST_PART", "child")
                .stdin(input)
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.lines().any(|line| line.ends_with(expected)), "{text}");
        }
        fs::remove_file(path).unwrap();
    });
}

/// The second process: many greenlets write to its output at once.
fn write_lines() {
    let writers: Vec<_> = (0..20)
        .map(|writer| {
            spawn(move || {
                for round in 0..20 {
                    let filler = "x".repeat(1000);
                    writeln!(stdout(), "line {writer} {round} {filler} end").unwrap();
                    let mut lock = stdout().lock();
                    lock.write_all(b"line and ").unwrap();
                    yield_now();
                    lock.write_all(b"end\n").unwrap();
                }
            })
        })
        .collect();
    ramie::joinall(&writers);
}

#[test]
fn what_is_written_at_once_stays_together() {
    const PART: &str = "many writers";
    if part().as_deref() == Some(PART) {
        return within(LIMIT, write_lines);
    }
    within(LIMIT, || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["stdio::what_is_written_at_once_stays_together", "--exact", "--nocapture"])
            .env("RAMIE_TEST_PART", PART)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = Cooperative::new(child.stdout.take().unwrap()).unwrap();
        let mut text = String::new();
        // Slowly, so that the writers have to wait in the middle of their lines.
        loop {
            let mut buffer = [0; 20000];
            let length = output.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            text += std::str::from_utf8(&buffer[..length]).unwrap();
            sleep(Duration::from_millis(1));
        }
        assert!(child.wait().unwrap().success());
        let whole = text.matches("line and end\n").count();
        let long = text.lines().filter(|line| line.contains("line ") && line.ends_with("x end")).count();
        assert_eq!((whole, long), (400, 400));
    });
}
