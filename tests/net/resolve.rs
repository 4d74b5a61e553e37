//! Host names are looked up on the threads of the global pool, while others run.
//!
//! All of it is one test, because there is one such pool.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use ramie::{ThreadPool, TimedOut, sleep, spawn, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

fn all(addresses: impl ToSocketAddrs) -> Vec<SocketAddr> {
    addresses.to_socket_addrs().unwrap().collect()
}

fn refused(text: &str) -> String {
    let error = text.to_socket_addrs().map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    error.to_string()
}

#[test]
fn names_are_looked_up_while_others_run() {
    within(LIMIT, || {
        // The pool has one thread, and that one is busy: nothing that goes there comes back.
        let pool = ThreadPool::global();
        let before = pool.maxsize();
        pool.set_maxsize(1);
        let (hold, held) = channel::<()>();
        let busy = pool.spawn(move || held.recv().is_err());

        // Numbers do not go there.
        let v4 = SocketAddr::from(([127, 0, 0, 1], 80));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        assert_eq!(all("127.0.0.1:80"), [v4]);
        assert_eq!(all(String::from("[::1]:80")), [v6]);
        assert_eq!(all(("127.0.0.1", 80)), [v4]);
        assert_eq!(all((String::from("::1"), 80)), [v6]);
        assert_eq!(all((IpAddr::from(Ipv4Addr::LOCALHOST), 80)), [v4]);
        assert_eq!(all((Ipv4Addr::LOCALHOST, 80)), [v4]);
        assert_eq!(all((Ipv6Addr::LOCALHOST, 80)), [v6]);
        assert_eq!(all(&[v4, v6][..]), [v4, v6]);
        let borrowed = &v4;
        assert_eq!(all(borrowed), [v4]);

        // What is no address is told at once.
        assert!(refused("127.0.0.1").contains("has no port"));
        assert!(refused("localhost:http").contains("must be a number"));
        assert!(refused("localhost:65536").contains("must be a number"));

        // A kill, a timeout and a deadline end the wait.
        let killed = spawn(|| "localhost:80".to_socket_addrs().map(drop));
        yield_now();
        killed.kill();
        assert!(killed.dead());
        assert!(matches!(with_timeout(SHORT, || UdpSocket::bind("localhost:0").map(drop)), Err(TimedOut)));
        let late = TcpStream::connect_timeout("localhost:80", Instant::now() + SHORT).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);

        // Others run while a name is looked up: one of them sets the thread free.
        spawn(move || {
            sleep(SHORT);
            drop(hold);
        });
        let addresses = all("localhost:80");
        assert!(busy.take().unwrap());
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!addresses.is_empty());
        pool.set_maxsize(before);

        // And by name there is a connection.
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepts = spawn(move || listener.accept().map(drop).is_ok());
        assert_eq!(TcpStream::connect(("localhost", port)).unwrap().peer_addr().unwrap().port(), port);
        assert!(accepts.take().unwrap());
    });
}
