//! Raising and catching: exceptions by type, exceptions that arrive in main, and the report of an
//! uncaught one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Duration;

use ramie::hub::Raised;
use ramie::sync::{Event, Semaphore};
use ramie::{
    Builder, Exception, Greenlet, GreenletExit, LoopExit, SystemExit, Timeout, catch, raise, run, sleep,
    spawn, yield_now,
};

use crate::util::log::Log;
use crate::util::subprocess::{again, part, stderr};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn loop_exit_names_who_waits_for_what() {
    within(LIMIT, || {
        let event = Event::new();
        let waits = Builder::new().name("patient").spawn({
            let event = event.clone();
            move || event.wait()
        });
        let line = line!() - 4;
        let joins = spawn({
            let waits = waits.clone();
            move || waits.join()
        });
        yield_now();
        let name = joins.name();
        let exit = catch::<LoopExit, _>(|| Semaphore::new(0).acquire()).unwrap_err();
        let told: Vec<_> = exit.waiting.iter().map(|who| (who.name.as_str(), who.reason)).collect();
        let expected = [
            ("main greenlet", "Semaphore::acquire"),
            ("patient", "Event::wait"),
            (name.as_str(), "Greenlet::join"),
        ];
        assert_eq!(told, expected);
        let site = exit.waiting[1].site.unwrap();
        assert_eq!((site.file(), site.line()), (file!(), line));
        let text = exit.to_string();
        assert!(text.starts_with("this operation would block forever\n"), "{text}");
        assert!(text.contains(&format!("patient (spawned at {}:{line}:", file!())), "{text}");
        // Nothing else is disturbed by it.
        event.set();
        waits.join();
        joins.join();
    });
}

#[test]
fn system_exit_arrives_in_main() {
    within(LIMIT, || {
        let exiting = spawn(|| {
            sleep(Duration::from_millis(1));
            raise(SystemExit(3))
        });
        let exit = catch::<SystemExit, _>(|| sleep(LONG)).unwrap_err();
        assert_eq!(*exit, SystemExit(3));
        assert!(exiting.ready() && !exiting.successful());
        // One that has not run yet is no different.
        let unrun = Greenlet::<()>::new(|| ());
        let exit = catch::<SystemExit, _>(|| {
            unrun.kill_with(SystemExit(4));
            sleep(Duration::from_millis(50));
        });
        assert_eq!(*exit.unwrap_err(), SystemExit(4));
        sleep(SHORT);
    });
}

#[test]
fn system_exit_waits_for_a_destructor_of_main() {
    within(LIMIT, || {
        let log = Log::new();
        let exit = catch::<SystemExit, _>(|| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _guard = OnDrop(|| {
                    spawn(|| raise(SystemExit(5))).join();
                    sleep(SHORT);
                    log.add("cleaned");
                });
                resume_unwind(Box::new("first"));
            }));
            assert!(caught.is_err());
            sleep(Duration::from_millis(50));
            log.add("missed");
        });
        assert_eq!(*exit.unwrap_err(), SystemExit(5));
        log.expect("cleaned");
    });
}

#[test]
fn exceptions_are_caught_by_type_through_all_levels() {
    within(LIMIT, || {
        let original = Exception::new("inner");
        let raised = original.clone();
        let caught = catch::<&str, _>(|| {
            catch::<u32, _>(|| {
                let nested = catch::<u32, _>(|| raise(5_u32)).unwrap_err();
                assert_eq!(*nested, 5);
                raise(raised)
            })
            .unwrap()
        });
        let caught: Result<(), _> = caught;
        let caught = caught.unwrap_err();
        assert!(caught.exception().same(&original));
        // Raised again, from a destructor's catch, and by a timeout of its own error.
        let again = catch::<&str, ()>(|| raise(caught.into_exception())).unwrap_err();
        assert!(again.into_exception().same(&original));
        let late = catch::<u32, _>(|| Timeout::new(SHORT).exception(9_u32).scope(|| sleep(LONG)));
        assert_eq!(*late.unwrap_err(), 9);
        let log = Log::new();
        let outer = catch::<&str, ()>(|| {
            let _guard = OnDrop(|| {
                let inner = catch::<u32, ()>(|| raise(1_u32)).unwrap_err();
                log.add(*inner);
            });
            raise("outer")
        });
        assert_eq!(*outer.unwrap_err(), "outer");
        log.expect("1");
        // A panic is no exception.
        let panic = catch_unwind(|| catch::<&str, ()>(|| resume_unwind(Box::new("a panic"))));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"a panic"));
    });
}

