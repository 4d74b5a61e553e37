//! Unwinding: destructors that wait, kills that are swallowed, panics beside panics, and what the
//! end of main says.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::hub::Raised;
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::{Event, Semaphore};
use ramie::{
    AnyGreenlet, Builder, Greenlet, GreenletExit, Kill, TimedOut, Timeout, catch, get_hub, killall, raise,
    run, sleep, spawn, spawn_later, with_timeout, yield_now,
};

use crate::util::eventually::rests;
use crate::util::footprint::settled;
use crate::util::log::Log;
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

/// Panics when it is dropped, without a word: the hook is not called.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        resume_unwind(Box::new("grenade"));
    }
}

/// A greenlet that sleeps and calls `cleanup` when it is unwound.
fn sleeper(cleanup: impl FnMut() + 'static) -> Greenlet<()> {
    let greenlet = spawn(move || {
        let _guard = OnDrop(cleanup);
        sleep(LONG);
    });
    yield_now();
    greenlet
}

#[test]
fn destructors_wait_for_whatever_they_like() {
    within(LIMIT, || {
        let before = settled();
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let victim = sleeper({
            let (log, semaphore) = (log.clone(), semaphore.clone());
            move || {
                sleep(SHORT);
                log.add("slept");
                semaphore.acquire();
                log.add("locked");
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"bye").unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                log.add(answer);
                spawn(log.adder("child")).join();
            }
        });
        victim.kill_nowait();
        while log.is_empty() {
            sleep(Duration::from_millis(1));
        }
        assert!(!victim.ready());
        semaphore.release();
        victim.join();
        log.expect("slept locked BYE child");
        assert!(victim.successful());
        server.get().unwrap();
        drop(victim);
        assert_eq!(settled(), before);
    });
}

#[test]
fn destructor_is_not_killed_again() {
    within(LIMIT, || {
        let log = Log::new();
        let gate = Event::new();
        let victim = sleeper({
            let (log, gate) = (log.clone(), gate.clone());
            move || {
                log.add("begins");
                gate.wait();
                log.add("ends");
            }
        });
        assert!(!victim.kill_with(Kill::default().timeout(Duration::from_millis(1))));
        log.expect("begins");
        for _ in 0..3 {
            victim.kill_nowait();
            victim.kill_with(Kill::new("harder").nowait());
            assert!(!victim.kill_with(Kill::default().timeout(Duration::from_millis(1))));
        }
        log.expect("begins");
        gate.set();
        victim.join();
        log.expect("begins ends");
        // The first kill is the one that it died of.
        assert!(victim.successful() && victim.exception().is_none());
    });
}

#[test]
fn kill_that_came_during_an_unwinding_is_delivered_after_it() {
    within(LIMIT, || {
        let gate = Event::new();
        let victim = spawn({
            let gate = gate.clone();
            move || {
                let first = catch::<&str, _>(|| {
                    let _guard = OnDrop(|| gate.wait());
                    sleep(LONG);
                });
                let second = catch::<&str, _>(|| sleep(LONG));
                (*first.unwrap_err(), *second.unwrap_err())
            }
        });
        yield_now();
        victim.kill_with(Kill::new("first").nowait());
        yield_now();
        victim.kill_with(Kill::new("second").nowait());
        yield_now();
        assert!(!victim.ready());
        gate.set();
        assert_eq!(victim.get().unwrap(), ("first", "second"));
    });
}

#[test]
fn two_greenlets_unwind_at_once() {
    within(LIMIT, || {
        let log = Log::new();
        let gates = [Event::new(), Event::new()];
        let victims: Vec<_> = (0..2)
            .map(|number: usize| {
                let (log, gate) = (log.clone(), gates[number].clone());
                sleeper(move || {
                    log.add(format!("begin{number}"));
                    gate.wait();
                    sleep(SHORT);
                    log.add(format!("end{number}"));
                })
            })
            .collect();
        victims.iter().for_each(|victim| victim.kill_nowait());
        yield_now();
        yield_now();
        log.expect("begin0 begin1");
        // A bystander lives a whole life in between, with waits, a kill and a catch of its own.
        let bystander = spawn(|| {
            sleep(SHORT);
            let killed = sleeper(|| ());
            killed.kill();
            let caught = catch::<&str, _>(|| raise("caught")).map_err(|caught| *caught);
            (killed.dead(), caught, with_timeout(SHORT, || sleep(LONG)).is_err())
        });
        assert_eq!(bystander.get().unwrap(), (true, Err("caught"), true));
        // The one that came second ends first.
        gates[1].set();
        victims[1].join();
        assert!(!victims[0].ready());
        victims[0].kill_nowait();
        gates[0].set();
        victims[0].join();
        log.expect("begin0 begin1 end1 end0");
        assert!(!thread::panicking());
    });
}

