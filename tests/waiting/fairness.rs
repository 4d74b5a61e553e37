//! Greenlets that always have something to do keep neither timers nor other sockets waiting.
//!
//! `cargo test --release --test waiting fairness::lateness -- --ignored --nocapture` prints how
//! late a timer of 1 ms is under each kind of load.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::unix::net as std_unix;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::Remote;
use ramie::io::{Cooperative, Polled};
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::os::unix::net::UnixStream;
use ramie::queue::Queue;
use ramie::sync::Event;
use ramie::tls::{self, Acceptor};
use ramie::{channel, get_hub, joinall, sleep, spawn, spawn_later, yield_now};

use crate::util::certificate::Certificate;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(120);

/// Computes for this long, on the thread, as a parser of messages would.
fn work(time: Duration) {
    let start = Instant::now();
    while !time.is_zero() && start.elapsed() < time {
        black_box(0);
    }
}

/// The amount of work of a load: so many pieces, each with this work. It notes each piece.
#[derive(Clone)]
struct Plan {
    pieces: u64,
    each: Duration,
    done: Rc<Cell<u64>>,
}

impl Plan {
    fn new(pieces: u64, each: Duration) -> Plan {
        Plan { pieces, each, done: Rc::default() }
    }

    /// Does a piece. Returns whether there are more.
    fn piece(&self) -> bool {
        work(self.each);
        self.done.set(self.done.get() + 1);
        self.more()
    }

    fn more(&self) -> bool {
        self.done.get() < self.pieces
    }
}

/// A kind of load; returns when all its pieces are done.
type Load = fn(&Plan);

/// Reads what a thread of its own writes without end.
fn read(plan: &Plan, mut reader: impl Read, mut writer: impl Write + Send + 'static) {
    thread::spawn(move || while writer.write_all(&[1; 65_536]).is_ok() {});
    let read = |reader: &mut dyn Read| reader.read_exact(&mut [0; 16]).expect("the writer continues");
    read(&mut reader);
    while plan.piece() {
        read(&mut reader);
    }
}

fn reads_tcp(plan: &Plan) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    read(plan, listener.accept().unwrap().0, far);
}

fn reads_unix(plan: &Plan) {
    let (near, far) = std_unix::UnixStream::pair().unwrap();
    read(plan, UnixStream::from_std(near).unwrap(), far);
}

fn reads_cooperative(plan: &Plan) {
    let (near, far) = std_unix::UnixStream::pair().unwrap();
    read(plan, Cooperative::new(near).unwrap(), far);
}

fn reads_polled(plan: &Plan) {
    let (near, far) = std_unix::UnixStream::pair().unwrap();
    read(plan, Polled::new(near).unwrap(), far);
}

fn reads_pipe(plan: &Plan) {
    let (reader, writer) = io::pipe().unwrap();
    read(plan, Cooperative::new(reader).unwrap(), writer);
}

fn reads_tls(plan: &Plan) {
    let certificate = Certificate::new();
    let (server, client) = (certificate.server(), certificate.client());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let stream = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
        let mut stream = Acceptor::new(server).accept(stream).unwrap();
        while stream.write_all(&[1; 65_536]).is_ok() {}
    });
    let mut stream = tls::connect(TcpStream::connect(address).unwrap(), "localhost", client).unwrap();
    while plan.more() {
        stream.read_exact(&mut [0; 16]).unwrap();
        plan.piece();
    }
}

fn sends_udp(plan: &Plan) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = socket.local_addr().unwrap();
    while plan.more() {
        // A buffer that is full loses datagrams, and that is all right.
        socket.send_to(b"datagram", own).unwrap();
        plan.piece();
    }
}

fn receives_udp(plan: &Plan) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = socket.local_addr().unwrap();
    while plan.more() {
        socket.send_to(b"datagram", own).unwrap();
        socket.recv_from(&mut [0; 16]).unwrap();
        plan.piece();
    }
}

fn yields(plan: &Plan) {
    let greenlets: Vec<_> = (0..20)
        .map(|_| {
            let plan = plan.clone();
            spawn(move || {
                while plan.more() {
                    plan.piece();
                    yield_now();
                }
            })
        })
        .collect();
    greenlets.iter().for_each(|greenlet| greenlet.join());
}

fn callbacks(plan: &Plan) {
    fn again(plan: &Plan) {
        if plan.piece() {
            let plan = plan.clone();
            get_hub().run_callback(move || again(&plan));
        }
    }
    for _ in 0..20 {
        again(plan);
    }
    while plan.more() {
        yield_now();
    }
}

fn posts(plan: &Plan) {
    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    }
    PLAN.set(Some(plan.clone()));
    let piece = || {
        let plan = PLAN.take().expect("it was put there");
        plan.piece();
        PLAN.set(Some(plan));
    };
    let remote: Remote = get_hub().remote();
    let pieces = plan.pieces;
    thread::spawn(move || (0..pieces).for_each(|_| assert!(remote.post(piece).is_ok())));
    while plan.more() {
        yield_now();
    }
}

fn spawns(plan: &Plan) {
    fn again(plan: &Plan) {
        if plan.piece() {
            let plan = plan.clone();
            spawn(move || again(&plan));
        }
    }
    for _ in 0..20 {
        let plan = plan.clone();
        spawn(move || again(&plan));
    }
    while plan.more() {
        yield_now();
    }
}

fn channels(plan: &Plan) {
    let ((to, from), (back, answers)) = (channel::bounded(1), channel::bounded(1));
    let echo = spawn(move || while from.recv().is_ok_and(|()| back.send(()).is_ok()) {});
    while plan.more() {
        to.send(()).unwrap();
        answers.recv().unwrap();
        plan.piece();
    }
    drop(to);
    echo.join();
}

