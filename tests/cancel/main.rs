//! Whatever waits can be killed and timed out, and leaves nothing behind either way.
//!
//! One table of every call that waits, crossed with every way to end a wait from outside.
#![cfg(unix)]

mod io;
#[path = "../util/mod.rs"]
mod util;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::hub::{Io, idle, sleep_unref, spawn_raw};
use ramie::io::{wait_read, wait_readwrite, wait_write};
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::{Event, Semaphore};
use ramie::{
    AnyGreenlet, Greenlet, GreenletExit, JoinOptions, Kill, TimedOut, Timeout, Waitable, catch, get_hub,
    getcurrent, iwait, joinall, joinall_with, killall, killall_with, sleep, spawn, wait, wait_timeout,
    with_timeout, yield_now,
};

use crate::util::footprint::{descriptors, settled};
use crate::util::saturated_peers::silent;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// A call that waits for something that does not come.
struct Point {
    name: &'static str,
    block: Rc<dyn Fn()>,
    /// The same with a limit of its own; says whether that is what ended it.
    limited: Option<Rc<dyn Fn(Duration) -> bool>>,
    /// Asserts that the objects have forgotten the waiter, and still work.
    check: Box<dyn FnOnce()>,
}

impl Point {
    fn new(name: &'static str, block: impl Fn() + 'static) -> Self {
        Point { name, block: Rc::new(block), limited: None, check: Box::new(|| ()) }
    }

    fn limited(mut self, limited: impl Fn(Duration) -> bool + 'static) -> Self {
        self.limited = Some(Rc::new(limited));
        self
    }

    fn check(mut self, check: impl FnOnce() + 'static) -> Self {
        self.check = Box::new(check);
        self
    }
}

fn is_timeout<T: Debug>(result: std::io::Result<T>) -> bool {
    result.unwrap_err().kind() == ErrorKind::TimedOut
}

/// A greenlet that sleeps.
fn sleeper() -> Greenlet<()> {
    let greenlet = spawn(|| sleep(LONG));
    yield_now();
    greenlet
}

/// A greenlet that catches its kills until it is told to let go, and what tells it.
fn stubborn() -> (Greenlet<()>, Rc<Cell<bool>>) {
    let let_go = Rc::new(Cell::new(false));
    let told = let_go.clone();
    let greenlet = spawn(move || {
        while !told.get() {
            let _ = catch::<&str, _>(|| catch::<GreenletExit, _>(|| sleep(LONG)));
        }
    });
    yield_now();
    (greenlet, let_go)
}

/// Asserts that no greenlet waits for the target, and that the target can still be joined and
/// killed.
fn check_target(target: &AnyGreenlet) {
    assert_eq!(target.has_links(), 0);
    assert!(!target.ready());
    target.kill();
    target.join();
    assert!(target.dead());
}

fn check_event(event: &Event) {
    assert!(format!("{event:?}").contains("links: 0"), "{event:?}");
    let waiter = spawn({
        let event = event.clone();
        move || event.wait()
    });
    yield_now();
    event.set();
    waiter.get().unwrap();
}

fn check_semaphore(semaphore: &Semaphore) {
    assert_eq!((semaphore.linkcount(), semaphore.counter()), (0, 0));
    semaphore.release();
    assert!(semaphore.acquire_timeout(LONG));
}

/// A connection with registered ends, so that a wait for them does not change the footprint.
fn tcp_pair() -> (Rc<TcpStream>, Rc<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(SHORT)).unwrap();
    assert!(is_timeout((&far).read(&mut [0])));
    far.set_read_timeout(None).unwrap();
    (Rc::new(near), Rc::new(far))
}

fn fill(mut stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65536]).is_ok() {}
}

/// Makes a point of a call that reads from a connection.
fn reading(name: &'static str, call: fn(&TcpStream) -> std::io::Result<usize>) -> Point {
    let (near, far) = tcp_pair();
    let (limited, checked) = (near.clone(), near.clone());
    Point::new(name, move || drop(call(&near)))
        .limited(move |limit| {
            limited.set_read_timeout(Some(limit)).unwrap();
            let result = call(&limited);
            limited.set_read_timeout(None).unwrap();
            is_timeout(result)
        })
        .check(move || {
            // Nothing was consumed, and nothing gets lost.
            (&*far).write_all(b"ok").unwrap();
            let mut buffer = [0; 2];
            (&*checked).read_exact(&mut buffer).unwrap();
            assert_eq!(&buffer, b"ok");
        })
}