#[test]
fn payload_of_a_raised_exception_can_be_looked_into() {
    within(LIMIT, || {
        let greenlet = spawn(|| {
            let payload = catch_unwind(|| sleep(LONG)).unwrap_err();
            let raised = payload.downcast::<Raised>().unwrap();
            assert!(raised.exception().unwrap().is::<GreenletExit>());
            assert!(format!("{raised:?}").contains("GreenletExit"));
            resume_unwind(raised)
        });
        yield_now();
        greenlet.kill();
        assert!(greenlet.dead() && greenlet.successful());

        let payload = catch_unwind(|| raise("handled")).unwrap_err();
        let raised = payload.downcast::<Raised>().unwrap();
        // On another thread there is nothing to see, and dropping it there does no harm.
        let raised = thread::spawn(move || {
            assert!(raised.exception().is_none());
            raised
        });
        let exception = raised.join().unwrap().into_exception().unwrap();
        assert_eq!(exception.downcast_ref(), Some(&"handled"));
        let payload = catch_unwind(|| raise(5_u32)).unwrap_err();
        thread::spawn(move || drop(payload)).join().unwrap();
    });
}

#[test]
fn exception_that_ends_main_is_told_on_stderr() {
    const NAME: &str = "raise::exception_that_ends_main_is_told_on_stderr";
    match part().as_deref() {
        // Main is a thread here, and the harness reports its end like that of any panic.
        Some("raise") => raise("this is not caught"),
        Some("loop exit") => Event::new().wait(),
        Some("handled") => {
            let _ = catch::<&str, ()>(|| raise("this is caught"));
        }
        Some("joined") => drop(thread::spawn(|| raise("in a thread")).join()),
        Some("exit") => run(|| drop(spawn(|| raise(SystemExit(7))).get())),
        Some("greenlet") => drop(spawn(|| raise("in a greenlet")).get()),
        _ => {
            let output = again(NAME, "raise");
            let told = "ramie: the main greenlet was ended by an exception: this is not caught\n";
            assert_eq!(stderr(&output).matches(told).count(), 1, "{output:?}");
            assert!(!output.status.success());
            let output = again(NAME, "loop exit");
            let text = stderr(&output);
            assert!(text.contains("this operation would block forever"), "{output:?}");
            assert!(text.contains("waits in Event::wait"), "{output:?}");
            assert!(!output.status.success());
            let output = again(NAME, "handled");
            assert_eq!(stderr(&output), "");
            assert!(output.status.success());
            let output = again(NAME, "joined");
            assert!(stderr(&output).contains("ended by an exception: in a thread\n"), "{output:?}");
            assert!(output.status.success());
            let output = again(NAME, "exit");
            assert_eq!(stderr(&output), "");
            assert_eq!(output.status.code(), Some(7));
            let output = again(NAME, "greenlet");
            let text = stderr(&output);
            assert!(text.starts_with("in a greenlet\n") && text.contains("failed with &str"), "{output:?}");
            assert!(!text.contains("main greenlet was ended"), "{output:?}");
        }
    }
}

#[test]
fn value_is_looked_at_by_many_at_once() {
    within(LIMIT, || {
        struct Slow(u32);
        impl Clone for Slow {
            fn clone(&self) -> Self {
                yield_now();
                Slow(self.0)
            }
        }
        let greenlet = spawn(|| Slow(5));
        greenlet.join();
        let getters: Vec<_> = (0..3)
            .map(|_| {
                let greenlet = greenlet.clone();
                spawn(move || greenlet.get().unwrap().0)
            })
            .collect();
        let seen = greenlet.with_value(|value| {
            yield_now();
            yield_now();
            value.0
        });
        assert_eq!(seen, Some(5));
        assert!(getters.iter().all(|getter| getter.get().is_ok_and(|value| value == 5)));
        assert_eq!(greenlet.take().unwrap().0, 5);
        assert!(greenlet.take().is_err_and(|failure| failure.is_taken()));
    });
}