fn queues(plan: &Plan) {
    let queue = Queue::bounded(1);
    let items = queue.clone();
    let putter = spawn(move || while items.put(()).is_ok() {});
    while plan.more() {
        queue.get().unwrap();
        plan.piece();
    }
    queue.shutdown();
    putter.join();
}

/// One notification that wakes 200 greenlets.
fn waiters(plan: &Plan) {
    while plan.more() {
        let event = Event::new();
        let greenlets: Vec<_> = (0..200)
            .map(|_| {
                let (event, plan) = (event.clone(), plan.clone());
                spawn(move || {
                    event.wait();
                    plan.piece();
                })
            })
            .collect();
        yield_now();
        event.set();
        joinall(&greenlets);
    }
}

fn zero_timers(plan: &Plan) {
    while plan.more() {
        sleep(Duration::from_nanos(1));
        plan.piece();
    }
}

const LOADS: [(&str, Load); 16] = [
    ("TCP, read", reads_tcp),
    ("UDP, send", sends_udp),
    ("UDP, send and receive", receives_udp),
    ("Unix stream, read", reads_unix),
    ("pipe, read", reads_pipe),
    ("Cooperative, read", reads_cooperative),
    ("Polled, read", reads_polled),
    ("TLS, read", reads_tls),
    ("20 that yield", yields),
    ("20 callbacks that queue another", callbacks),
    ("posts from a thread", posts),
    ("20 that spawn another", spawns),
    ("channel, there and back", channels),
    ("queue of one", queues),
    ("200 that wait for one event", waiters),
    ("timers of 1 ns", zero_timers),
];

/// With 200 pieces of 1 ms the loop polls once in a few pieces, not once in some thousands.
#[test]
fn slow_pieces_let_the_loop_poll() {
    for (name, load) in LOADS {
        within(LIMIT, move || {
            // A source, so that the loop asks the system.
            let (mut near, _far) = UnixStream::pair().unwrap();
            let waiter = spawn(move || near.read(&mut [0]).is_ok());
            yield_now();
            let plan = Plan::new(200, Duration::from_millis(1));
            let before = get_hub().stats().iterations;
            load(&plan);
            let polls = get_hub().stats().iterations - before;
            assert!(polls >= 6, "{name}: {polls} polls");
            waiter.kill();
        });
    }
}

/// A neighbour that asks for little gets its turns: a timer of 1 ms ticks while a greenlet works on
/// messages.
#[test]
fn a_timer_ticks_beside_slow_pieces() {
    for (name, load) in LOADS {
        within(LIMIT, move || {
            let ticks = Rc::new(Cell::new(0));
            let counter = ticks.clone();
            let ticker = spawn(move || {
                loop {
                    sleep(Duration::from_millis(1));
                    counter.set(counter.get() + 1);
                }
            });
            load(&Plan::new(200, Duration::from_millis(1)));
            ticker.kill();
            assert!(ticks.get() >= 6, "{name}: {} ticks", ticks.get());
        });
    }
}

/// A notification that takes long is interrupted for timers, and continues before anything that was
/// queued after it.
#[test]
fn an_interrupted_notification_keeps_the_order() {
    within(LIMIT, || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let event = Event::new();
        let greenlets: Vec<_> = (0..60)
            .map(|number| {
                let (event, order) = (event.clone(), order.clone());
                spawn(move || {
                    event.wait();
                    work(Duration::from_millis(1));
                    order.borrow_mut().push(number);
                })
            })
            .collect();
        yield_now();
        let (by_timer, by_callback) = (order.clone(), order.clone());
        let timer = spawn_later(Duration::from_millis(1), move || by_timer.borrow_mut().push(-1));
        event.set();
        get_hub().run_callback(move || by_callback.borrow_mut().push(60));
        joinall(&greenlets);
        yield_now();
        assert!(timer.ready(), "the timer was due long ago");
        let mut order = order.take();
        let timer = order.iter().position(|number| *number == -1).expect("the timer has fired");
        assert!(timer < 59, "the timer waited for the whole notification: {order:?}");
        order.remove(timer);
        assert_eq!(order, (0..=60).collect::<Vec<_>>());
    });
}

#[test]
#[ignore = "measures; see the head of this file"]
fn lateness() {
    const TIME: Duration = Duration::from_millis(400);
    println!(
        "{:<32} {:>9} {:>9} {:>9} {:>9}",
        "worst lateness of 1 ms, in ms", "0", "10 us", "0.2 ms", "2 ms"
    );
    for (name, load) in LOADS {
        let row = [0, 10, 200, 2000].map(Duration::from_micros).map(|each| {
            within(LIMIT, move || {
                let pieces =
                    if each.is_zero() { 100_000 } else { (TIME.as_micros() / each.as_micros()) as u64 };
                let worst = Rc::new(Cell::new(Duration::ZERO));
                let noted = worst.clone();
                let ticker = spawn(move || {
                    loop {
                        let start = Instant::now();
                        sleep(Duration::from_millis(1));
                        noted.set(noted.get().max(start.elapsed().saturating_sub(Duration::from_millis(1))));
                    }
                });
                yield_now();
                load(&Plan::new(pieces, each));
                sleep(Duration::from_millis(2));
                ticker.kill();
                worst.get()
            })
        });
        let row = row.map(|worst| format!("{:>9.1}", worst.as_secs_f64() * 1e3));
        println!("{name:<32} {}", row.join(" "));
    }
}
