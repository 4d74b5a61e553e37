//! Servers: starting and stopping, limits, what handlers may do, and what is left behind.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ramie::net::TcpStream;
use ramie::server::StreamServer;
use ramie::sync::Event;
use ramie::{
    Builder, Greenlet, GreenletExit, Pool, catch, get_hub, getcurrent, raise, sleep, spawn, with_timeout,
    yield_now,
};

use crate::util::eventually::{rests, until};
use crate::util::footprint::{footprint, settled};
use crate::util::log::Log;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

/// A client that is connected, but perhaps not accepted.
fn client(server: &StreamServer) -> TcpStream {
    TcpStream::connect(server.address().unwrap()).unwrap()
}

/// Sends a word and returns the answer, up to its end.
fn ask(server: &StreamServer, word: &str) -> String {
    let mut stream = client(server);
    stream.write_all(word.as_bytes()).unwrap();
    stream.shutdown(net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A server that sends back what it gets.
fn echo() -> StreamServer {
    StreamServer::bind("127.0.0.1:0", |stream, _| io::copy(&mut &stream, &mut &stream)).unwrap()
}

/// A server with handlers that wait for the event and then report that.
fn gated(gate: &Rc<Event>) -> StreamServer {
    let gate = gate.clone();
    let handle = move |mut stream: TcpStream, _| {
        gate.wait();
        stream.write_all(b"done")
    };
    StreamServer::bind("127.0.0.1:0", handle).unwrap()
}

/// Returns `true` if nothing comes from the stream for a while.
fn silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let result = stream.read(&mut [0]);
    stream.set_read_timeout(None).unwrap();
    result.is_err_and(|error| error.kind() == ErrorKind::TimedOut)
}

#[test]
fn server_serves_and_leaves_nothing() {
    within(LIMIT, || {
        let before = settled();
        let server = echo();
        assert!(!server.started() && !server.closed());
        server.start().unwrap();
        assert!(server.started());
        for word in ["", "one", "two"] {
            assert_eq!(ask(&server, word), word);
        }
        let answers: Vec<_> = (0..20)
            .map(|number| {
                let server = server.clone();
                spawn(move || ask(&server, &number.to_string()))
            })
            .collect();
        for (number, answer) in answers.iter().enumerate() {
            assert_eq!(answer.get().unwrap(), number.to_string());
        }
        assert!(server.stop());
        assert!(!server.started() && !server.closed());
        drop(server);
        drop(answers);
        rests(before);
    });
}

#[test]
fn address_is_known() {
    within(LIMIT, || {
        let server = echo();
        let address = server.address().unwrap();
        assert_eq!(server.server_host().unwrap(), address.ip());
        assert_eq!(server.server_port().unwrap(), address.port());
        assert_ne!(address.port(), 0);
        let taken = StreamServer::bind(address, |_, _| ()).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        assert!(format!("{server:?}").starts_with("StreamServer"));
    });
}

#[test]
fn stopped_server_leaves_peers_in_the_backlog_until_it_starts_again() {
    within(LIMIT, || {
        let server = echo();
        let ask_later = |server: &StreamServer| {
            let server = server.clone();
            parked(move || ask(&server, "later"))
        };
        let early = ask_later(&server);
        sleep(SHORT);
        assert!(!early.ready());
        for _ in 0..3 {
            server.start().unwrap();
            server.start().unwrap();
            assert_eq!(ask(&server, "x"), "x");
            assert!(server.stop());
            let waiting = ask_later(&server);
            sleep(SHORT);
            assert!(!waiting.ready() && server.handlers().is_empty());
            server.start().unwrap();
            assert_eq!(waiting.get().unwrap(), "later");
            server.stop_accepting();
            assert!(!server.started());
        }
        assert_eq!(early.get().unwrap(), "later");
    });
}

#[test]
fn nothing_is_taken_after_a_stop() {
    within(LIMIT, || {
        let log = Log::new();
        let served = log.clone();
        let server = StreamServer::bind("127.0.0.1:0", move |_, _| served.add("served")).unwrap();
        server.start().unwrap();
        // It waits, and is stopped when connections are there that it has not been told of yet.
        yield_now();
        let connect = || net::TcpStream::connect(server.address().unwrap()).unwrap();
        let _clients = [connect(), connect()];
        server.stop_accepting();
        sleep(SHORT);
        log.expect("");
        server.start().unwrap();
        server.stop_accepting();
        sleep(SHORT);
        log.expect("");
        server.start().unwrap();
        until(|| log.len() == 2);
    });
}

#[test]
fn closed_server_refuses_and_its_handlers_go_on() {
    within(LIMIT, || {
        let gate = Rc::new(Event::new());
        let server = gated(&gate);
        server.start().unwrap();
        let mut held = client(&server);
        until(|| server.handlers().len() == 1);
        let address = server.address().unwrap();
        server.close();
        assert!(server.closed() && !server.started());
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(server.start().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(server.serve_forever().is_err());
        server.close();
        gate.set();
        let mut answer = String::new();
        held.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "done");
        assert!(server.stop());
    });
}

#[test]
fn stop_waits_for_handlers_and_kills_those_that_are_left() {
    within(LIMIT, || {
        let log = Log::new();
        let seen = log.clone();
        let server = StreamServer::bind("127.0.0.1:0", move |mut stream: TcpStream, _| {
            let mut word = [0; 1];
            stream.read_exact(&mut word)?;
            let stays = catch::<GreenletExit, _>(|| sleep(if word == *b"q" { SHORT } else { LONG }));
            seen.add(if stays.is_err() { "killed" } else { "done" });
            if word == *b"s" {
                sleep(LONG);
            }
            Ok::<_, io::Error>(())
        })
        .unwrap();
        server.start().unwrap();
        let mut clients = ["q", "k"].map(|word| {
            let mut stream = client(&server);
            stream.write_all(word.as_bytes()).unwrap();
            stream
        });
        until(|| server.handlers().len() == 2);
        sleep(Duration::from_millis(1));
        assert!(server.stop_timeout(Duration::from_millis(200)));
        log.expect("done killed");
        for stream in &mut clients {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        // A handler that continues after its kill is left alone.
        server.start().unwrap();
        let mut stubborn = client(&server);
        stubborn.write_all(b"s").unwrap();
        until(|| server.handlers().len() == 1);
        sleep(SHORT);
        assert!(!server.stop_timeout(Duration::ZERO));
        assert_eq!(server.handlers().len(), 1);
        log.expect("done killed killed");
        server.handlers().greenlets()[0].kill();
        assert!(server.stop());
    });
}

#[test]
fn handler_may_stop_its_server() {
    within(LIMIT, || {
        let place: Rc<RefCell<Option<StreamServer>>> = Rc::default();
        let own = place.clone();
        let log = Log::new();
        let seen = log.clone();
        let server = StreamServer::bind("127.0.0.1:0", move |_, _| {
            let server = own.borrow_mut().take();
            match server {
                Some(server) => {
                    assert!(server.stop_timeout(SHORT));
                    assert!(server.handlers().contains(&getcurrent()));
                    seen.add("stopped");
                }
                None => {
                    let _ = catch::<GreenletExit, _>(|| sleep(LONG));
                    seen.add("killed");
                }
            }
        })
        .unwrap();
        place.replace(Some(server.clone()));
        let _clients = [client(&server), client(&server)];
        server.serve_forever().unwrap();
        log.expect("killed stopped");
    });
}

#[test]
fn serve_forever_stops_on_every_way_out() {
    within(LIMIT, || {
        let before = settled();
        let gate = Rc::new(Event::new());
        for way in ["stop", "kill", "timeout", "close", "acceptor"] {
            let server = gated(&gate);
            server.set_stop_timeout(SHORT);
            let serving = {
                let server = server.clone();
                let limit = if way == "timeout" { Duration::from_millis(100) } else { LONG };
                parked(move || {
                    with_timeout(limit, || server.serve_forever()).is_ok_and(|served| served.is_ok())
                })
            };
            assert!(server.started());
            let mut held = client(&server);
            until(|| server.handlers().len() == 1);
            match way {
                "stop" => assert!(server.stop()),
                "kill" => serving.kill(),
                "close" => server.close(),
                // Code that ends all greenlets ends this one too.
                "acceptor" => {
                    let all = get_hub().greenlets();
                    all.iter().find(|greenlet| greenlet.name() == "StreamServer").unwrap().kill();
                }
                _ => {}
            }
            serving.join();
            assert_eq!(serving.take().is_ok_and(|fine| fine), !matches!(way, "kill" | "timeout"), "{way}");
            assert!(!server.started() && server.handlers().is_empty(), "{way}");
            assert_eq!(held.read(&mut [0]).unwrap(), 0, "{way}: the handler is gone");
        }
        rests(before);
    });
}

#[test]
fn serve_forever_outlasts_a_pause() {
    within(LIMIT, || {
        let before = settled();
        let gate = Rc::new(Event::new());
        for way in ["start and stop", "stop", "close", "both at once"] {
            gate.clear();
            let server = gated(&gate);
            server.set_stop_timeout(Duration::ZERO);
            let serving = {
                let server = server.clone();
                parked(move || server.serve_forever().unwrap())
            };
            let mut held = client(&server);
            until(|| server.handlers().len() == 1);
            server.stop_accepting();
            if way == "both at once" {
                server.start().unwrap();
            }
            sleep(SHORT);
            assert!(!serving.ready() && server.handlers().len() == 1, "{way}");
            gate.set();
            assert_eq!(held.read(&mut [0; 9]).unwrap(), 4, "{way}: the handler went on");
            match way {
                "start and stop" => {
                    server.start().unwrap();
                    assert_eq!(ask(&server, ""), "done");
                    assert!(!serving.ready());
                    server.stop();
                }
                "close" => server.close(),
                _ => assert!(server.stop()),
            }
            serving.get().unwrap();
        }
        rests(before);
    });
}

#[test]
fn dropped_server_takes_nothing_and_its_handlers_go_on() {
    within(LIMIT, || {
        let before = settled();
        let gate = Rc::new(Event::new());
        let server = gated(&gate);
        server.start().unwrap();
        let address = server.address().unwrap();
        let mut held = client(&server);
        until(|| server.handlers().len() == 1);
        let clone = server.clone();
        drop(server);
        yield_now();
        assert!(clone.started());
        drop(clone);
        yield_now();
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        gate.set();
        let mut answer = String::new();
        held.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "done");
        drop(held);
        rests(before);
    });
}

#[test]
fn started_server_keeps_the_hub_running() {
    within(LIMIT, || {
        let server = echo();
        server.start().unwrap();
        assert!(!get_hub().join_timeout(SHORT));
        server.stop();
        get_hub().join();
    });
}

#[test]
fn failure_of_a_handler_is_its_own() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let server = StreamServer::bind("127.0.0.1:0", |mut stream: TcpStream, _| {
            let mut word = String::new();
            stream.read_to_string(&mut word).map_err(|error| error.to_string())?;
            match &*word {
                "panic" => std::panic::resume_unwind(Box::new("panicked")),
                "raise" => raise("raised"),
                "err" => Err("returned".to_owned()),
                _ => stream.write_all(b"fine").map_err(|error| error.to_string()),
            }
        })
        .unwrap();
        server.start().unwrap();
        for word in ["panic", "raise", "err"] {
            assert_eq!(ask(&server, word), "");
        }
        assert_eq!(ask(&server, "no"), "fine");
        assert!(server.started());
        let words = errors.words();
        assert_eq!(words.len(), 3);
        assert!(words[0].contains("panicked") && words[1] == "raised" && words[2] == "returned", "{words:?}");
    });
}

