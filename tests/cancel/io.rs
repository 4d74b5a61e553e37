//! The waits of datagrams, Unix sockets, pipes, wrappers of descriptors, and of what is made of
//! them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net as std_unix;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ramie::io::{Cooperative, PipeReader, PipeWriter, PollFd, Polled, copy_bidirectional, pipe, poll};
use ramie::net::UdpSocket;
use ramie::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use ramie::signal::{SIGUSR1, Signals};
use ramie::spawn;

use super::{LONG, Point, SHORT, is_timeout};

/// A point of a call on a handle with a read timeout, and what makes the call end well.
macro_rules! reading {
    ($name:expr, $handle:expr, $call:expr, $check:expr) => {{
        let handle = Rc::new($handle);
        // Registered from now on, so that a wait leaves the footprint as it is.
        handle.set_read_timeout(Some(SHORT)).unwrap();
        assert!(is_timeout(handle.wait_readable()));
        handle.set_read_timeout(None).unwrap();
        let (limited, checked) = (handle.clone(), handle.clone());
        Some(
            Point::new($name, move || assert!($call(&*handle).is_err(), "it was to wait"))
                .limited(move |limit| {
                    limited.set_read_timeout(Some(limit)).unwrap();
                    let result = $call(&*limited);
                    limited.set_read_timeout(None).unwrap();
                    is_timeout(result)
                })
                .check(move || $check(&*checked)),
        )
    }};
}

/// The same of a call with a write timeout.
macro_rules! writing {
    ($name:expr, $handle:expr, $call:expr, $check:expr) => {{
        let handle = Rc::new($handle);
        let (limited, checked) = (handle.clone(), handle.clone());
        let (call, limited_call) = ($call.clone(), $call.clone());
        Some(
            Point::new($name, move || assert!(call(&*handle).is_err(), "it was to wait"))
                .limited(move |limit| {
                    limited.set_write_timeout(Some(limit)).unwrap();
                    let result = limited_call(&*limited);
                    limited.set_write_timeout(None).unwrap();
                    is_timeout(result)
                })
                .check(move || $check(&*checked)),
        )
    }};
}

/// A path of its own for a socket.
fn path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("ramie-cancel-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

/// Calls until a call has to wait, which registers what it waits for.
fn until_full<R>(set: impl Fn(Option<Duration>) -> io::Result<()>, mut call: impl FnMut() -> io::Result<R>) {
    set(Some(SHORT)).unwrap();
    while call().is_ok() {}
    set(None).unwrap();
}

/// A receiving socket, and one that sends to it.
fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    (near, far)
}

/// Makes a point of a call that receives a datagram.
fn udp(name: &'static str, call: fn(&UdpSocket) -> io::Result<usize>) -> Option<Point> {
    let (near, far) = udp_pair();
    reading!(name, near, call, move |near: &UdpSocket| {
        far.send(b"ok").unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 2);
    })
}

fn unix_datagram(name: &'static str, call: fn(&UnixDatagram) -> io::Result<usize>) -> Option<Point> {
    let (near, far) = UnixDatagram::pair().unwrap();
    reading!(name, near, call, move |near: &UnixDatagram| {
        far.send(b"ok").unwrap();
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 2);
    })
}

fn unix_stream(name: &'static str, call: fn(&UnixStream) -> io::Result<usize>) -> Option<Point> {
    let (near, mut far) = UnixStream::pair().unwrap();
    reading!(name, near, call, move |mut near: &UnixStream| {
        far.write_all(b"ok").unwrap();
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 2);
    })
}

fn unix_stream_writing(name: &'static str, call: fn(&UnixStream) -> io::Result<usize>) -> Option<Point> {
    let (near, mut far) = UnixStream::pair().unwrap();
    until_full(|limit| near.set_write_timeout(limit), || (&near).write(&[0; 65536]));
    writing!(name, near, call, move |mut near: &UnixStream| {
        let drain = spawn(move || io::copy(&mut far, &mut io::sink()).unwrap());
        near.write_all(b"ok").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        drain.get().unwrap();
    })
}

fn pipe_writing(name: &'static str, call: fn(&PipeWriter) -> io::Result<usize>) -> Option<Point> {
    let (mut reader, writer) = pipe().unwrap();
    until_full(|limit| writer.set_write_timeout(limit), || (&writer).write(&[0; 4096]));
    writing!(name, writer, call, move |mut writer: &PipeWriter| {
        let drain = spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap());
        writer.write_all(b"ok").unwrap();
        drain.kill();
    })
}

/// A file of one end of a pipe, in blocking mode.
fn file(end: impl TryInto<OwnedFd, Error = io::Error>) -> File {
    end.try_into().unwrap().into()
}