#[test]
fn killed_parent_kills_its_busy_child_on_the_way() {
    within(LIMIT, || {
        let before = settled();
        let log = Log::new();
        let parent = spawn({
            let log = log.clone();
            move || {
                let child = spawn({
                    let log = log.clone();
                    move || {
                        let _guard = OnDrop({
                            let log = log.clone();
                            move || {
                                sleep(SHORT);
                                log.add("child");
                            }
                        });
                        loop {
                            yield_now();
                        }
                    }
                });
                let _guard = OnDrop(move || {
                    child.kill();
                    child.join();
                    log.add(if child.dead() { "parent" } else { "too early" });
                });
                sleep(LONG);
            }
        });
        yield_now();
        yield_now();
        parent.kill();
        log.expect("child parent");
        drop(parent);
        assert_eq!(settled(), before);
    });
}

#[test]
fn main_that_panics_ends_its_greenlets_in_a_destructor() {
    within(LIMIT, || {
        let log = Log::new();
        let victims = {
            let log = log.clone();
            let cleanup = move || {
                sleep(SHORT);
                log.add("victim");
            };
            [sleeper(cleanup.clone()), sleeper(cleanup)]
        };
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| {
                assert!(thread::panicking());
                killall(&victims);
                victims.iter().for_each(|victim| victim.join());
                log.add("main");
            });
            resume_unwind(Box::new("main is over"));
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"main is over"));
        log.expect("victim victim main");
        // Main is itself again.
        sleep(SHORT);
        assert_eq!(spawn(|| 5).get().unwrap(), 5);
    });
}

#[test]
fn run_ends_the_others_when_its_body_panics() {
    let (log, payload) = within(LIMIT, || {
        let log = Log::new();
        let inner = log.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                let _victim = sleeper(move || {
                    sleep(SHORT);
                    inner.add("victim");
                });
                resume_unwind(Box::new("the body is over"));
            });
        }));
        (log.words(), panic.unwrap_err().downcast_ref::<&str>().copied())
    });
    assert_eq!((log, payload), (vec!["victim".to_owned()], Some("the body is over")));
}

#[test]
fn kill_that_is_swallowed_by_catch_unwind_is_raised_once_more() {
    within(LIMIT, || {
        let log = Log::new();
        // A loop around code that catches every panic, as a server has it.
        let victim = spawn({
            let log = log.clone();
            move || {
                for request in 0..3 {
                    if catch_unwind(|| sleep(LONG)).is_err() {
                        log.add(format!("{request} failed"));
                    }
                    yield_now();
                }
            }
        });
        yield_now();
        victim.kill();
        log.expect("0 failed");
        assert!(victim.successful() && victim.take().unwrap_err().is_exit());

        // Swallowed twice it is over, and the greenlet lives until the next kill.
        let deaf = spawn(|| (0..3).filter(|_| catch_unwind(|| sleep(LONG)).is_err()).count());
        yield_now();
        deaf.kill_nowait();
        yield_now();
        assert!(!deaf.ready());
        deaf.kill();
        assert_eq!(deaf.get().unwrap(), 3);
    });
}

#[test]
fn one_that_takes_the_exception_out_has_dealt_with_it() {
    within(LIMIT, || {
        let victim = spawn(|| {
            let payload = catch_unwind(|| sleep(LONG)).unwrap_err();
            let exception = payload.downcast::<Raised>().unwrap().into_exception().unwrap();
            yield_now();
            exception.is::<GreenletExit>()
        });
        yield_now();
        victim.kill();
        assert!(victim.get().unwrap());
    });
}

#[test]
fn scope_notices_that_its_timeout_was_swallowed() {
    within(LIMIT, || {
        let swallow = || catch_unwind(|| sleep(LONG)).is_err();
        assert_eq!(with_timeout(SHORT, swallow), Err(TimedOut));
        assert_eq!(with_timeout(SHORT, || (swallow(), swallow())), Err(TimedOut));
        // Raised once more at the next wait of the block.
        let ended = Cell::new(false);
        let block = || {
            swallow();
            sleep(LONG);
            ended.set(true);
        };
        assert_eq!(with_timeout(SHORT, block), Err(TimedOut));
        assert!(!ended.get());
        // It is not raised behind the block.
        yield_now();
        // An outer scope's, through an inner one.
        let outer = with_timeout(SHORT, || with_timeout(LONG, swallow));
        assert_eq!(outer, Err(TimedOut));
        // The timeout's own exception.
        let own = Timeout::new(SHORT).exception("own");
        let raised = catch::<&str, _>(|| own.scope(swallow)).unwrap_err();
        assert_eq!(*raised, "own");
        // A catch by type is a decision: the block's value counts.
        let caught = with_timeout(SHORT, || catch::<Timeout, _>(|| sleep(LONG)).is_err());
        assert_eq!(caught, Ok(true));
        yield_now();
    });
}