#[test]
fn handlers_begin_in_the_order_of_their_connections() {
    within(LIMIT, || {
        let order: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let seen = order.clone();
        let server = StreamServer::bind("127.0.0.1:0", move |_, peer| seen.borrow_mut().push(peer)).unwrap();
        let clients: Vec<_> = (0..50).map(|_| client(&server)).collect();
        let expected: Vec<_> = clients.iter().map(|stream| stream.local_addr().unwrap()).collect();
        server.start().unwrap();
        until(|| order.borrow().len() == 50);
        assert_eq!(*order.borrow(), expected);
    });
}

#[test]
fn handler_is_known_by_where_the_server_was_made() {
    within(LIMIT, || {
        let sites: Rc<RefCell<Vec<u32>>> = Rc::default();
        let seen = sites.clone();
        let line = line!() + 1;
        let server = StreamServer::bind("127.0.0.1:0", move |_, _| {
            let me = getcurrent();
            assert!(me.spawn_site().file().ends_with("server.rs"));
            seen.borrow_mut().push(me.spawn_site().line());
        })
        .unwrap();
        server.start().unwrap();
        ask(&server, "");
        server.stop();
        server.set_limit(1);
        server.start().unwrap();
        ask(&server, "");
        assert_eq!(*sites.borrow(), [line, line]);
    });
}