/// Makes a point of a call that writes to a connection that the peer does not read.
fn writing(name: &'static str, call: fn(&TcpStream) -> std::io::Result<usize>) -> Point {
    let (near, far) = tcp_pair();
    crate::util::saturated_peers::fill(&near);
    let (limited, checked) = (near.clone(), near.clone());
    Point::new(name, move || drop(call(&near)))
        .limited(move |limit| {
            limited.set_write_timeout(Some(limit)).unwrap();
            let result = call(&limited);
            limited.set_write_timeout(None).unwrap();
            is_timeout(result)
        })
        .check(move || {
            let drain = spawn(move || std::io::copy(&mut &*far, &mut std::io::sink()).unwrap());
            (&*checked).write_all(&[0; 65536]).unwrap();
            checked.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(drain.get().unwrap() > 65536);
        })
}

/// Makes a point of a wait for a descriptor, which `full` says is not to be written to either.
fn descriptor(
    name: &'static str,
    full: bool,
    call: fn(&UnixStream, Option<Duration>) -> std::io::Result<()>,
) -> Point {
    let (near, far) = UnixStream::pair().unwrap();
    if full {
        fill(&near);
    }
    let near = Rc::new(near);
    let (limited, checked) = (near.clone(), near.clone());
    Point::new(name, move || call(&near, None).unwrap())
        .limited(move |limit| is_timeout(call(&limited, Some(limit))))
        .check(move || {
            far.set_nonblocking(true).unwrap();
            (&far).write_all(b"x").unwrap();
            while (&far).read(&mut [0; 65536]).is_ok() {}
            call(&checked, Some(LONG)).unwrap();
        })
}

fn connecting() -> Option<Point> {
    let (address, socket, taken) = silent()?;
    let point = Point::new("TcpStream::connect", move || drop(TcpStream::connect(address).unwrap())).limited(
        move |limit| {
            is_timeout(TcpStream::connect_timeout(address, limit))
                && is_timeout(TcpStream::connect_timeout(&[address, address][..], Instant::now() + limit))
        },
    );
    Some(point.check(move || drop((taken, socket))))
}

