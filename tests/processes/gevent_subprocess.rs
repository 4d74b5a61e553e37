//! gevent's tests of child processes (`test__subprocess.py` and its neighbours), restated;
//! `process.rs` has more.
#![cfg(unix)]

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::time::Duration;

use ramie::process::{Command, Stdio, TimeoutExpired};
use ramie::{SystemExit, catch, sleep, spawn, wait, wait_timeout};

use crate::util::children::{alone, childless, piped, shell, wait_until_childless};
use crate::util::footprint::is_nonblocking;
use crate::util::log::Log;
use crate::util::sleepers::parked;

const SHORT: Duration = Duration::from_millis(20);
const ENOUGH: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(3600);

/// gevent: `TestPopen::test_exit`.
#[test]
fn status_is_that_of_the_child() {
    alone(|| assert_eq!(shell("exit 10").spawn().unwrap().wait().unwrap().code(), Some(10)));
}

/// gevent: `TestPopen::test_wait`.
#[test]
fn child_is_waited_for_like_everything_else() {
    alone(|| {
        let child = shell("exit 2").spawn().unwrap();
        assert_eq!(wait(&[&child]).len(), 1);
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(2));
    });
}

/// gevent: `TestPopen::test_child_exception`, `test_issue148`.
#[test]
fn missing_program_is_not_found_however_often() {
    alone(|| {
        for _ in 0..7 {
            let error = Command::new("*").spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    });
}

/// gevent: `TestPopen::test_leak`.
#[test]
fn no_descriptor_is_left_of_a_child_and_its_pipe() {
    // What is left is counted around it.
    alone(|| {
        let mut child = Command::new("echo").stdout(Stdio::piped()).spawn().unwrap();
        child.wait().unwrap();
    });
}

/// gevent: `TestPopen::test_communicate`.
#[test]
fn input_goes_in_and_both_outputs_come_out() {
    alone(|| {
        let output = piped("echo pineapple >&2; cat").spawn().unwrap().communicate("banana").unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"banana"[..], &b"pineapple\n"[..])
        );
    });
}

/// gevent: `TestPopen::test_communicate_undecodable`: bytes are bytes.
#[test]
fn output_is_bytes() {
    alone(|| {
        let output = shell("printf '\\377\\376'").output().unwrap();
        assert_eq!(output.stdout, [0xff, 0xfe]);
        // gevent: `test_default_mode_no_output_is_always_str`: none is nothing at all.
        assert_eq!(Command::new("true").output().unwrap().stdout, b"");
    });
}

/// gevent: `TestPopen::test_nonblock_removed`.
#[test]
fn pipe_is_in_blocking_mode_on_the_side_of_the_child() {
    alone(|| {
        let (reader, writer) = ramie::io::pipe().unwrap();
        assert!(is_nonblocking(&reader));
        // Read fails with `WouldBlock` in a mode that has not been taken back, as nothing is there
        // yet.
        let stdin = Stdio::try_from(reader).unwrap();
        let mut child = Command::new("cat").stdin(stdin).stdout(Stdio::piped()).spawn().unwrap();
        assert!(wait_timeout(&[&child], SHORT).is_empty(), "it waits for its input");
        (&writer).write_all(b"foobar\n").unwrap();
        drop(writer);
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "foobar\n");
        assert!(child.wait().unwrap().success());
    });
}

/// gevent: `TestPopen::test_check_output_keyword_error`, `RunFuncTestCase::test_returncode`,
/// `test_check`, `test_check_zero`.
#[test]
fn status_comes_with_the_output() {
    alone(|| {
        let output = shell("echo BDFL; exit 44").output().unwrap();
        assert_eq!((output.status.code(), output.status.success()), (Some(44), false));
        assert!(shell("exit 0").status().unwrap().success());
    });
}

/// gevent: `TestPopen::test_subprocess_in_native_thread`, but that it works there too.
#[test]
fn children_are_started_and_waited_for_in_any_thread() {
    alone(|| {
        let code = std::thread::spawn(|| shell("exit 6").status().unwrap().code());
        assert_eq!(code.join().unwrap(), Some(6));
    });
}