#[test]
fn limit_leaves_peers_in_the_backlog() {
    within(LIMIT, || {
        let before = settled();
        let gate = Rc::new(Event::new());
        let server = gated(&gate);
        server.set_limit(2);
        server.start().unwrap();
        let mut clients = [0; 5].map(|_| client(&server));
        until(|| server.handlers().len() == 2);
        assert!(silent(&mut clients[2]));
        assert_eq!(server.handlers().len(), 2);
        // Two handlers with their streams, two clients that they hold, and no fifth stream on this
        // side.
        gate.set();
        for stream in &mut clients {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "done");
        }
        assert!(server.stop());
        drop((server, clients));
        rests(before);
    });
}

#[test]
fn limit_is_never_exceeded_and_served_in_order() {
    within(LIMIT, || {
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let order: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let (running, peak, seen) = (now.clone(), most.clone(), order.clone());
        let server = StreamServer::bind("127.0.0.1:0", move |_, peer| {
            seen.borrow_mut().push(peer);
            running.set(running.get() + 1);
            peak.set(running.get().max(peak.get()));
            sleep(Duration::from_millis(1));
            running.set(running.get() - 1);
        })
        .unwrap();
        server.set_limit(3);
        let clients: Vec<_> = (0..40).map(|_| client(&server)).collect();
        server.start().unwrap();
        until(|| order.borrow().len() == 40);
        assert_eq!(most.get(), 3);
        let expected: Vec<_> = clients.iter().map(|stream| stream.local_addr().unwrap()).collect();
        assert_eq!(*order.borrow(), expected);
    });
}

