//! Ctrl-C under `run`, and signals that are given back: each in a process of its own, which a
//! signal ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;
use std::{env, fs, thread};

use ramie::process::{Child, ChildStdout, Command, Stdio};
use ramie::signal::{SIGINT, SIGTERM, SIGUSR1, Signals, signal_handler};
use ramie::sync::Event;
use ramie::{GreenletExit, KeyboardInterrupt, Run, catch, run, sleep, spawn, wait_timeout, yield_now};

use crate::util::borrow_fixtures::OnDrop;
use crate::util::subprocess::part;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// A second process that runs one part, and what it says.
struct Second {
    child: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl Second {
    /// Starts the part of that name, which is the name of its test, by a shell's command in front
    /// if there is one.
    fn start(test: &str, shell: Option<&str>) -> Self {
        let own = env::current_exe().unwrap();
        let mut command = match shell {
            Some(script) => {
                let mut command = Command::new("sh");
                command.args(["-c", script]).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.args([&format!("interrupt::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
        command.env("RAMIE_TEST_PART", test).env("RUST_BACKTRACE", "0").kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        Second { child, says }
    }

    /// Waits until it prints that; the harness may have written something in front. Returns its
    /// other output up to then.
    fn hear(&mut self, word: &str) -> Vec<String> {
        let mut others = Vec::new();
        loop {
            let line = self.says.next().unwrap_or_else(|| panic!("no {word}, but {others:?}")).unwrap();
            if line.ends_with(word) {
                return others;
            }
            others.push(line);
        }
    }

    fn send(&self, signal: i32) {
        self.child.send_signal(signal).unwrap();
    }

    /// Waits for its end, and returns that and what else it has said.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let rest = self.says.map(Result::unwrap).collect();
        (self.child.wait().unwrap(), rest)
    }

    /// Waits for its end, which is to be by this signal, without another word but these.
    #[track_caller]
    fn ends_by(self, signal: i32, words: &[&str]) {
        let (status, rest) = self.end();
        assert_eq!((status.signal(), rest), (Some(signal), words.iter().map(|&word| word.into()).collect()));
    }
}

/// Says something, which is there at once.
fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().unwrap();
}

/// Says so when it is dropped, once it has waited.
fn says_at_its_end(word: &'static str) -> OnDrop<impl FnMut()> {
    OnDrop(move || {
        sleep(Duration::from_millis(1));
        say(word);
    })
}

/// `run`, also where the tests themselves were started with `SIGINT` ignored.
fn ours() -> Run {
    Run::new().interruptible(true)
}

/// Runs the test's own part in the second process, or `body` in the first one.
macro_rules! test {
    ($name:ident, $part:expr, $body:expr) => {
        #[test]
        fn $name() {
            match part().as_deref() {
                Some(part) => assert!(part != stringify!($name) || within(LIMIT, $part) == ()),
                None => within(LIMIT, || {
                    let body: fn(Second) = $body;
                    body(Second::start(stringify!($name), None))
                }),
            }
        }
    };
}

/// Returns `true` if this process was started with the default for `SIGINT`, where the system
/// reports it.
fn has_default() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    let default = ignored & 1 << (SIGINT - 1) == 0;
    if !default {
        println!("skipped: SIGINT was ignored from the start");
    }
    default
}

test!(
    interrupt_kills_everything_and_destructors_run,
    || {
        ours().run(|| {
            let _main = says_at_its_end("main");
            for word in ["one", "two"] {
                spawn(move || {
                    let _end = says_at_its_end(word);
                    sleep(LONG);
                });
            }
            yield_now();
            say("ready");
            sleep(LONG);
        });
        say("never said");
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["main", "one", "two"]);
    }
);

test!(
    run_needs_no_asking,
    || {
        run(|| {
            let _main = says_at_its_end("main");
            say("ready");
            sleep(LONG);
        });
    },
    |mut second| {
        second.hear("ready");
        if has_default() {
            second.send(SIGINT);
            second.ends_by(SIGINT, &["main"]);
        }
    }
);

test!(
    deadlocked_main_is_interrupted_while_something_else_could_wake_it,
    || {
        ours().run(|| {
            let waiting = spawn(|| sleep(LONG));
            say("ready");
            waiting.join();
        });
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &[]);
    }
);

/// Catches every kill.
fn stubborn() {
    spawn(|| {
        loop {
            if catch::<GreenletExit, _>(|| sleep(LONG)).is_err() {
                say("stubborn");
            }
        }
    });
    yield_now();
}

test!(
    second_interrupt_ends_at_once,
    || {
        ours().grace(LONG).run(|| {
            let _main = says_at_its_end("main");
            stubborn();
            say("ready");
            sleep(LONG);
        });
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.hear("stubborn");
        second.send(SIGINT);
        second.ends_by(SIGINT, &[]);
    }
);

test!(
    grace_has_an_end,
    || {
        ours().grace(SHORT).run(|| {
            stubborn();
            say("ready");
            sleep(LONG);
        });
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["stubborn"]);
    }
);

