//! TCP behaves as std's does, and waits without blocking the thread.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream};
use ramie::{joinall, sleep, spawn, yield_now};

use crate::util::footprint::settled;
use crate::util::saturated_peers::fill;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);
const EBADF: i32 = 9;

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = spawn(move || TcpStream::connect(address).unwrap());
    let (server, peer) = listener.accept().unwrap();
    let client = client.take().unwrap();
    assert_eq!(client.local_addr().unwrap(), peer);
    (client, server)
}

#[test]
fn lines_and_copies_work_on_a_stream() {
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let stream = TcpStream::connect(address).unwrap();
        (&stream).write_all(b"one\ntwo\nthree").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let lines: Vec<String> = BufReader::new(&stream).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two", "three"]);
        assert_eq!(server.get().unwrap(), 13);
    });
}

#[test]
fn two_greenlets_share_a_stream() {
    within(LIMIT, || {
        let (near, far) = pair();
        let near = Rc::new(near);
        let reader = parked({
            let near = near.clone();
            move || {
                let mut text = String::new();
                (&*near).read_to_string(&mut text).unwrap();
                text
            }
        });
        let writer = spawn({
            let near = near.clone();
            move || {
                for word in ["one ", "two ", "three"] {
                    (&*near).write_all(word.as_bytes()).unwrap();
                    yield_now();
                }
                near.shutdown(Shutdown::Write).unwrap();
            }
        });
        io::copy(&mut &far, &mut &far).unwrap();
        drop(far);
        writer.join();
        assert_eq!(reader.get().unwrap(), "one two three");
    });
}

#[test]
fn half_closed_connection_still_answers() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let server = spawn(move || {
            let mut question = Vec::new();
            far.read_to_end(&mut question).unwrap();
            question.reverse();
            far.write_all(&question).unwrap();
        });
        near.write_all(b"stressed").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "desserts");
        server.get().unwrap();
        let error = near.write(b"more").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn shutdown_wakes_a_parked_reader() {
    within(LIMIT, || {
        let (near, _far) = pair();
        let near = Rc::new(near);
        let shared = near.clone();
        let reader = parked(move || (&*shared).read(&mut [0; 8]).unwrap());
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.get().unwrap(), 0);
    });
}