#[test]
fn limit_of_zero_serves_nobody_and_stops() {
    within(LIMIT, || {
        let server = echo();
        server.set_limit(0);
        server.start().unwrap();
        let mut one = client(&server);
        assert!(silent(&mut one));
        assert!(server.stop());
        server.set_limit(1);
        server.start().unwrap();
        one.write_all(b"x").unwrap();
        one.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn pool_is_shared_and_a_stop_ends_the_servers_own_handlers_only() {
    within(LIMIT, || {
        let pool = Pool::with_builder(Some(3), Builder::new().name("pooled"));
        let gate = Rc::new(Event::new());
        let servers = [gated(&gate), gated(&gate)];
        for server in &servers {
            server.set_pool(pool.clone());
            server.start().unwrap();
        }
        let work = pool.spawn(|| sleep(LONG));
        let mut first = client(&servers[0]);
        let mut second = client(&servers[1]);
        until(|| pool.len() == 3);
        let mut third = client(&servers[1]);
        assert!(silent(&mut third) && pool.full());
        assert!(servers[0].handlers().iter().all(|handler| handler.name() == "pooled"));
        // The slot of the first server's handler goes to the second server.
        assert!(servers[0].stop_timeout(Duration::ZERO));
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        until(|| servers[1].handlers().len() == 2);
        assert!(!work.ready() && pool.contains(work.as_any()));
        gate.set();
        for stream in [&mut second, &mut third] {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "done");
        }
        assert!(servers[1].stop());
        assert_eq!(pool.greenlets(), [work.as_any().clone()]);
        work.kill();
    });
}

#[test]
fn slot_that_others_take_is_waited_for_again() {
    within(LIMIT, || {
        // Waiters for the pool and the server get slots in turn; none is let in twice, none is
        // forgotten.
        let pool = Pool::new(1);
        let server = echo();
        server.set_pool(pool.clone());
        server.start().unwrap();
        let work = pool.clone();
        let others: Greenlet<()> = spawn(move || {
            for _ in 0..20 {
                work.spawn(|| sleep(Duration::from_millis(1)));
            }
        });
        for word in ["a", "b", "c", "d"] {
            assert_eq!(ask(&server, word), word);
            assert!(pool.len() <= 1);
        }
        others.get().unwrap();
        pool.join();
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn settings_are_checked() {
    within(LIMIT, || {
        let server = echo();
        let zero = std::panic::AssertUnwindSafe(|| server.set_max_accept(0));
        assert!(std::panic::catch_unwind(zero).is_err());
    });
}

#[test]
fn footprint_of_an_idle_server_is_one_greenlet() {
    within(LIMIT, || {
        let before = settled();
        let server = echo();
        server.start().unwrap();
        yield_now();
        let now = footprint();
        assert_eq!((now.greenlets, now.sources), (before.greenlets + 1, before.sources + 1));
        drop(server);
        rests(before);
    });
}