/// Every call that waits.
fn points() -> Vec<fn() -> Option<Point>> {
    vec![
        || Some(Point::new("sleep", || sleep(LONG))),
        || Some(Point::new("sleep without limit", || sleep(Duration::MAX))),
        || Some(Point::new("sleep_unref", || sleep_unref(LONG))),
        || Some(Point::new("sleep_until", || ramie::time::sleep_until(Instant::now() + LONG))),
        || {
            Some(Point::new("yield_now", || {
                loop {
                    yield_now();
                }
            }))
        },
        || {
            Some(Point::new("sleep for no time", || {
                loop {
                    sleep(Duration::ZERO);
                }
            }))
        },
        || {
            Some(Point::new("idle", || {
                loop {
                    idle();
                }
            }))
        },
        || {
            let target = sleeper();
            let (limited, deadline) = (target.clone(), target.clone());
            let checked = target.clone();
            let point = Point::new("Greenlet::join", move || target.join())
                .limited(move |limit| {
                    !limited.join_timeout(limit) && !deadline.join_timeout(Instant::now() + limit)
                })
                .check(move || check_target(&checked));
            Some(point)
        },
        || {
            let target = sleeper();
            let (limited, checked) = (target.clone(), target.clone());
            let point = Point::new("Greenlet::get", move || target.get().unwrap())
                .limited(move |limit| limited.get_timeout(limit).unwrap_err().is_timeout())
                .check(move || check_target(&checked));
            Some(point)
        },
        || {
            let target = sleeper();
            let checked = target.clone();
            let point = Point::new("Greenlet::take", move || target.take().unwrap());
            Some(point.check(move || check_target(&checked)))
        },
        || {
            let (target, let_go) = stubborn();
            let (limited, checked) = (target.clone(), target.clone());
            let point = Point::new("Greenlet::kill", move || target.kill())
                .limited(move |limit| !limited.kill_with(Kill::default().timeout(limit)))
                .check(move || {
                    let_go.set(true);
                    check_target(&checked);
                });
            Some(point)
        },
        || {
            let (target, let_go) = stubborn();
            let checked = target.clone();
            let point = Point::new("Greenlet::throw", move || {
                loop {
                    target.throw("again");
                    yield_now();
                }
            });
            Some(point.check(move || {
                let_go.set(true);
                check_target(&checked);
            }))
        },
        || {
            let (first, let_go) = stubborn();
            let (second, let_second_go) = stubborn();
            let targets = [first, second];
            let (limited, checked) = (targets.clone(), targets.clone());
            let point = Point::new("killall", move || killall(&targets))
                .limited(move |limit| killall_with(&limited, Kill::new(GreenletExit).timeout(limit)).is_err())
                .check(move || {
                    let_go.set(true);
                    let_second_go.set(true);
                    checked.iter().for_each(|target| check_target(target));
                });
            Some(point)
        },
        || {
            let (event, semaphore, target) = (Event::new(), Semaphore::new(0), sleeper());
            let checked = (event.clone(), semaphore.clone(), target.clone());
            let limited = checked.clone();
            let point = Point::new("wait", move || {
                wait(&[&event as &dyn Waitable, &semaphore, &target]);
            })
            .limited(move |limit| {
                let (event, semaphore, target) = &limited;
                wait_timeout(&[event as &dyn Waitable, semaphore, target], limit).is_empty()
            })
            .check(move || {
                check_event(&checked.0);
                check_semaphore(&checked.1);
                check_target(&checked.2);
            });
            Some(point)
        },
        || {
            let targets = [sleeper(), sleeper()];
            let (limited, checked) = (targets.clone(), targets.clone());
            let point = Point::new("iwait", move || assert!(iwait(&targets).next().is_none()))
                .limited(move |limit| {
                    iwait(&limited).timeout(limit).next().is_none()
                        && iwait(&limited).timeout(Instant::now() + limit).next().is_none()
                })
                .check(move || checked.iter().for_each(|target| check_target(target)));
            Some(point)
        },
        || {
            let targets = [sleeper(), sleeper()];
            let (limited, checked) = (targets.clone(), targets.clone());
            let point = Point::new("joinall", move || drop(joinall(&targets)))
                .limited(move |limit| {
                    let options = JoinOptions { timeout: limit.into(), ..JoinOptions::default() };
                    joinall_with(&limited, options).unwrap().is_empty()
                })
                .check(move || checked.iter().for_each(|target| check_target(target)));
            Some(point)
        },
        || {
            let event = Event::new();
            let (limited, checked) = (event.clone(), event.clone());
            let point = Point::new("Event::wait", move || event.wait())
                .limited(move |limit| {
                    !limited.wait_timeout(limit) && !limited.wait_timeout(Instant::now() + limit)
                })
                .check(move || check_event(&checked));
            Some(point)
        },
        || {
            let semaphore = Semaphore::new(0);
            let (limited, checked) = (semaphore.clone(), semaphore.clone());
            let point = Point::new("Semaphore::acquire", move || semaphore.acquire())
                .limited(move |limit| {
                    !limited.acquire_timeout(limit) && !limited.acquire_timeout(Instant::now() + limit)
                })
                .check(move || check_semaphore(&checked));
            Some(point)
        },
        || {
            let semaphore = Semaphore::new(0);
            let (limited, checked) = (semaphore.clone(), semaphore.clone());
            let point = Point::new("Semaphore::wait", move || assert_eq!(semaphore.wait(), 1))
                .limited(move |limit| limited.wait_timeout(limit) == 0)
                .check(move || check_semaphore(&checked));
            Some(point)
        },
        || {
            let semaphore = Semaphore::new(0);
            let checked = semaphore.clone();
            let point = Point::new("Semaphore::with", move || semaphore.with(|| ()));
            Some(point.check(move || check_semaphore(&checked)))
        },
        || {
            let (waiter, waker) = get_hub().waiter();
            let waiter = Rc::new(waiter);
            let (limited, checked) = (waiter.clone(), waiter.clone());
            let point = Point::new("Waiter::wait", move || waiter.wait())
                .limited(move |limit| !limited.wait_timeout(limit))
                .check(move || {
                    assert!(waker.wake());
                    checked.wait();
                });
            Some(point)
        },
        || Some(descriptor("wait_read", false, wait_read)),
        || Some(descriptor("wait_write", true, wait_write)),
        || Some(descriptor("wait_readwrite", true, wait_readwrite)),
        connecting,
        || {
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
            assert!(is_timeout(listener.accept_timeout(SHORT)));
            let (limited, checked) = (listener.clone(), listener.clone());
            let point = Point::new("TcpListener::accept", move || drop(listener.accept()))
                .limited(move |limit| is_timeout(limited.accept_timeout(limit)))
                .check(move || {
                    let _client = TcpStream::connect(checked.local_addr().unwrap()).unwrap();
                    checked.accept().unwrap();
                });
            Some(point)
        },
        || Some(reading("TcpStream::read", |mut stream| stream.read(&mut [0; 8]))),
        || Some(reading("TcpStream::peek", |stream| stream.peek(&mut [0; 8]))),
        || Some(reading("TcpStream::wait_readable", |stream| stream.wait_readable().map(|()| 0))),
        || Some(writing("TcpStream::write", |mut stream| stream.write(&[0; 8]))),
        || Some(writing("TcpStream::write_all", |mut stream| stream.write_all(&[0; 1 << 16]).map(|()| 0))),
        || Some(writing("TcpStream::wait_writable", |stream| stream.wait_writable().map(|()| 0))),
        || {
            // A source of its own in every wait, which goes with it.
            let point = Point::new("Io", || {
                let (near, _far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                let io = Io::new(near).unwrap();
                io.read_with(None, |mut near| near.read(&mut [0])).unwrap();
            });
            Some(point)
        },
        || Some(Point::new("Greenlet::scope", || sleeper().scope(|_| sleep(LONG)))),
        || Some(Point::new("the end of Greenlet::scope", || sleeper().scope(|_| ()))),
        || {
            Some(Point::new("with_timeout", || {
                with_timeout(LONG, || Timeout::new(LONG).scope(|| sleep(LONG))).unwrap().unwrap();
            }))
        },
    ]
}

/// Spawns a greenlet that waits at a point.
fn waiter(block: &Rc<dyn Fn()>) -> Greenlet<()> {
    let block = block.clone();
    let greenlet = spawn(move || block());
    yield_now();
    yield_now();
    assert!(!greenlet.ready(), "it was to wait: {:?}", greenlet.exception());
    greenlet
}

/// A way to end a wait from outside.
type Way = (&'static str, fn(&Point));

const WAYS: [Way; 12] = [
    ("kill", |point| {
        let greenlet = waiter(&point.block);
        greenlet.kill();
        assert!(greenlet.dead() && greenlet.successful());
    }),
    ("kill without waiting", |point| {
        let greenlet = waiter(&point.block);
        greenlet.kill_nowait();
        greenlet.kill_nowait();
        greenlet.join();
        assert!(greenlet.dead() && greenlet.successful());
    }),
    ("kill with an error", |point| {
        let greenlet = waiter(&point.block);
        greenlet.kill_with("enough");
        assert_eq!(greenlet.get().unwrap_err().downcast_ref(), Some(&"enough"));
    }),
    ("throw", |point| {
        let greenlet = waiter(&point.block);
        greenlet.throw(GreenletExit);
        assert!(greenlet.join_timeout(LONG));
    }),
    ("killall", |point| {
        let greenlets = [waiter(&point.block), waiter(&point.block), waiter(&point.block)];
        killall_with(&greenlets, Kill::new(GreenletExit).timeout(LONG)).unwrap();
        assert!(greenlets.iter().all(|greenlet| greenlet.dead()));
    }),
    ("kill of a raw greenlet", |point| {
        let block = point.block.clone();
        let raw = spawn_raw(move || block());
        yield_now();
        yield_now();
        raw.kill();
        assert!(raw.dead());
    }),
    ("kill of a link's greenlet", |point| {
        let block = point.block.clone();
        let link = Rc::new(RefCell::new(None));
        let slot = link.clone();
        let ended = spawn(|| ());
        ended.link(move |_| {
            *slot.borrow_mut() = Some(getcurrent());
            block();
        });
        yield_now();
        yield_now();
        yield_now();
        let raw = link.take().expect("the link has begun");
        assert!(raw.is_raw() && !raw.dead());
        raw.kill();
        assert!(raw.dead());
    }),
    ("scope timeout", |point| {
        let block = point.block.clone();
        let greenlet = spawn(move || with_timeout(SHORT, || block()));
        assert_eq!(greenlet.get().unwrap(), Err(TimedOut));
    }),
    ("scope timeout of main", |point| {
        assert_eq!(with_timeout(SHORT, || (point.block)()), Err(TimedOut));
    }),
    ("limit of its own", |point| {
        let Some(limited) = point.limited.clone() else { return };
        let greenlet = spawn(move || limited(SHORT));
        assert!(greenlet.get().unwrap());
    }),
    ("limit of its own in main", |point| {
        let Some(limited) = &point.limited else { return };
        let start = Instant::now();
        assert!(limited(SHORT));
        assert!(start.elapsed() >= SHORT);
    }),
    ("kill under a limit of its own, in a scope timeout", |point| {
        let Some(limited) = point.limited.clone() else { return };
        let greenlet = spawn(move || with_timeout(LONG, || limited(LONG)));
        yield_now();
        yield_now();
        assert!(!greenlet.ready());
        greenlet.kill();
        assert!(greenlet.dead() && greenlet.successful());
    }),
];

#[test]
fn nothing_is_left_of_a_wait_that_was_ended() {
    within(LIMIT, || {
        // Some ends are errors, which are not to be printed hundreds of times.
        get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let mut tried = 0;
        for make in points().into_iter().chain(crate::io::points()) {
            let outside = settled();
            let Some(point) = make() else { continue };
            for (way, end) in WAYS {
                let (before, open) = (settled(), descriptors());
                end(&point);
                assert_eq!(settled(), before, "{} ended by {way}", point.name);
                assert_eq!(descriptors(), open, "{} ended by {way}", point.name);
                tried += 1;
            }
            let name = point.name;
            (point.check)();
            drop((point.block, point.limited));
            assert_eq!(settled(), outside, "{name} at its end");
        }
        println!("{tried} pairs of a wait and an end");
    });
}
