//! The descriptor of a hub: readable when the hub has something to do for a source or for another
//! thread, and not otherwise.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::{Hub, Next};
use ramie::io::wait_read;
use ramie::net::TcpListener;
use ramie::shared;
use ramie::{Greenlet, get_hub, sleep, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the hub's descriptor is readable, for at most this time. Returns `true` if it is.
fn readable(timeout: Option<Duration>) -> bool {
    let hub = get_hub();
    let mut fds = [PollFd::new(&hub, PollFlags::IN)];
    let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("a short time"));
    poll(&mut fds, timeout.as_ref()).unwrap() == 1
}

/// Drives the hub by its descriptor and its deadlines, and by no other wait, until `over`.
fn drive_until(over: impl Fn() -> bool) {
    while !over() {
        let next = get_hub().poll_once();
        if over() {
            return;
        }
        readable(next.timeout(Instant::now()));
    }
}

/// Calls `poll_once` until nothing is queued, and the descriptor is not readable: it is once for a new
/// source that may be written.
fn settle() {
    while get_hub().poll_once() == Next::Now || readable(Some(Duration::ZERO)) {}
}

#[test]
fn it_is_readable_for_a_source_until_an_iteration_has_taken_the_event() {
    within(LIMIT, || {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let g = spawn(move || {
            let mut read = Vec::new();
            loop {
                let mut byte = [0];
                wait_read(&ours, None).unwrap();
                match ours.read(&mut byte) {
                    Ok(0) => return read,
                    Ok(_) => read.push(byte[0]),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
        });
        settle();
        for byte in 0..3 {
            assert!(!readable(Some(Duration::ZERO)));
            theirs.write_all(&[byte]).unwrap();
            assert!(readable(None));
            settle();
        }
        drop(theirs);
        assert!(readable(None));
        settle();
        assert_eq!(g.try_get().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn it_is_readable_for_another_thread() {
    within(LIMIT, || {
        let hub = get_hub();
        settle();
        assert!(!readable(Some(Duration::ZERO)));
        let remote = hub.remote();
        for _ in 0..3 {
            let remote = remote.clone();
            let poster = thread::spawn(move || remote.post(|| {}).unwrap());
            assert!(readable(None));
            poster.join().unwrap();
            settle();
            assert!(!readable(Some(Duration::ZERO)), "the message was taken");
        }
        let event = shared::Event::new();
        let waiting = event.clone();
        let g = spawn(move || waiting.wait());
        settle();
        let setter = thread::spawn(move || event.set());
        assert!(readable(None));
        setter.join().unwrap();
        settle();
        assert!(g.ready());
    });
}

/// The edges that an outer epoll sees of the hub's descriptor.
#[cfg(target_os = "linux")]
#[test]
fn each_event_after_an_iteration_is_an_edge() {
    use rustix::event::epoll;
    within(LIMIT, || {
        let hub = get_hub();
        let outer = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&outer, hub, epoll::EventData::new_u64(1), epoll::EventFlags::IN | epoll::EventFlags::ET)
            .unwrap();
        let edge = |timeout: Option<Duration>| {
            let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("a short time"));
            let mut events: [epoll::Event; 4] =
                [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 4];
            epoll::wait(&outer, &mut events, timeout.as_ref()).unwrap() > 0
        };
        settle();
        while edge(Some(Duration::ZERO)) {}
        let remote = hub.remote();
        for _ in 0..5 {
            let remote = remote.clone();
            let poster = thread::spawn(move || remote.post(|| {}).unwrap());
            assert!(edge(None));
            poster.join().unwrap();
            settle();
            while edge(Some(Duration::ZERO)) {}
        }
    });
}

/// More events at once than one poll returns: the iteration says that it must be called again.
#[test]
fn events_that_do_not_fit_into_one_iteration_make_it_return_now() {
    const PAIRS: usize = 700;
    within(LIMIT, || {
        if rustix::process::getrlimit(rustix::process::Resource::Nofile).current.is_some_and(|max| max < 2000)
        {
            let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            limit.current = limit.maximum;
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        }
        let pairs: Vec<_> = (0..PAIRS).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).collect();
        let greenlets: Vec<Greenlet<()>> = pairs
            .iter()
            .flat_map(|(a, b)| [a, b])
            .map(|end| {
                let end = end.try_clone().unwrap();
                end.set_nonblocking(true).unwrap();
                spawn(move || wait_read(&end, None).unwrap())
            })
            .collect();
        settle();
        for (a, b) in &pairs {
            (&*a).write_all(&[1]).unwrap();
            (&*b).write_all(&[1]).unwrap();
        }
        assert_eq!(get_hub().poll_once(), Next::Now);
        settle();
        assert!(greenlets.iter().all(|greenlet| greenlet.ready()));
        assert!(!readable(Some(Duration::ZERO)));
    });
}

/// A client with blocking sockets, on a thread of its own.
fn client(address: SocketAddr, number: u8) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut stream = BlockingStream::connect(address).unwrap();
        for round in 0..20_usize {
            let message = [number; 1000];
            stream.write_all(&message[..=round * 50]).unwrap();
            let mut answer = vec![0; round * 50 + 1];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer.iter().all(|byte| *byte == number));
        }
    })
}

#[test]
fn an_echo_server_runs_on_poll_and_the_descriptor_alone() {
    const CLIENTS: u8 = 20;
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let handlers: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (mut stream, _) = listener.accept().unwrap();
                    spawn(move || {
                        let mut buffer = [0; 512];
                        loop {
                            match stream.read(&mut buffer).unwrap() {
                                0 => return,
                                read => stream.write_all(&buffer[..read]).unwrap(),
                            }
                            // Deadlines between the events.
                            sleep(Duration::from_micros(100));
                        }
                    })
                })
                .collect();
            handlers.iter().for_each(|handler| handler.join());
        });
        let clients: Vec<_> = (0..CLIENTS).map(|number| client(address, number)).collect();
        drive_until(|| server.ready());
        assert!(server.get().is_ok());
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn a_borrowed_descriptor_outlives_the_hub() {
    let borrowed: BorrowedFd<'static> = within(LIMIT, || {
        let hub: &'static Hub = Box::leak(Box::new(get_hub()));
        assert_eq!(hub.as_fd().as_raw_fd(), hub.as_raw_fd());
        assert_eq!(hub.poll_once(), Next::Idle);
        AsFd::as_fd(hub)
    });
    // Still the poll of the hub that has ended, and nothing else at its number.
    let mut fds = [PollFd::new(&borrowed, PollFlags::IN)];
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut fds, Some(&none)).unwrap(), 0);
    assert!(rustix::io::fcntl_getfd(borrowed).is_ok());
}