#[test]
fn read_timeout_is_timed_out_and_leaves_the_stream_usable() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.read_timeout().unwrap(), Some(SHORT));
        for _ in 0..3 {
            let start = Instant::now();
            let error = near.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= SHORT);
        }
        far.write_all(b"late").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(near.read(&mut buffer).unwrap(), 4);
        assert_eq!(near.read(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(near.peek(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(near.wait_readable().unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn write_timeout_is_timed_out_and_leaves_the_stream_usable() {
    within(LIMIT, || {
        let (near, far) = pair();
        let sent = fill(&near);
        near.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!((&near).write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(near.wait_writable().unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_write_timeout(None).unwrap();
        let drain = spawn(move || io::copy(&mut &far, &mut io::sink()).unwrap());
        (&near).write_all(b"the rest").unwrap();
        drop(near);
        assert_eq!(drain.get().unwrap(), sent as u64 + 8);
    });
}

#[test]
fn time_of_zero_is_refused() {
    within(LIMIT, || {
        let (near, _far) = pair();
        near.set_read_timeout(Some(LONG)).unwrap();
        for result in [
            near.set_read_timeout(Some(Duration::ZERO)),
            near.set_write_timeout(Some(Duration::ZERO)),
            TcpStream::connect_timeout(near.peer_addr().unwrap(), Duration::ZERO).map(drop),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(near.read_timeout().unwrap(), Some(LONG));
    });
}

#[test]
fn peek_leaves_the_bytes() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let writer = spawn(move || {
            yield_now();
            far.write_all(b"once").unwrap();
            far
        });
        let mut buffer = [0; 8];
        for _ in 0..3 {
            assert_eq!(near.peek(&mut buffer).unwrap(), 4);
        }
        assert_eq!(near.read(&mut buffer).unwrap(), 4);
        drop(writer.take().unwrap());
        assert_eq!(near.peek(&mut buffer).unwrap(), 0);
        assert_eq!(near.read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn vectored_operations_use_all_their_buffers() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(far.write_vectored(&pieces).unwrap(), 5);
        let (mut left, mut right) = ([0; 3], [0; 8]);
        let read = near.read_vectored(&mut [IoSliceMut::new(&mut left), IoSliceMut::new(&mut right)]);
        assert_eq!((read.unwrap(), left, &right[..2]), (5, *b"abc", &b"de"[..]));
        // It was short, so the next one waits without asking; more has to wake it.
        let more = spawn(move || far.write_all(b"f").unwrap());
        assert_eq!(near.read_vectored(&mut [IoSliceMut::new(&mut left)]).unwrap(), 1);
        more.get().unwrap();
    });
}

#[test]
fn options_are_what_they_were_set_to() {
    within(LIMIT, || {
        let (near, _far) = pair();
        for on in [true, false] {
            near.set_nodelay(on).unwrap();
            assert_eq!(near.nodelay().unwrap(), on);
        }
        near.set_ttl(42).unwrap();
        assert_eq!(near.ttl().unwrap(), 42);
        for linger in [Some(Duration::from_secs(3)), None, Some(Duration::ZERO)] {
            near.set_linger(linger).unwrap();
            assert_eq!(near.linger().unwrap(), linger);
        }
        assert!(near.take_error().unwrap().is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(43).unwrap();
        assert_eq!(listener.ttl().unwrap(), 43);
        assert!(listener.take_error().unwrap().is_none());
    });
}

#[test]
fn clones_are_the_same_connection_with_limits_of_their_own() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        near.set_read_timeout(Some(SHORT)).unwrap();
        let mut clone = near.try_clone().unwrap();
        assert_eq!(clone.read_timeout().unwrap(), Some(SHORT));
        clone.set_read_timeout(None).unwrap();
        assert_eq!((&near).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        let reader = parked(move || {
            let mut buffer = [0; 2];
            clone.read_exact(&mut buffer).unwrap();
            (buffer, clone)
        });
        // The first handle goes while the second one is waited for.
        drop(near);
        far.write_all(b"ok").unwrap();
        let (buffer, clone) = reader.take().unwrap();
        assert_eq!(&buffer, b"ok");
        drop(clone);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn connections_move_from_std_and_back() {
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let std_stream = net::TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut client = TcpStream::try_from(std_stream).unwrap();
        let late = spawn(move || {
            sleep(Duration::from_millis(1));
            server.write_all(b"hello").unwrap();
            server
        });
        let mut buffer = [0; 5];
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"hello");
        // Registered by now; std's stream blocks again.
        let mut std_stream = client.into_std().unwrap();
        std_stream.set_read_timeout(Some(SHORT)).unwrap();
        let error = std_stream.read(&mut buffer).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        let mut server = late.take().unwrap();
        server.write_all(b"again").unwrap();
        std_stream.set_read_timeout(None).unwrap();
        std_stream.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"again");
        let back: net::TcpStream = TcpStream::from_std(std_stream).unwrap().try_into().unwrap();
        drop(back);
        assert_eq!(server.read(&mut buffer).unwrap(), 0);

        let std_listener = listener.into_std().unwrap();
        let listener = TcpListener::try_from(std_listener).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        assert_eq!(listener.accept_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        let _client = TcpStream::connect(address).unwrap();
        listener.accept_timeout(LONG).unwrap();
    });
}

#[test]
fn refused_connection_says_so() {
    within(LIMIT, || {
        let closed = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(TcpStream::connect(closed).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect_timeout(closed, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // The next address is tried.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [closed, listener.local_addr().unwrap()];
        TcpStream::connect(&addresses[..]).unwrap();
        let none: &[net::SocketAddr] = &[];
        assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn connect_timeout_ends_the_wait_for_an_answer() {
    within(LIMIT, || {
        // A listener with a full backlog does not answer.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let limit = Duration::from_millis(50);
        let mut taken = Vec::new();
        let error = loop {
            let start = Instant::now();
            match TcpStream::connect_timeout(address, limit) {
                Ok(stream) => taken.push(stream),
                Err(error) => {
                    assert!(start.elapsed() >= limit || error.kind() != ErrorKind::TimedOut);
                    break error;
                }
            }
            if taken.len() > 16 {
                return println!("skipped: here a full backlog does not keep a connection waiting");
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn close_wakes_whoever_waits_in_a_later_turn() {
    within(LIMIT, || {
        let (near, _far) = pair();
        let near = Rc::new(near);
        fill(&near);
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let order = Rc::new(RefCell::new(Vec::new()));
        let waiting = [
            parked({
                let (near, order) = (near.clone(), order.clone());
                move || {
                    let error = (&*near).read(&mut [0; 8]).unwrap_err();
                    order.borrow_mut().push("reader");
                    error.raw_os_error()
                }
            }),
            parked({
                let (near, order) = (near.clone(), order.clone());
                move || {
                    let error = (&*near).write(&[0; 8]).unwrap_err();
                    order.borrow_mut().push("writer");
                    error.raw_os_error()
                }
            }),
            parked({
                let (listener, order) = (listener.clone(), order.clone());
                move || {
                    let error = listener.accept().unwrap_err();
                    order.borrow_mut().push("accepter");
                    error.raw_os_error()
                }
            }),
        ];
        near.close();
        listener.close();
        order.borrow_mut().push("closer");
        for greenlet in &waiting {
            assert_eq!(greenlet.get().unwrap(), Some(EBADF));
        }
        assert_eq!(*order.borrow(), ["closer", "reader", "writer", "accepter"]);
        near.close();
        for result in [
            (&*near).read(&mut [0]),
            (&*near).write(&[0]),
            near.peek(&mut [0]),
            near.wait_readable().map(|()| 0),
            near.wait_writable().map(|()| 0),
            listener.accept().map(|_| 0),
            listener.accept_timeout(LONG).map(|_| 0),
        ] {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(EBADF));
        }
    });
}

#[test]
fn other_side_of_a_closed_stream_reads_its_end() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        (&near).write_all(b"bye").unwrap();
        near.close();
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bye");
    });
}

#[test]
fn many_readers_share_one_socket() {
    within(LIMIT, || {
        const READERS: usize = 50;
        let (near, mut far) = pair();
        let near = Rc::new(near);
        let got = Rc::new(Cell::new(0));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (near, got) = (near.clone(), got.clone());
                parked(move || {
                    let mut byte = [0];
                    (&*near).read_exact(&mut byte).unwrap();
                    got.set(got.get() + usize::from(byte[0]));
                })
            })
            .collect();
        far.write_all(&[1; READERS / 2]).unwrap();
        while got.get() < READERS / 2 {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(readers.iter().filter(|reader| reader.ready()).count(), READERS / 2);
        far.write_all(&[1; READERS / 2]).unwrap();
        joinall(&readers);
        assert_eq!(got.get(), READERS);
    });
}

#[test]
fn reset_ends_a_parked_read() {
    within(LIMIT, || {
        let (mut near, far) = pair();
        let reader = parked(move || (near.read(&mut [0; 8]).unwrap_err().kind(), near));
        far.set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let (kind, mut near) = reader.take().unwrap();
        assert_eq!(kind, ErrorKind::ConnectionReset);
        let error = near.write(b"x").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
    });
}

#[test]
fn more_data_after_a_short_read_is_seen() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let mut buffer = [0; 64];
        for round in 1..50 {
            // Alternately there before the read, and only while it waits.
            let text = vec![1; round];
            let far = &mut far;
            if round % 2 == 0 {
                far.write_all(&text).unwrap();
                assert_eq!(near.read(&mut buffer).unwrap(), round);
            } else {
                let mut clone = far.try_clone().unwrap();
                let late = spawn(move || clone.write_all(&text).unwrap());
                assert_eq!(near.read(&mut buffer).unwrap(), round);
                late.get().unwrap();
            }
        }
    });
}

#[test]
fn end_that_comes_with_the_data_is_seen() {
    within(LIMIT, || {
        // The reader waits, is registered, or has never waited, when both arrive at once.
        for state in ["waits", "registered", "fresh"] {
            let (mut near, mut far) = pair();
            let mut buffer = [0; 64];
            if state == "registered" {
                near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                near.read(&mut buffer).unwrap_err();
                near.set_read_timeout(None).unwrap();
            }
            if state == "waits" {
                let late = spawn(move || {
                    far.write_all(b"last words").unwrap();
                    drop(far);
                });
                assert_eq!(near.read(&mut buffer).unwrap(), 10);
                late.get().unwrap();
            } else {
                far.write_all(b"last words").unwrap();
                drop(far);
                sleep(Duration::from_millis(1));
                assert_eq!(near.read(&mut buffer).unwrap(), 10);
            }
            for _ in 0..3 {
                assert_eq!(near.read(&mut buffer).unwrap(), 0, "{state}");
            }
        }
    });
}

#[test]
fn slow_reader_gets_everything() {
    within(LIMIT, || {
        const SIZE: usize = 8 << 20;
        let (mut near, mut far) = pair();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
            far.write_all(&data).unwrap();
        });
        let mut buffer = vec![0; 100_003];
        let (mut at, mut rounds) = (0, 0);
        loop {
            let read = near.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            assert!(buffer[..read].iter().zip(at..).all(|(byte, at)| *byte == (at % 251) as u8));
            at += read;
            rounds += 1;
            if rounds % 8 == 0 {
                sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(at, SIZE);
        writer.get().unwrap();
    });
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    within(LIMIT, || {
        let before = settled();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                spawn(move || {
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    let mut buffer = [0; 8];
                    let read = stream.read(&mut buffer).unwrap();
                    stream.write_all(&buffer[..read]).unwrap();
                });
            }
        });
        let at_once = 20;
        let clients: Vec<_> = (0..at_once)
            .map(|client: usize| {
                spawn(move || {
                    for round in 0..1000 / at_once {
                        let mut stream = TcpStream::connect(address).unwrap();
                        let text = format!("{client} {round}");
                        stream.write_all(text.as_bytes()).unwrap();
                        let mut answer = String::new();
                        stream.read_to_string(&mut answer).unwrap();
                        assert_eq!(answer, text);
                    }
                })
            })
            .collect();
        for client in clients {
            client.get().unwrap();
        }
        server.kill();
        assert_eq!(settled(), before);
    });
}

#[test]
fn wait_readable_sees_what_is_there_already() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        far.write_all(b"abc").unwrap();
        // Not registered yet, registered, registered and read in part.
        near.wait_readable().unwrap();
        near.set_read_timeout(Some(LONG)).unwrap();
        near.wait_readable().unwrap();
        near.read_exact(&mut [0]).unwrap();
        near.wait_readable().unwrap();
        near.read_exact(&mut [0; 2]).unwrap();
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.wait_readable().unwrap_err().kind(), ErrorKind::TimedOut);
        for _ in 0..3 {
            near.set_write_timeout(Some(LONG)).unwrap();
            near.wait_writable().unwrap();
        }
        drop(far);
        near.set_read_timeout(Some(LONG)).unwrap();
        for _ in 0..3 {
            near.wait_readable().unwrap();
            assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        }
    });
}