/// gevent: `TestPopen::test_exit_stops_communicating_greenlets_before_closing`.
#[test]
fn call_that_is_left_lets_go_of_pipes_and_child() {
    alone(|| {
        let talking = parked(|| piped("exec sleep 3600").spawn().unwrap().communicate("").map(drop).unwrap());
        talking.kill();
        assert!(talking.successful() && childless());
    });
}

/// gevent: `RunFuncTestCase::test_timeout`.
#[test]
fn expired_call_kills_its_child() {
    alone(|| {
        let error = shell("while :; do :; done").status_timeout(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(childless());
    });
}

/// gevent: `RunFuncTestCase::test_capture_stdout`, `test_capture_stderr`.
#[test]
fn either_output_is_captured() {
    alone(|| {
        assert_eq!(shell("printf BDFL").output().unwrap().stdout, b"BDFL");
        assert_eq!(shell("printf BDFL >&2").output().unwrap().stderr, b"BDFL");
    });
}

/// gevent: `RunFuncTestCase::test_check_output_stdin_arg`.
#[test]
fn input_may_be_a_file() {
    alone(|| {
        let path = std::env::temp_dir().join(format!("ramie-subprocess-{}", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all(b"pear").unwrap();
        file.rewind().unwrap();
        let output = Command::new("tr").args(["a-z", "A-Z"]).stdin(file).output().unwrap();
        assert_eq!(output.stdout, b"PEAR");
        std::fs::remove_file(path).unwrap();
    });
}

/// gevent: `RunFuncTestCase::test_check_output_input_arg`.
#[test]
fn input_may_be_bytes() {
    alone(|| {
        let mut command = Command::new("tr");
        command.args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        assert_eq!(command.spawn().unwrap().communicate("pear").unwrap().stdout, b"PEAR");
    });
}

/// gevent: `RunFuncTestCase::test_check_output_stdin_with_input_arg`.
#[test]
fn input_cannot_be_both() {
    alone(|| {
        let child = Command::new("cat").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.communicate("pear").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

/// gevent: `RunFuncTestCase::test_check_output_timeout`.
#[test]
fn expired_call_has_what_was_read() {
    alone(|| {
        let error = shell("printf BDFL; exec sleep 3600").output_timeout(ENOUGH).unwrap_err();
        assert_eq!(error.downcast::<TimeoutExpired>().unwrap().stdout, b"BDFL");
    });
}

/// gevent: `RunFuncTestCase::test_run_kwargs`.
#[test]
fn environment_is_passed_on() {
    alone(|| {
        assert_eq!(shell("exit $FRUIT").env("FRUIT", "33").status().unwrap().code(), Some(33));
    });
}

/// gevent: `RunFuncTestCase::test_run_with_shell_timeout_and_capture_output`.
#[test]
fn expired_call_does_not_wait_for_grandchildren() {
    alone(|| {
        let error = shell("sleep 3600 & echo $!; wait").output_timeout(ENOUGH).unwrap_err();
        let grandchild = String::from_utf8(error.downcast::<TimeoutExpired>().unwrap().stdout).unwrap();
        assert!(shell(&format!("kill {grandchild}")).status().unwrap().success());
    });
}

/// gevent: `test__subprocess_interrupted.py`.
#[test]
fn system_exit_while_a_child_runs_reaches_main() {
    alone(|| {
        let caught = catch::<SystemExit, _>(|| {
            spawn(|| {
                let _child = Command::new("sleep").arg("3600").kill_on_drop(true).spawn().unwrap();
                sleep(Duration::from_millis(1));
                ramie::raise(SystemExit(42));
            });
            sleep(LONG);
        });
        assert_eq!(caught.unwrap_err().0, 42);
        wait_until_childless();
    });
}

/// gevent: `test__subprocess_poll.py`.
#[test]
fn busy_loop_of_polls_ends() {
    alone(|| {
        let child = Command::new("true").spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
        };
        assert!(status.success());
    });
}

/// gevent, section 6.10 of the reference: any exception kills the child of a call and is raised on.
#[test]
fn exception_in_a_call_kills_its_child() {
    alone(|| {
        let _errors = Log::of_errors();
        let calling = parked(|| shell("exec sleep 3600").output().map(drop).unwrap());
        calling.kill_with("enough");
        assert!(childless());
        assert_eq!(calling.get().unwrap_err().downcast_ref(), Some(&"enough"));
    });
}
