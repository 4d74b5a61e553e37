//! Values that are not taken are dropped where their destructors may wait: results, closures, and
//! values of a callback that unwinds.

use std::cell::{Cell, RefCell};
use std::io::{BufWriter, Read, Write};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::{BlockingSwitchOutError, lend};
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{AnyGreenlet, Greenlet, Pool, get_hub, getcurrent, scope, sleep, spawn, with_timeout, yield_now};

use crate::util::borrow_fixtures::{Grenade, OnDrop};
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// A value with a destructor that waits, and then notes the greenlet that it was dropped in.
type Slow = OnDrop<Box<dyn FnMut()>>;

/// The greenlets in which values were dropped.
#[derive(Clone, Default)]
struct Places(Rc<RefCell<Vec<AnyGreenlet>>>);

impl Places {
    fn value(&self) -> Slow {
        let places = self.0.clone();
        OnDrop(Box::new(move || {
            sleep(SHORT);
            places.borrow_mut().push(getcurrent());
        }))
    }

    fn only(&self) -> AnyGreenlet {
        while self.0.borrow().is_empty() {
            sleep(SHORT);
        }
        let places = self.0.take();
        assert_eq!(places.len(), 1);
        places[0].clone()
    }
}

#[test]
fn a_buffered_writer_that_no_caller_takes_is_flushed() {
    const BYTES: usize = 12 << 20;
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            sleep(SHORT);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all.len()
        });
        drop(spawn(move || {
            let stream = TcpStream::connect(address).unwrap();
            let mut writer = BufWriter::with_capacity(BYTES + 1, stream);
            writer.write_all(&vec![1; BYTES]).unwrap();
            writer
        }));
        assert_eq!(server.get().unwrap(), BYTES);
    });
}

#[test]
fn a_value_is_dropped_where_the_last_handle_is() {
    within(LIMIT, || {
        let before = settled();
        let errors = Log::of_errors();
        let places = Places::default();

        // No handle is left: on the stack of its greenlet, before that counts as ended.
        let value = places.value();
        let me = Rc::new(RefCell::new(None));
        let myself = me.clone();
        drop(spawn(move || {
            *myself.borrow_mut() = Some(Rc::new(getcurrent().name()));
            value
        }));
        sleep(4 * SHORT);
        assert_eq!(places.only().name(), **me.borrow().as_ref().unwrap());

        // A caller has the last one.
        let value = places.value();
        let g = spawn(move || value);
        g.join();
        // The hub has told main, and drops its own reference when that turn is over.
        yield_now();
        drop(g);
        assert!(places.only().is_main());

        // The hub has it: after a link, or in a callback. A greenlet of its own drops it.
        let value = places.value();
        let g = spawn(move || value);
        g.rawlink(|_| ());
        drop(g);
        sleep(4 * SHORT);
        assert!(!places.only().is_main());
        let value = places.value();
        let g = spawn(move || value);
        g.join();
        get_hub().run_callback(move || drop(g));
        sleep(4 * SHORT);
        assert!(!places.only().is_main());
        let pool = Pool::new(1);
        let value = places.value();
        drop(pool.spawn(move || value));
        pool.join();
        sleep(4 * SHORT);
        assert!(!places.only().is_main());

        // So is a closure that never ran.
        let value = places.value();
        let unstarted = Greenlet::new(move || drop(value));
        get_hub().run_callback(move || drop(unstarted));
        sleep(4 * SHORT);
        assert!(!places.only().is_main());

        assert!(errors.is_empty(), "{:?}", errors.words());
        get_hub().set_error_handler(None);
        assert_eq!(settled(), before);
    });
}

#[test]
fn a_link_still_finds_the_value() {
    within(LIMIT, || {
        let seen = Rc::new(Cell::new(0));
        let found = seen.clone();
        spawn(|| String::from("value")).link(move |g| found.set(g.take().unwrap().len()));
        sleep(SHORT);
        assert_eq!(seen.get(), 5);
    });
}

#[test]
fn a_kill_interrupts_the_destructor_of_a_value() {
    within(LIMIT, || {
        let ended = Rc::new(Cell::new(0));
        let (begun, done) = (ended.clone(), ended.clone());
        spawn(move || {
            OnDrop(move || {
                begun.set(1);
                sleep(LONG);
                done.set(2);
            })
        });
        yield_now();
        assert_eq!(ended.get(), 1);
        get_hub().kill_all(None).unwrap();
        assert_eq!(ended.get(), 1);
        assert!(get_hub().greenlets().is_empty());
    });
}

#[test]
fn a_panic_of_a_values_destructor_is_reported() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        spawn(|| Grenade);
        sleep(SHORT);
        assert_eq!(errors.len(), 1);
        let g = spawn(|| Grenade);
        g.rawlink(|_| ());
        drop(g);
        sleep(SHORT);
        assert_eq!(errors.len(), 2);
    });
}

#[test]
fn destructors_wait_while_a_callback_unwinds() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let log = Log::new();
        let event = Event::new();
        for number in 0..3 {
            let (log, event) = (log.clone(), event.clone());
            get_hub().run_callback(move || {
                let _late = OnDrop(|| {
                    // Whatever waits: a sleep, a join, an event that another greenlet sets,
                    // borrowed work.
                    sleep(SHORT);
                    assert!(with_timeout(LONG, || spawn(|| 5).get().unwrap()) == Ok(5));
                    spawn({
                        let event = event.clone();
                        move || event.set()
                    });
                    event.wait();
                    let text = String::from("lent");
                    scope(|s| drop(s.spawn(|| drop(text.clone()))));
                    assert_eq!(lend(|| text.len(), |work| work.run()).unwrap(), 4);
                    yield_now();
                    log.add(number);
                });
                resume_unwind(Box::new("callback"));
            });
        }
        // Main continues when all three, which are on its stack, are over.
        yield_now();
        assert_eq!(log.len(), 3);
        assert_eq!(errors.len(), 3);

        // One that does not unwind is refused.
        get_hub().run_callback(|| sleep(SHORT));
        yield_now();
        assert_eq!(errors.words()[3], BlockingSwitchOutError.to_string());

        // Under the hub's rules, but on the stack of a greenlet.
        let id = ramie::hub::add_spawn_callback({
            let log = log.clone();
            move |_| {
                let log = log.clone();
                let _late = OnDrop(move || {
                    sleep(SHORT);
                    log.add("callback");
                });
                resume_unwind(Box::new("spawn callback"));
            }
        });
        let here = spawn(|| 5);
        ramie::hub::remove_spawn_callback(id);
        assert_eq!((log.len(), errors.len()), (4, 5));
        assert_eq!(here.get().unwrap(), 5);
    });
}
