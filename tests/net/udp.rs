//! UDP behaves as std's does, and waits without blocking the thread.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::net::UdpSocket;
use ramie::{select, sleep, spawn, yield_now};

use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Two sockets that are connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((near, near_address), (far, far_address)) = (bound(), bound());
    near.connect(far_address).unwrap();
    far.connect(near_address).unwrap();
    (near, far)
}

#[test]
fn datagrams_carry_their_senders_address() {
    within(LIMIT, || {
        let before = settled();
        let (server, address) = bound();
        let serving = parked(move || {
            for _ in 0..3 {
                let mut buffer = [0; 100];
                let (length, peer) = server.recv_from(&mut buffer).unwrap();
                buffer[..length].reverse();
                assert_eq!(server.send_to(&buffer[..length], peer).unwrap(), length);
            }
        });
        for text in ["stressed", "live", "drawer"] {
            let (client, _) = bound();
            client.send_to(text.as_bytes(), address).unwrap();
            let mut buffer = [0; 100];
            let (length, peer) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(peer, address);
            assert!(text.bytes().rev().eq(buffer[..length].iter().copied()));
        }
        serving.get().unwrap();
        assert_eq!(settled(), before);
    });
}

#[test]
fn connected_socket_hears_its_peer_only() {
    within(LIMIT, || {
        let (near, far) = pair();
        let (stranger, _) = bound();
        assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
        assert_eq!(stranger.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        stranger.send_to(b"spam", near.local_addr().unwrap()).unwrap();
        far.send(b"mail").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(near.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"mail");
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn first_address_that_can_be_had_is_taken() {
    within(LIMIT, || {
        let (_taken, taken) = bound();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = UdpSocket::bind(&[taken, free][..]).unwrap();
        let none: &[SocketAddr] = &[];
        for error in [
            UdpSocket::bind(taken).unwrap_err().kind(),
            UdpSocket::bind(none).unwrap_err().kind(),
            socket.connect(none).unwrap_err().kind(),
            socket.send_to(b"x", none).unwrap_err().kind(),
        ]
        .into_iter()
        .zip([
            ErrorKind::AddrInUse,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidInput,
        ]) {
            assert_eq!(error.0, error.1);
        }
    });
}

#[test]
fn peek_leaves_the_datagram() {
    within(LIMIT, || {
        let (near, far) = pair();
        let late = spawn(move || {
            yield_now();
            far.send(b"once").unwrap();
            far
        });
        let mut buffer = [0; 8];
        assert_eq!(near.peek(&mut buffer).unwrap(), 4);
        let far = late.take().unwrap();
        assert_eq!(near.peek_from(&mut buffer).unwrap(), (4, far.local_addr().unwrap()));
        assert_eq!(near.recv(&mut buffer).unwrap(), 4);
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.peek(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn empty_datagram_is_no_end() {
    within(LIMIT, || {
        let (near, far) = pair();
        let receiver = parked(move || [0, 0, 0].map(|_| near.recv(&mut [0; 8]).unwrap()));
        for data in [&b""[..], b"x", b""] {
            assert_eq!(far.send(data).unwrap(), data.len());
        }
        assert_eq!(receiver.get().unwrap(), [0, 1, 0]);
    });
}

#[cfg(unix)]
#[test]
fn long_datagram_is_cut_off() {
    within(LIMIT, || {
        let (near, far) = pair();
        far.send(b"too long").unwrap();
        far.send(b"next").unwrap();
        let mut buffer = [0; 3];
        assert_eq!(near.peek(&mut buffer).unwrap(), 3);
        assert_eq!(near.recv(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"too");
        // The rest of it is gone, and nothing else.
        let mut buffer = [0; 8];
        assert_eq!(near.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"next");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn datagram_that_no_packet_holds_is_refused() {
    const EMSGSIZE: i32 = 90;
    within(LIMIT, || {
        let (near, far) = pair();
        let huge = vec![0; 1 << 16];
        assert_eq!(near.send(&huge).unwrap_err().raw_os_error(), Some(EMSGSIZE));
        let address = far.local_addr().unwrap();
        assert_eq!(near.send_to(&huge, address).unwrap_err().raw_os_error(), Some(EMSGSIZE));
        near.send(b"ok").unwrap();
        assert_eq!(far.recv(&mut [0; 8]).unwrap(), 2);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn refusal_by_the_other_host_is_an_error_once() {
    within(LIMIT, || {
        let (near, far) = pair();
        let address = far.local_addr().unwrap();
        drop(far);
        // A waiter gets the error, and so does a later call.
        let waiter = parked({
            let near = near.try_clone().unwrap();
            move || near.recv(&mut [0; 8]).unwrap_err().kind()
        });
        near.send(b"is a peer there?").unwrap();
        assert_eq!(waiter.get().unwrap(), ErrorKind::ConnectionRefused);
        near.send(b"really?").unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        near.send(b"I mean").unwrap();
        assert_eq!(near.send(b"it").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        near.send(b"again").unwrap();
        assert_eq!(near.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
        // The socket works on.
        let far = UdpSocket::bind(address).unwrap();
        near.send(b"at last").unwrap();
        assert_eq!(far.recv(&mut [0; 8]).unwrap(), 7);
        far.send_to(b"yes", near.local_addr().unwrap()).unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 3);
    });
}

#[test]
fn each_datagram_goes_to_one_of_those_who_wait() {
    within(LIMIT, || {
        const RECEIVERS: usize = 20;
        let (near, far) = pair();
        let near = Rc::new(near);
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|_| {
                let near = near.clone();
                parked(move || {
                    let mut buffer = [0; 1];
                    near.recv(&mut buffer).unwrap();
                    usize::from(buffer[0])
                })
            })
            .collect();
        for number in 0..RECEIVERS {
            far.send(&[number as u8]).unwrap();
        }
        let mut got: Vec<_> = receivers.iter().map(|receiver| receiver.get().unwrap()).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..RECEIVERS));
    });
}

#[test]
fn timeouts_are_timed_out_and_leave_the_socket_usable() {
    within(LIMIT, || {
        let (near, far) = pair();
        near.set_read_timeout(Some(SHORT)).unwrap();
        near.set_write_timeout(Some(LONG)).unwrap();
        assert_eq!(near.read_timeout().unwrap(), Some(SHORT));
        assert_eq!(near.write_timeout().unwrap(), Some(LONG));
        assert_eq!(near.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(near.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        for call in [
            |socket: &UdpSocket| socket.recv(&mut [0; 8]).map(drop),
            |socket: &UdpSocket| socket.recv_from(&mut [0; 8]).map(drop),
            |socket: &UdpSocket| socket.peek(&mut [0; 8]).map(drop),
            |socket: &UdpSocket| socket.peek_from(&mut [0; 8]).map(drop),
            UdpSocket::wait_readable,
        ] {
            let start = Instant::now();
            assert_eq!(call(&near).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= SHORT);
        }
        far.send(b"late").unwrap();
        near.wait_readable().unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 4);
        near.wait_writable().unwrap();
    });
}

#[test]
fn nonblocking_handle_waits_for_nothing() {
    within(LIMIT, || {
        let (near, far) = pair();
        let patient = near.try_clone().unwrap();
        near.set_nonblocking(true).unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let waiter = parked(move || patient.recv(&mut [0; 8]).unwrap());
        far.send(b"one").unwrap();
        assert_eq!(waiter.get().unwrap(), 3);
        far.send(b"more").unwrap();
        near.wait_readable().unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 4);
        near.send(b"x").unwrap();
    });
}

#[test]
fn options_are_what_they_were_set_to() {
    within(LIMIT, || {
        let (socket, _) = bound();
        for on in [true, false] {
            socket.set_broadcast(on).unwrap();
            assert_eq!(socket.broadcast().unwrap(), on);
            socket.set_multicast_loop_v4(on).unwrap();
            assert_eq!(socket.multicast_loop_v4().unwrap(), on);
        }
        socket.set_ttl(42).unwrap();
        assert_eq!(socket.ttl().unwrap(), 42);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        assert!(socket.take_error().unwrap().is_none());
        // What has no method is set through socket2.
        let options = socket2::SockRef::from(&socket);
        options.set_reuse_address(true).unwrap();
        assert!(options.reuse_address().unwrap());
        if let Ok(socket) = UdpSocket::bind("[::1]:0") {
            for on in [true, false] {
                socket.set_multicast_loop_v6(on).unwrap();
                assert_eq!(socket.multicast_loop_v6().unwrap(), on);
            }
            let no_group = Ipv6Addr::LOCALHOST;
            socket.join_multicast_v6(&no_group, 0).unwrap_err();
            socket.leave_multicast_v6(&no_group, 0).unwrap_err();
        }
    });
}

#[test]
fn group_is_heard_until_it_is_left() {
    within(LIMIT, || {
        let group = Ipv4Addr::new(239, 255, 7, 7);
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (sender, _) = bound();
        // There may be no network but the host itself, or none that carries groups.
        if socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err()
            || socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).is_err()
            || sender.send_to(b"hello", (group, port)).is_err()
        {
            return println!("skipped: there are no groups here");
        }
        let mut buffer = [0; 8];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, sender.local_addr().unwrap()));
        socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        sender.send_to(b"members?", (group, port)).unwrap();
        socket.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(socket.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn sockets_move_from_std_and_back() {
    within(LIMIT, || {
        let std_socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::try_from(std_socket).unwrap();
        let (far, _) = bound();
        let address = socket.local_addr().unwrap();
        let late = spawn(move || {
            sleep(Duration::from_millis(1));
            far.send_to(b"hello", address).unwrap();
            far
        });
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 5);
        let clone = socket.try_clone().unwrap();
        assert_eq!(socket.into_std().unwrap_err().kind(), ErrorKind::ResourceBusy);
        // Registered by now; std's socket blocks again.
        let std_socket: net::UdpSocket = clone.try_into().unwrap();
        std_socket.set_read_timeout(Some(SHORT)).unwrap();
        let error = std_socket.recv(&mut [0; 8]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        late.take().unwrap().send_to(b"again", address).unwrap();
        std_socket.set_read_timeout(None).unwrap();
        assert_eq!(std_socket.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn socket_is_a_part_in_a_selection() {
    within(LIMIT, || {
        let (near, far) = pair();
        let mut buffer = [0; 8];
        near.set_nonblocking(true).unwrap();
        near.recv(&mut buffer).unwrap_err();
        let quiet = select! {
            ready(near) => false,
            default(SHORT) => true,
        };
        assert!(quiet);
        let late = spawn(move || far.send(b"x").unwrap());
        let heard = select! {
            ready(near) => near.recv(&mut buffer).unwrap(),
            default(LONG) => 0,
        };
        assert_eq!(heard, 1);
        late.get().unwrap();
    });
}

#[test]
fn chatty_peer_starves_nobody() {
    within(LIMIT, || {
        let (near, far) = pair();
        let stop = Rc::new(Cell::new(false));
        let chatty = spawn({
            let stop = stop.clone();
            move || -> io::Result<u32> {
                let mut rounds = 0;
                while !stop.get() {
                    far.send(b"x")?;
                    near.recv(&mut [0; 8])?;
                    rounds += 1;
                }
                Ok(rounds)
            }
        });
        sleep(Duration::from_millis(1));
        stop.set(true);
        assert!(chatty.take().unwrap().unwrap() > 0);
    });
}