fn connecting() -> Option<Point> {
    let path = path();
    let listener = UnixListener::bind(&path).unwrap();
    // As many as the system lets into the backlog, which is no more than 4096.
    let mut taken = Vec::new();
    loop {
        let (attempt, at) = (Rc::new(RefCell::new(None)), path.clone());
        let slot = attempt.clone();
        let greenlet = spawn(move || *slot.borrow_mut() = Some(UnixStream::connect(at).unwrap()));
        if !greenlet.join_timeout(Duration::from_millis(50)) {
            greenlet.kill();
            break;
        }
        taken.push(attempt.take());
        if taken.len() > 4200 {
            println!("skipped: here a full backlog does not keep a connection waiting");
            return None;
        }
    }
    let at = path.clone();
    let point = Point::new("UnixStream::connect", move || drop(UnixStream::connect(&at).unwrap()));
    Some(point.check(move || {
        let client = spawn({
            let path = path.clone();
            move || drop(UnixStream::connect(path).unwrap())
        });
        drop(listener.accept().unwrap());
        client.get().unwrap();
        std::fs::remove_file(path).unwrap();
        drop(taken);
    }))
}

fn sending_to_a_full_queue() -> Option<Point> {
    let path = path();
    let far = UnixDatagram::bind(&path).unwrap();
    let near = UnixDatagram::unbound().unwrap();
    until_full(|limit| near.set_write_timeout(limit), || near.send_to(b"x", &path));
    let at = path.clone();
    let send = move |near: &UnixDatagram| near.send_to(b"last", &at);
    let sending = send.clone();
    writing!("UnixDatagram::send_to", near, sending, move |near: &UnixDatagram| {
        let drain = spawn(move || while far.recv(&mut [0; 8]).unwrap() < 4 {});
        send(near).unwrap();
        drain.get().unwrap();
        std::fs::remove_file(path).unwrap();
    })
}

fn sending_to_a_connected_full_queue() -> Option<Point> {
    let path = path();
    let far = UnixDatagram::bind_addr(&SocketAddr::from_pathname(&path).unwrap()).unwrap();
    let near = UnixDatagram::unbound().unwrap();
    near.connect(&path).unwrap();
    until_full(|limit| near.set_write_timeout(limit), || near.send(b"x"));
    let send = |near: &UnixDatagram| near.send(b"last");
    writing!("UnixDatagram::send", near, send, move |near: &UnixDatagram| {
        let drain = spawn(move || while far.recv(&mut [0; 8]).unwrap() < 4 {});
        near.send(b"last").unwrap();
        drain.get().unwrap();
        std::fs::remove_file(path).unwrap();
    })
}