#[test]
fn swallowed_kill_beside_an_unwinding_can_be_killed_again() {
    within(LIMIT, || {
        let gate = Event::new();
        let unwinding = sleeper({
            let gate = gate.clone();
            move || gate.wait()
        });
        unwinding.kill_nowait();
        yield_now();
        let victim = spawn(|| {
            let _ = catch_unwind(|| sleep(LONG));
            sleep(LONG);
        });
        yield_now();
        victim.kill_nowait();
        yield_now();
        assert!(!victim.ready());
        victim.kill_nowait();
        yield_now();
        // At the latest when no greenlet unwinds any more.
        gate.set();
        unwinding.join();
        assert!(victim.join_timeout(LIMIT));
        assert!(victim.successful());
    });
}

#[test]
fn panic_is_its_own_greenlets_failure() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let neighbour = spawn(|| {
            sleep(SHORT);
            5
        });
        let loud = spawn(|| -> u32 { panic!("with {}", "words") });
        let quiet = spawn(|| -> u32 { resume_unwind(Box::new(7_u32)) });
        let failure = loud.get().unwrap_err();
        assert_eq!(failure.panic_message(), Some("with words"));
        assert!(failure.same(&loud.get().unwrap_err()));
        let failure = quiet.get().unwrap_err();
        assert_eq!(failure.panic_payload().unwrap().downcast_ref(), Some(&7_u32));
        assert_eq!(neighbour.get().unwrap(), 5);
        assert_eq!(errors.len(), 2);
    });
}

#[test]
fn panics_beside_an_unwinding_are_caught() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let gate = Event::new();
        let unwinding = sleeper({
            let gate = gate.clone();
            move || gate.wait()
        });
        unwinding.kill_nowait();
        yield_now();
        for round in 0..3 {
            let panicking = spawn(move || {
                let _guard = OnDrop(|| sleep(Duration::from_millis(1)));
                if round == 0 {
                    panic_any("loud");
                }
                resume_unwind(Box::new("quiet"));
            });
            assert!(panicking.get().unwrap_err().is_panic());
            let kept = spawn(|| catch_unwind(|| resume_unwind(Box::new("kept"))).is_err());
            assert!(kept.get().unwrap());
        }
        assert!(!unwinding.ready());
        gate.set();
        unwinding.join();
        assert!(unwinding.successful() && !thread::panicking());
        assert_eq!(errors.len(), 3);
    });
}

#[test]
fn payload_that_panics_when_dropped_disturbs_nobody() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let greenlet = spawn(|| -> () { resume_unwind(Box::new(Grenade)) });
        let failure = greenlet.get().unwrap_err();
        assert!(failure.is_panic());
        // The turn that woke main is over after this, and with it the hub's interest in the
        // greenlet.
        yield_now();
        drop(greenlet);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(failure))).is_err());
        // No handle of this one is left: the hub drops it.
        drop(spawn(|| resume_unwind(Box::new(Grenade))));
        sleep(SHORT);
        assert_eq!(settled(), before);
        assert_eq!(errors.len(), 3, "two failures and one destructor: {:?}", errors.words());
    });
}

#[test]
fn captures_that_panic_when_dropped_do_not_stop_a_kill() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let captures = || {
            let grenade = Grenade;
            move || drop(grenade)
        };
        let greenlets = [
            Greenlet::new(captures()),
            spawn(captures()),
            spawn_later(LONG, captures()),
            Builder::new().stack_size(1 << 60).spawn(captures()),
        ];
        for greenlet in &greenlets[..3] {
            greenlet.kill();
            assert!(greenlet.dead() && greenlet.successful());
        }
        // There is no such stack: it fails when it starts.
        assert!(greenlets[3].get().unwrap_err().is::<ramie::hub::StackError>());
        assert_eq!(settled(), before);
        assert_eq!(errors.len(), 5, "four destructors and one failure: {:?}", errors.words());
        sleep(SHORT);
    });
}

#[test]
fn values_that_panic_when_dropped_disturb_nobody() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let held = spawn(|| Grenade);
        held.join();
        yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
        // No handles of these are left: the hub drops them, after a plain end, a join, a link, and
        // a wake of main.
        drop(spawn(|| Grenade));
        yield_now();
        yield_now();
        drop(spawn_later(Duration::from_millis(1), || Grenade));
        sleep(SHORT);
        let linked = spawn(|| Grenade);
        linked.link(|_| ());
        drop(linked);
        sleep(SHORT);
        let joined = spawn(|| Grenade);
        let weak = joined.as_any().clone();
        drop(joined);
        spawn(move || weak.join());
        sleep(SHORT);
        assert_eq!(settled(), before);
        assert!(errors.words().iter().all(|error| error == "panicked: grenade"), "{:?}", errors.words());
        // Values that wait when they are dropped are told that the hub cannot.
        drop(spawn(|| OnDrop(|| sleep(SHORT))));
        rests(before);
        assert_eq!(spawn(|| 5).get().unwrap(), 5);
    });
}