test!(
    grace_has_an_end_by_itself,
    || {
        ours().run(|| {
            stubborn();
            say("ready");
            sleep(LONG);
        });
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["stubborn"]);
    }
);

test!(
    busy_program_ends_by_the_second_one,
    || {
        ours().run(|| {
            say("ready");
            loop {
                std::hint::spin_loop();
            }
        });
    },
    |mut second| {
        second.hear("ready");
        // Two that come at once are one.
        while second.child.try_wait().unwrap().is_none() {
            second.send(SIGINT);
            sleep(Duration::from_millis(5));
        }
        second.ends_by(SIGINT, &[]);
    }
);

test!(
    interrupt_before_the_end_of_a_busy_body_counts,
    || {
        ours().run(|| {
            say("ready");
            // Without a wait.
            std::io::stdin().read_exact(&mut [0]).unwrap();
        });
        say("never said");
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        // The arrival cannot be seen from here.
        sleep(Duration::from_millis(300));
        second.child.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        second.ends_by(SIGINT, &[]);
    }
);

test!(
    interrupt_can_be_caught,
    || {
        let value = ours().run(|| {
            say("ready");
            assert!(catch::<KeyboardInterrupt, _>(|| sleep(LONG)).is_err());
            say("caught");
            sleep(SHORT);
            5
        });
        assert_eq!(value, 5);
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.hear("caught");
        let (status, _) = second.end();
        assert!(status.success());
    }
);

test!(
    interrupt_while_what_is_left_is_joined_or_killed,
    || {
        ours().join_left().run(|| {
            spawn(|| {
                let _end = says_at_its_end("joined");
                say("ready");
                sleep(LONG);
            });
        });
        say("never said");
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["joined"]);
    }
);

test!(
    interrupt_shortens_the_end,
    || {
        ours().run(stubborn);
        say("never said");
    },
    |mut second| {
        // It is being killed, without a limit.
        second.hear("stubborn");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["stubborn"]);
    }
);

test!(
    run_inside_a_run_leaves_it_to_that,
    || {
        ours().run(|| {
            let _outer = says_at_its_end("outer");
            run(|| {
                let _inner = says_at_its_end("inner");
                spawn(|| {
                    let _end = says_at_its_end("greenlet");
                    sleep(LONG);
                });
                yield_now();
                say("ready");
                sleep(LONG);
            });
        });
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["inner", "greenlet", "outer"]);
    }
);

test!(
    several_threads_are_all_interrupted,
    || {
        let runs = ["one", "two", "three"].map(|word| {
            thread::spawn(move || {
                ours().run(|| {
                    let _end = says_at_its_end(word);
                    say("ready");
                    sleep(LONG);
                });
            })
        });
        let ended = runs.map(|run| run.join().is_err());
        assert!(ended.contains(&true));
        // The last one has ended the process.
        thread::sleep(LONG);
    },
    |mut second| {
        for _ in 0..3 {
            second.hear("ready");
        }
        second.send(SIGINT);
        let (status, mut rest) = second.end();
        rest.sort();
        assert_eq!(
            (status.signal(), rest),
            (Some(SIGINT), ["one", "three", "two"].map(String::from).to_vec())
        );
    }
);