/// Every call that waits.
pub(super) fn points() -> Vec<fn() -> Option<Point>> {
    vec![
        || {
            let signals = Rc::new(Signals::new([SIGUSR1]).unwrap());
            // Registered from now on.
            assert_eq!(signals.wait_timeout(SHORT).unwrap(), None);
            let (limited, checked) = (signals.clone(), signals.clone());
            let point = Point::new("Signals::wait", move || drop(signals.wait()))
                .limited(move |limit| limited.wait_timeout(limit).unwrap().is_none())
                .check(move || {
                    signal_hook::low_level::raise(SIGUSR1).unwrap();
                    assert_eq!(checked.wait().unwrap(), SIGUSR1);
                });
            Some(point)
        },
        || udp("UdpSocket::recv", |socket| socket.recv(&mut [0; 8])),
        || udp("UdpSocket::recv_from", |socket| socket.recv_from(&mut [0; 8]).map(|(length, _)| length)),
        || udp("UdpSocket::peek", |socket| socket.peek(&mut [0; 8])),
        || udp("UdpSocket::peek_from", |socket| socket.peek_from(&mut [0; 8]).map(|(length, _)| length)),
        || udp("UdpSocket::wait_readable", |socket| socket.wait_readable().map(|()| 0)),
        || unix_datagram("UnixDatagram::recv", |socket| socket.recv(&mut [0; 8])),
        || {
            unix_datagram("UnixDatagram::recv_from", |socket| {
                socket.recv_from(&mut [0; 8]).map(|(length, _)| length)
            })
        },
        sending_to_a_full_queue,
        sending_to_a_connected_full_queue,
        connecting,
        || {
            let path = path();
            let listener = Rc::new(UnixListener::bind(&path).unwrap());
            assert!(is_timeout(listener.accept_timeout(SHORT)));
            let (limited, checked) = (listener.clone(), listener.clone());
            let point = Point::new("UnixListener::accept", move || drop(listener.accept()))
                .limited(move |limit| is_timeout(limited.accept_timeout(limit)))
                .check(move || {
                    let _client = UnixStream::connect(&path).unwrap();
                    checked.accept().unwrap();
                    std::fs::remove_file(path).unwrap();
                });
            Some(point)
        },
        || unix_stream("UnixStream::read", |mut stream| stream.read(&mut [0; 8])),
        || unix_stream("UnixStream::peek", |stream| stream.peek(&mut [0; 8])),
        || unix_stream("UnixStream::wait_readable", |stream| stream.wait_readable().map(|()| 0)),
        || unix_stream_writing("UnixStream::write", |mut stream| stream.write(&[0; 8])),
        || unix_stream_writing("UnixStream::write_all", |mut stream| stream.write_all(&[0; 8]).map(|()| 0)),
        || unix_stream_writing("UnixStream::wait_writable", |stream| stream.wait_writable().map(|()| 0)),
        || {
            let (reader, mut writer) = pipe().unwrap();
            let call = |mut reader: &PipeReader| reader.read(&mut [0; 8]);
            reading!("PipeReader::read", reader, call, move |mut reader: &PipeReader| {
                writer.write_all(b"ok").unwrap();
                assert_eq!(reader.read(&mut [0; 8]).unwrap(), 2);
            })
        },
        || pipe_writing("PipeWriter::write", |mut writer| writer.write(&[0; 8])),
        || pipe_writing("PipeWriter::write_all", |mut writer| writer.write_all(&[0; 65536]).map(|()| 0)),
        || {
            let (near, mut far) = std_unix::UnixStream::pair().unwrap();
            let call = |near: &Cooperative<std_unix::UnixStream>| {
                near.read_with(|mut stream| stream.read(&mut [0; 8]))
            };
            reading!("Cooperative::read_with", Cooperative::new(near).unwrap(), call, move |near: &_| {
                far.write_all(b"ok").unwrap();
                assert_eq!(call(near).unwrap(), 2);
            })
        },
        || {
            let (near, far) = std_unix::UnixStream::pair().unwrap();
            let near = Cooperative::new(near).unwrap();
            let call = |near: &Cooperative<std_unix::UnixStream>| {
                near.write_with(|mut stream| stream.write(&[0; 65536]))
            };
            until_full(|limit| near.set_write_timeout(limit), || call(&near));
            writing!("Cooperative::write_with", near, call, move |near: &_| {
                drop(far);
                assert_eq!(call(near).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            })
        },
        || {
            // By `&mut`, which keeps it from being shared.
            let point = Point::new("Cooperative::read", || {
                let (near, _far) = std_unix::UnixStream::pair().unwrap();
                Cooperative::new(near).unwrap().read_exact(&mut [0]).unwrap();
            });
            Some(point)
        },
        || {
            let (reader, mut writer) = pipe().unwrap();
            let call = |mut reader: &Polled<File>| reader.read(&mut [0; 8]);
            reading!("Polled::read", Polled::new(file(reader)).unwrap(), call, move |mut reader: &Polled<
                File,
            >| {
                writer.write_all(b"ok").unwrap();
                assert_eq!(reader.read(&mut [0; 8]).unwrap(), 2);
            })
        },
        || {
            let (mut reader, writer) = pipe().unwrap();
            let writer = Polled::new(file(writer)).unwrap();
            let call = |mut writer: &Polled<File>| writer.write(&[0; 8]);
            until_full(|limit| writer.set_write_timeout(limit), || call(&writer));
            writing!("Polled::write", writer, call, move |writer: &Polled<File>| {
                let drain = spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap());
                call(writer).unwrap();
                drain.kill();
            })
        },
        || {
            let (near, far) = std_unix::UnixStream::pair().unwrap();
            let (other, mut other_far) = std_unix::UnixStream::pair().unwrap();
            let both = Rc::new((near, other, far));
            let (limited, checked) = (both.clone(), both.clone());
            let wait = |both: &(std_unix::UnixStream, std_unix::UnixStream, std_unix::UnixStream), limit| {
                poll(&mut [PollFd::readable(&both.0), PollFd::readable(&both.1)], limit).unwrap()
            };
            let point = Point::new("poll", move || assert_eq!(wait(&both, None), 1))
                .limited(move |limit| wait(&limited, Some(limit)) == 0)
                .check(move || {
                    other_far.write_all(b"x").unwrap();
                    assert_eq!(wait(&checked, Some(LONG)), 1);
                });
            Some(point)
        },
        || Some(Point::new("poll of nothing", || assert_eq!(poll(&mut [], None).unwrap(), 0))),
        || {
            let (near, far) = UnixStream::pair().unwrap();
            let (other, mut other_far) = UnixStream::pair().unwrap();
            for stream in [&near, &far, &other, &other_far] {
                stream.set_read_timeout(Some(SHORT)).unwrap();
                assert!(is_timeout(stream.wait_readable()));
                stream.set_read_timeout(None).unwrap();
            }
            let both = Rc::new((far, other));
            let checked = both.clone();
            let point = Point::new("copy_bidirectional", move || {
                copy_bidirectional(&both.0, &both.1).unwrap();
            });
            Some(point.check(move || {
                let copying = spawn(move || copy_bidirectional(&checked.0, &checked.1).unwrap());
                (&near).write_all(b"ok").unwrap();
                other_far.read_exact(&mut [0; 2]).unwrap();
                drop((near, other_far));
                assert_eq!(copying.get().unwrap(), (2, 0));
            }))
        },
    ]
}