#[test]
fn callbacks_and_links_that_panic_when_dropped_disturb_nobody() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let before = settled();
        let trap = || {
            let grenade = Grenade;
            move || drop(grenade)
        };
        get_hub().run_callback(trap());
        get_hub().remote().post(trap()).unwrap();
        get_hub().remote().spawn(trap()).unwrap();
        let greenlet = spawn(|| ());
        let f = trap();
        greenlet.rawlink(move |_| f());
        let f = trap();
        greenlet.link(move |_| f());
        let f = trap();
        greenlet.link_exception(move |_| f());
        greenlet.join();
        let timer = get_hub().timer(Duration::ZERO, Duration::ZERO);
        let grenade = Grenade;
        timer.start(move || assert!(!std::ptr::addr_of!(grenade).is_null())).unwrap();
        sleep(SHORT);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(timer)));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(greenlet)));
        assert_eq!(settled(), before);
        assert_eq!(spawn(|| 5).get().unwrap(), 5);
    });
}

#[test]
fn scope_kills_its_greenlet_and_goes_on_unwinding() {
    within(LIMIT, || {
        let log = Log::new();
        let _errors = Log::of_errors();
        for panics in [false, true] {
            let victim = sleeper({
                let log = log.clone();
                move || {
                    sleep(Duration::from_millis(1));
                    log.add("victim");
                }
            });
            let result = catch_unwind(AssertUnwindSafe(|| {
                catch::<&str, ()>(|| {
                    victim.scope(|_| if panics { resume_unwind(Box::new(5)) } else { raise("over") })
                })
            }));
            log.expect("victim");
            log.clear();
            assert!(victim.dead());
            match result {
                Ok(caught) => assert_eq!((*caught.unwrap_err(), panics), ("over", false)),
                Err(payload) => assert_eq!((payload.downcast_ref(), panics), (Some(&5), true)),
            }
        }
    });
}

#[test]
fn scope_timeout_in_a_destructor_ends_it() {
    within(LIMIT, || {
        let log = Log::new();
        let victim = sleeper({
            let log = log.clone();
            move || log.add(with_timeout(SHORT, || sleep(LONG)).is_err())
        });
        assert!(victim.kill_with(Kill::default().timeout(Duration::from_secs(2))));
        log.expect("true");
    });
}

#[test]
fn limits_of_calls_work_in_a_destructor() {
    within(LIMIT, || {
        let log = Log::new();
        let victim = sleeper({
            let log = log.clone();
            move || {
                log.add(Event::new().wait_timeout(SHORT));
                log.add(Semaphore::new(0).acquire_timeout(SHORT));
            }
        });
        victim.kill();
        log.expect("false false");
    });
}

#[test]
fn greenlet_locals_may_wait_and_panic_at_their_end() {
    ramie::greenlet_local! {
        static GUARD: RefCell<Option<OnDrop<Box<dyn FnMut()>>>> = RefCell::new(None);
    }
    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let log = Log::new();
        let set = |f: Box<dyn FnMut()>| GUARD.with(|guard| *guard.borrow_mut() = Some(OnDrop(f)));
        let waits = spawn({
            let log = log.clone();
            move || {
                set(Box::new(move || {
                    sleep(SHORT);
                    log.add("slept");
                }));
            }
        });
        // It has its result, but is not dead.
        waits.get().unwrap();
        assert!(!waits.dead());
        log.expect("");
        sleep(SHORT + SHORT);
        log.expect("slept");
        assert!(waits.dead());
        let panics = spawn(move || set(Box::new(|| resume_unwind(Box::new("in a local")))));
        panics.get().unwrap();
        yield_now();
        assert!(panics.dead());
        assert_eq!(errors.words(), ["panicked: in a local"]);
        drop((waits, panics));
        assert_eq!(settled(), before);
    });
}

#[test]
fn second_kill_while_a_capture_is_dropped_changes_nothing() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let guard = OnDrop(|| sleep(SHORT));
        let unrun: AnyGreenlet = Greenlet::new(move || drop(guard)).into();
        let second = spawn({
            let unrun = unrun.clone();
            move || {
                unrun.kill_with("second");
                unrun.start();
            }
        });
        let links = Rc::new(Cell::new(0));
        let count = links.clone();
        unrun.rawlink(move |_| count.set(count.get() + 1));
        unrun.kill();
        second.join();
        sleep(SHORT);
        assert!(unrun.dead() && unrun.successful());
        assert_eq!(links.get(), 1);
        assert!(errors.is_empty(), "{:?}", errors.words());
        drop((unrun, second));
        assert_eq!(settled(), before);
    });
}