test!(
    refused_interrupt_does_what_it_did,
    || {
        Run::new().interruptible(false).run(|| {
            let _main = says_at_its_end("main");
            say("ready");
            sleep(LONG);
        });
    },
    |mut second| {
        second.hear("ready");
        if has_default() {
            second.send(SIGINT);
            second.ends_by(SIGINT, &[]);
        }
    }
);

test!(
    after_run_a_signal_does_what_it_did,
    || {
        for _ in 0..2 {
            run(|| sleep(Duration::from_millis(1)));
        }
        say("ready");
        thread::sleep(LONG);
    },
    |mut second| {
        second.hear("ready");
        if has_default() {
            second.send(SIGINT);
            second.ends_by(SIGINT, &[]);
        }
    }
);

test!(
    listener_takes_interrupts_over_and_gives_them_back,
    || {
        ours().run(|| {
            let _main = says_at_its_end("main");
            let signals = Signals::new([SIGINT]).unwrap();
            for _ in 0..3 {
                say("ready");
                assert_eq!(signals.wait().unwrap(), SIGINT);
            }
            drop(signals);
            let handled = Rc::new(Event::new());
            let tell = handled.clone();
            let handler = signal_handler(SIGINT, move || tell.set()).unwrap();
            say("ready");
            assert!(catch::<KeyboardInterrupt, _>(|| handled.wait_timeout(LONG)).is_ok_and(|is_set| is_set));
            sleep(SHORT);
            drop(handler);
            say("mine");
            sleep(LONG);
        });
    },
    |mut second| {
        for _ in 0..4 {
            second.hear("ready");
            second.send(SIGINT);
        }
        second.hear("mine");
        second.send(SIGINT);
        second.ends_by(SIGINT, &["main"]);
    }
);

test!(
    signal_that_nobody_listens_to_any_more_does_what_it_did,
    || {
        let signals = Signals::new([SIGTERM, SIGUSR1]).unwrap();
        let handler = signal_handler(SIGTERM, || ()).unwrap();
        say("ready");
        assert_eq!(signals.wait().unwrap(), SIGTERM);
        drop(handler);
        say("once more");
        assert_eq!(signals.wait().unwrap(), SIGTERM);
        drop(signals);
        say("gone");
        thread::sleep(LONG);
    },
    |mut second| {
        second.hear("ready");
        second.send(SIGTERM);
        second.hear("once more");
        second.send(SIGTERM);
        second.hear("gone");
        second.send(SIGTERM);
        second.ends_by(SIGTERM, &[]);
    }
);

/// A signal that was ignored from the start stays ignored, under `run` and after a listener.
#[test]
fn ignored_signal_stays_ignored() {
    const NAME: &str = "ignored_signal_stays_ignored";
    if part().as_deref() == Some(NAME) {
        return within(LIMIT, || {
            run(|| {
                let signals = Signals::new([SIGTERM]).unwrap();
                say("ready");
                assert_eq!(signals.wait().unwrap(), SIGTERM);
                drop(signals);
                say("again");
                // Nothing is to come, and nothing does.
                let mut input = ramie::io::stdin();
                input.read_exact(&mut [0]).unwrap();
            });
            say("done");
        });
    }
    if !cfg!(target_os = "linux") {
        return; // Elsewhere it is unknown.
    }
    within(LIMIT, || {
        let mut second = Second::start(NAME, Some("trap '' INT TERM; exec \"$0\" \"$@\""));
        second.hear("ready");
        second.send(SIGINT);
        second.send(SIGTERM);
        second.hear("again");
        second.send(SIGINT);
        second.send(SIGTERM);
        assert!(wait_timeout(&[second.child.handle()], Duration::from_millis(100)).is_empty());
        second.child.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        second.hear("done");
        assert!(second.end().0.success());
    });
}