#[test]
fn chatty_peer_starves_nobody() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let (mut quiet_near, mut quiet_far) = pair();
        let stop = Rc::new(Cell::new(false));
        // This one can always read: it feeds itself, never has to wait, and stops only when told
        // to.
        let chatty = spawn({
            let stop = stop.clone();
            move || {
                let mut rounds = 0_u32;
                while !stop.get() {
                    far.write_all(b"x").unwrap();
                    near.read_exact(&mut [0]).unwrap();
                    rounds += 1;
                }
                rounds
            }
        });
        let neighbour = spawn(move || {
            sleep(Duration::from_millis(1));
            quiet_near.read_exact(&mut [0]).unwrap();
            stop.set(true);
        });
        let writer = spawn(move || {
            sleep(Duration::from_millis(5));
            quiet_far.write_all(b"y").unwrap();
        });
        neighbour.get().unwrap();
        writer.get().unwrap();
        assert!(chatty.get().unwrap() > 64);
    });
}

#[test]
fn descriptor_that_is_used_again_is_told_nothing_of_its_past() {
    within(LIMIT, || {
        // Both streams become ready in one poll; the first to be served closes the other one and
        // opens a new one, which gets its number.
        let (near, mut far) = pair();
        let (other, mut other_far) = pair();
        let other = Rc::new(RefCell::new(Some(other)));
        let hold = other.clone();
        other.borrow().as_ref().unwrap().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        other.borrow_mut().as_mut().unwrap().read(&mut [0]).unwrap_err();
        let reader = parked(move || {
            (&near).read_exact(&mut [0]).unwrap();
            drop(hold.take());
            let (fresh, _fresh_far) = pair();
            fresh.set_read_timeout(Some(SHORT)).unwrap();
            (fresh.wait_readable().unwrap_err().kind(), (&fresh).read(&mut [0]).unwrap_err().kind())
        });
        far.write_all(b"x").unwrap();
        other_far.write_all(b"x").unwrap();
        assert_eq!(reader.get().unwrap(), (ErrorKind::TimedOut, ErrorKind::TimedOut));
    });
}

