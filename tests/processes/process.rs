//! Children: their pipes, their end, and their remains after any end of a waiter.
#![cfg(unix)]

use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::time::Duration;
use std::{fs, process, thread};

use ramie::process::{Child, Command, Stdio, TimeoutExpired};
use ramie::signal::{SIGKILL, SIGTERM};
use ramie::{
    GreenletExit, TimedOut, catch, get_hub, iwait, joinall, killall, sleep, spawn, spawn_later, wait_timeout,
    with_timeout, yield_now,
};

use crate::util::children::{alone, childless, piped, shell, wait_until_childless};
use crate::util::log::Log;
use crate::util::sleepers::parked;

const SHORT: Duration = Duration::from_millis(20);
/// In that time a shell has done what it is told to do at once.
const ENOUGH: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(3600);
const MUCH: usize = 10_000_000;

/// A command that outlives every test, unless it is killed.
fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("3600");
    command
}

#[test]
fn others_run_while_a_child_is_waited_for() {
    alone(|| {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let mut child = piped("read line; echo $line").spawn().unwrap();
        let input = child.stdin.take().unwrap();
        // The child cannot end before the other one has had its turns.
        let ticking = spawn(move || {
            for _ in 0..3 {
                sleep(Duration::from_millis(1));
                count.set(count.get() + 1);
            }
            writeln!(&input, "enough").unwrap();
        });
        let mut line = String::new();
        child.stdout.take().unwrap().read_to_string(&mut line).unwrap();
        assert_eq!((line.as_str(), turns.get()), ("enough\n", 3));
        ticking.join();
        assert_eq!(child.stderr.take().unwrap().read(&mut [0]).unwrap(), 0);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn child_is_talked_to() {
    alone(|| {
        let mut child = piped("while read line; do echo \"<$line>\"; done").spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        for word in ["one", "two", "three"] {
            writeln!(child.stdin.as_ref().unwrap(), "{word}").unwrap();
            assert_eq!(answers.next().unwrap().unwrap(), format!("<{word}>"));
        }
        assert!(child.try_wait().unwrap().is_none());
        // Its input is closed, at the end of which it ends.
        assert!(child.wait().unwrap().success());
        assert!(child.stdin.is_none() && answers.next().is_none());
        assert!(child.wait().unwrap().success() && child.try_wait().unwrap().unwrap().success());
    });
}

#[test]
fn two_hundred_children_at_once() {
    alone(|| {
        let children = (0..200).map(|number| {
            spawn(move || {
                let output = shell(&format!("echo {number}; exit {}", number % 100)).output().unwrap();
                (output.stdout, output.status.code())
            })
        });
        let children = children.collect::<Vec<_>>();
        joinall(&children);
        for (number, child) in children.into_iter().enumerate() {
            let expected = (format!("{number}\n").into_bytes(), Some(number as i32 % 100));
            assert_eq!(child.take().unwrap(), expected);
        }
    });
}

#[test]
fn much_goes_in_and_out_at_once() {
    alone(|| {
        let input = (0..MUCH).map(|at| at as u8).collect::<Vec<_>>();
        let output = piped("tee /dev/stderr").spawn().unwrap().communicate(&input).unwrap();
        assert!(output.status.success());
        assert!(output.stdout == input && output.stderr == input);
        // Errors fill their pipe while the input is not read yet.
        let script = "head -c 1000000 /dev/zero >&2; cat";
        let output = piped(script).spawn().unwrap().communicate(&input).unwrap();
        assert!(output.stdout == input && output.stderr.len() == 1_000_000);
    });
}

#[test]
fn child_need_not_read_its_input() {
    alone(|| {
        let input = vec![b'x'; MUCH];
        let output = piped("echo done").spawn().unwrap().communicate(&input).unwrap();
        assert!(output.status.success() && output.stdout == b"done\n");
        let output = piped("exec <&-; echo closed").spawn().unwrap().communicate(&input).unwrap();
        assert!(output.status.success() && output.stdout == b"closed\n");
        let output = piped("head -c 3").spawn().unwrap().communicate(&input).unwrap();
        assert!(output.status.success() && output.stdout == b"xxx");
        // By hand it is an error, and not the end of this process.
        let mut child = piped("exec <&-; echo closed").spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 7]).unwrap();
        let error = child.stdin.as_ref().unwrap().write(&input).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn limit_is_for_every_stage_and_keeps_what_was_read() {
    alone(|| {
        let cases = [
            ("echo out; echo err >&2; exec sleep 3600", MUCH, "out\n", "err\n"),
            ("echo out; exec >&- 2>&-; exec sleep 3600", 0, "out\n", ""),
            ("exec <&- >&- 2>&-; exec sleep 3600", MUCH, "", ""),
            ("exec >&-; echo err >&2; exec sleep 3600", 0, "", "err\n"),
        ];
        let cases = cases.map(|(script, input, stdout, stderr)| {
            spawn(move || {
                let child = piped(script).spawn().unwrap();
                let error = child.communicate_timeout(vec![b'x'; input], ENOUGH).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                let expired: TimeoutExpired = error.downcast().unwrap();
                assert_eq!(expired.timeout, ENOUGH);
                assert_eq!(
                    (expired.stdout.as_slice(), expired.stderr.as_slice()),
                    (stdout.as_bytes(), stderr.as_bytes())
                );
            })
        });
        for case in cases {
            case.get().unwrap();
        }
    });
}

#[test]
fn limit_ends_what_is_never_silent() {
    alone(|| {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let ticking = spawn(move || {
            loop {
                count.set(count.get() + 1);
                yield_now();
            }
        });
        let error = Command::new("yes").output_timeout(Duration::from_millis(100)).unwrap_err();
        let expired: TimeoutExpired = error.downcast().unwrap();
        assert!(expired.stdout.starts_with(b"y\ny\n"));
        assert!(turns.get() > 2, "others run although there is always something to read");
        ticking.kill();
        let error = sleeper().status_timeout(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("20ms"), "{error}");
    });
}

#[test]
fn grandchildren_that_hold_a_pipe_are_not_waited_for() {
    alone(|| {
        let error = shell("sleep 3600 & echo $!; wait").output_timeout(ENOUGH).unwrap_err();
        let expired: TimeoutExpired = error.downcast().unwrap();
        let grandchild = String::from_utf8(expired.stdout).unwrap();
        assert!(shell(&format!("kill {grandchild}")).status().unwrap().success());
    });
}

/// The child was not killed, and its exit status is not lost.
#[test]
fn limit_tells_how_a_child_had_ended_by_itself() {
    alone(|| {
        let script = "sleep 3600 & echo $!; exit 7";
        let error = shell(script).output_timeout(ENOUGH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains("exited (exit status: 7)") && !text.contains("killed"), "{text}");
        let expired: TimeoutExpired = error.downcast().unwrap();
        assert_eq!(expired.status.unwrap().code(), Some(7));
        let grandchild = String::from_utf8(expired.stdout).unwrap();
        assert!(shell(&format!("kill {grandchild}")).status().unwrap().success());

        let error = sleeper().output_timeout(SHORT).unwrap_err();
        assert!(error.to_string().contains("was killed"), "{error}");
        assert_eq!(error.downcast::<TimeoutExpired>().unwrap().status, None);
    });
}

/// A call that owns its child, and waits for what does not come.
type Call = (&'static str, fn());

const CALLS: [Call; 9] = [
    ("status", || drop(sleeper().status())),
    ("status_timeout", || drop(sleeper().status_timeout(LONG))),
    ("output", || drop(sleeper().output())),
    ("output_timeout", || drop(sleeper().output_timeout(LONG))),
    ("output, with only one of the pipes open", || drop(shell("exec >&-; exec sleep 3600").output())),
    ("output, with both pipes closed", || drop(shell("exec >&- 2>&-; exec sleep 3600").output())),
    ("communicate", || drop(piped("exec sleep 3600").spawn().unwrap().communicate(vec![0; MUCH]))),
    ("wait_with_output", || drop(piped("exec sleep 3600").spawn().unwrap().wait_with_output())),
    ("a child that is killed with its greenlet", || {
        let mut child = sleeper().kill_on_drop(true).spawn().unwrap();
        drop(child.wait());
    }),
];

/// Lets the call come to its wait: the shell has closed its pipes by then, most of the time.
fn settle() {
    sleep(SHORT);
}

#[test]
fn child_ends_with_the_call_that_owns_it() {
    alone(|| {
        for (name, call) in CALLS {
            let killed = parked(call);
            settle();
            killed.kill();
            assert!(killed.dead() && killed.successful(), "{name}");
            wait_if_dropped(name);
            assert_eq!(with_timeout(SHORT, call), Err(TimedOut), "{name}");
            wait_if_dropped(name);
            let timed_out = spawn(move || with_timeout(SHORT, call));
            assert_eq!(timed_out.get().unwrap(), Err(TimedOut), "{name}");
            wait_if_dropped(name);
            let many = [parked(call), parked(call)];
            killall(&many);
            wait_if_dropped(name);
            // Killed before it has begun, and in its first turn.
            let unborn = spawn(call);
            unborn.kill();
            let infant = parked(call);
            infant.kill();
            wait_if_dropped(name);
        }
    });
}

/// A call has reaped its child when it returns; a child that was dropped is reaped a little later.
fn wait_if_dropped(name: &str) {
    if name.contains("with its greenlet") {
        wait_until_childless();
    }
    assert!(childless(), "{name}");
}

#[test]
fn kill_that_is_caught_finds_the_child_gone() {
    alone(|| {
        let catching = parked(|| {
            let caught = catch::<GreenletExit, _>(|| sleeper().output()).is_err();
            (caught, childless(), shell("exit 4").status().unwrap().code())
        });
        catching.kill();
        assert_eq!(catching.get().unwrap(), (true, true, Some(4)));
    });
}

#[test]
fn interrupted_wait_leaves_the_child_running() {
    alone(|| {
        let mut child = sleeper().spawn().unwrap();
        assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
        assert_eq!(with_timeout(SHORT, || child.wait().map(drop).unwrap()), Err(TimedOut));
        let handle = child.handle().clone();
        let waiting = parked(move || handle.wait().map(drop).unwrap());
        waiting.kill();
        drop(waiting);
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
    });
}

#[test]
fn dropped_child_runs_on_and_is_reaped() {
    alone(|| {
        let path = std::env::temp_dir().join(format!("ramie-orphan-{}", process::id()));
        let script = format!("read line; echo \"$line\" > {}", path.display());
        let mut child = piped(&script).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        drop(child);
        assert!(!childless());
        writeln!(&input, "still there").unwrap();
        drop(input);
        wait_until_childless();
        assert_eq!(fs::read_to_string(&path).unwrap(), "still there\n");
        fs::remove_file(path).unwrap();
        // With the thread that started it, and its hub.
        thread::spawn(|| drop(shell("sleep 0.1").spawn().unwrap())).join().unwrap();
        wait_until_childless();
        // One that has ended before the first check.
        let child = shell("exit 1").spawn().unwrap();
        child.handle().wait().unwrap();
        drop(child);
        assert!(childless());
        let orphans = (0..50).map(|_| sleeper().kill_on_drop(true).spawn().unwrap()).collect::<Vec<_>>();
        drop(orphans);
        wait_until_childless();
    });
}

#[test]
fn children_of_others_are_left_to_them() {
    alone(|| {
        let script = ["-c", "exit 7"];
        let mut theirs = process::Command::new("sh").args(script).spawn().unwrap();
        drop(shell("sleep 0.05").spawn().unwrap());
        for _ in 0..20 {
            assert_eq!(shell("exit 5").status().unwrap().code(), Some(5));
        }
        drop(sleeper().kill_on_drop(true).spawn().unwrap());
        assert_eq!(ramie::blocking(|| theirs.wait().unwrap()).code(), Some(7));
        wait_until_childless();
    });
}

#[test]
fn child_of_std_is_taken_over_whatever_it_has_come_to() {
    alone(|| {
        let std =
            || process::Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let child = Child::try_from(std()).unwrap();
        assert_eq!(child.communicate("input").unwrap().stdout, b"input");
        let mut ended = std();
        ended.kill().unwrap();
        ended.wait().unwrap();
        let ended = Child::try_from(ended).unwrap();
        assert_eq!(wait_timeout(&[&ended], LONG).len(), 1);
        assert_eq!(ended.handle().wait().unwrap().signal(), Some(SIGKILL));
        assert!(ended.communicate("").unwrap().stdout.is_empty());
        let mut dead = std();
        dead.kill().unwrap();
        assert_eq!(Child::try_from(dead).unwrap().wait().unwrap().signal(), Some(SIGKILL));
    });
}

#[test]
fn several_wait_for_one_child() {
    alone(|| {
        let child = sleeper().spawn().unwrap();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let handle = child.handle().clone();
                parked(move || handle.wait().unwrap())
            })
            .collect();
        let handle = child.handle().clone();
        drop(child);
        assert!(handle.try_wait().unwrap().is_none(), "a handle keeps it from being an orphan");
        handle.terminate().unwrap();
        for waiting in waiting {
            assert_eq!(waiting.get().unwrap().signal(), Some(SIGTERM));
        }
    });
}

#[test]
fn children_are_waited_for_among_others() {
    alone(|| {
        let reading = || piped("read line").spawn().unwrap();
        let mut children = [reading(), reading(), reading()];
        assert!(wait_timeout(&children, SHORT).is_empty(), "none has ended");
        let inputs = children.each_mut().map(|child: &mut Child| child.stdin.take());
        let mut ended = Vec::new();
        let mut inputs = inputs.map(Some);
        drop(inputs[1].take());
        for child in iwait(&children) {
            assert!(child.try_wait().unwrap().is_some());
            let index = children.iter().position(|other| std::ptr::eq(other, child)).unwrap();
            ended.push(index);
            drop(inputs[[2, 0, 1][index]].take());
        }
        assert_eq!(ended, [1, 0, 2]);
        let over = wait_timeout(&children, LONG);
        assert_eq!(over.len(), 3, "what has ended is ready");
        // A greenlet among children, and a link that is taken back.
        let sleeping = sleeper().spawn().unwrap();
        assert!(wait_timeout(&[sleeping.handle()], SHORT).is_empty());
        sleeping.kill().unwrap();
        assert_eq!(wait_timeout(&[sleeping.handle()], LONG).len(), 1);
        drop((sleeping, children));
    });
}

#[test]
fn signals_are_sent_to_what_still_runs() {
    alone(|| {
        let mut child = sleeper().spawn().unwrap();
        assert_eq!(child.send_signal(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(child.send_signal(-1).unwrap_err().kind(), ErrorKind::InvalidInput);
        child.send_signal(SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
        child.kill().unwrap();
        child.terminate().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
        assert!(child.id() > 0);
    });
}

#[test]
fn what_cannot_be_started_leaves_nothing() {
    alone(|| {
        for _ in 0..20 {
            let error = Command::new("/no/such/program").spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let error = Command::new("true").current_dir("/no/such/folder").output().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let error = Command::new("/").stdout(Stdio::piped()).status().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    });
}

#[test]
fn command_says_what_std_would() {
    alone(|| {
        let mut command =
            shell("echo $A $B $C; pwd; echo $0; test $$ = $(ps -o pgid= -p $$ | tr -d ' ') && echo leads");
        command.arg("zero").env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command
            .envs([("A", "1"), ("B", "2")])
            .env("C", "3")
            .env_remove("B")
            .current_dir("/")
            .process_group(0);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(text.starts_with("1 3\n/\nzero\n"), "{text}");
        let mut command = Command::new("sh");
        command.arg0("another").args(["-c", "echo $0"]);
        assert_eq!(command.output().unwrap().stdout, b"another\n");
        let mut std = process::Command::new("sh");
        std.args(["-c", "echo $X"]);
        let mut command = Command::from(std);
        command.as_std_mut().env("X", "x");
        assert_eq!(command.output().unwrap().stdout, b"x\n");
        assert_eq!(command.into_std().get_program(), "sh");
    });
}

#[test]
fn output_takes_what_was_not_sent_elsewhere() {
    alone(|| {
        let mut command = shell("echo out; echo err >&2; cat");
        command.stdout(Stdio::null());
        for _ in 0..2 {
            let output = command.output().unwrap();
            assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b"err\n"[..]));
        }
        // Afterwards the command is as it was: the rest is inherited.
        let child = shell("exit 0").stderr(Stdio::piped()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_some());
        assert!(child.wait_with_output().unwrap().status.success());
        let mut command = shell("exit 0");
        command.output().unwrap();
        let mut child = command.spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait().unwrap();
    });
}

#[test]
fn input_without_a_pipe_is_an_error() {
    alone(|| {
        let error = sleeper().spawn().unwrap().communicate("input").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(childless());
        assert!(shell("exit 0").spawn().unwrap().communicate("").unwrap().status.success());
    });
}

#[test]
fn pipes_of_ours_go_to_children_and_from_one_to_the_next() {
    alone(|| {
        let mut first = piped("echo a line").spawn().unwrap();
        let between = Stdio::try_from(first.stdout.take().unwrap()).unwrap();
        let output = shell("tr a-z A-Z").stdin(between).output().unwrap();
        assert_eq!(output.stdout, b"A LINE\n");
        assert!(first.wait().unwrap().success());
    });
}

#[test]
fn hub_cannot_wait_for_a_child_and_leaves_none() {
    alone(|| {
        let errors = Log::of_errors();
        get_hub().run_callback(|| drop(sleeper().output()));
        yield_now();
        assert_eq!(errors.len(), 1);
        wait_until_childless();
    });
}

#[test]
fn child_is_killed_where_the_greenlet_panics() {
    alone(|| {
        let _errors = Log::of_errors();
        let panicking = spawn(|| {
            let _child = sleeper().kill_on_drop(true).spawn().unwrap();
            std::panic::resume_unwind(Box::new("no luck"));
        });
        assert!(panicking.get().unwrap_err().is_panic());
        wait_until_childless();
    });
}

#[test]
fn child_that_ends_in_time_is_not_killed() {
    alone(|| {
        for _ in 0..30 {
            let output = shell("echo x").output_timeout(LONG).unwrap();
            assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"x\n"[..]));
            let mut child = shell("exit 3").spawn().unwrap();
            let handle = child.handle().clone();
            let late = spawn_later(LONG, move || handle.kill().unwrap());
            assert_eq!(child.wait().unwrap().code(), Some(3));
            late.kill();
        }
    });
}