#[test]
fn bytes_behind_urgent_data_are_seen() {
    within(LIMIT, || {
        let (mut near, far) = pair();
        near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        near.read(&mut [0; 8]).unwrap_err();
        near.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        (&far).write_all(b"abc").unwrap();
        socket2::SockRef::from(&far).send_out_of_band(b"!").unwrap();
        (&far).write_all(b"def").unwrap();
        sleep(SHORT);
        // A read stops at the mark: it is short although more is there.
        let mut buffer = [0; 6];
        near.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"abcdef");
    });
}

/// No connection is accepted before all of them are connected.
#[test]
fn burst_of_clients_finds_place_in_the_backlog() {
    within(LIMIT, || {
        const CLIENTS: usize = 300;
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
        let most = most.and_then(|most| most.trim().parse().ok()).unwrap_or(128);
        if most <= CLIENTS {
            return println!("skipped: the system allows a backlog of {most} only");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| spawn(move || TcpStream::connect(address).unwrap())).collect();
        joinall(&clients);
        let served: Vec<_> = (0..CLIENTS).map(|_| listener.accept().unwrap()).collect();
        assert_eq!(served.len(), CLIENTS);
    });
}

#[test]
fn backlog_is_as_long_as_it_was_told_to_be() {
    within(LIMIT, || {
        let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 1).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(address, Duration::from_millis(200)).ok();
        let clients: Vec<_> = (0..10).filter_map(connect).collect();
        if cfg!(target_os = "linux") {
            assert!((1..10).contains(&clients.len()), "{} of 10", clients.len());
        }
        listener.accept().unwrap();
    });
}
