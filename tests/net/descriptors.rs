//! Waiting for descriptors that other code holds: `wait_read`, `wait_write`, `wait_readwrite`, and
//! `Io` beside them.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::hub::Io;
use ramie::io::{wait_read, wait_readwrite, wait_write};
use ramie::net::{TcpListener, TcpStream};
use ramie::{joinall, sleep, spawn, yield_now};

use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);

fn timed_out(result: io::Result<()>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::TimedOut)
}

/// Writes until nothing more goes in.
fn fill(mut stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65536]).is_ok() {}
}

#[test]
fn pair_is_waited_for_in_both_directions() {
    within(LIMIT, || {
        let before = settled();
        let (near, mut far) = UnixStream::pair().unwrap();
        let start = Instant::now();
        assert!(timed_out(wait_read(&near, Some(SHORT))));
        assert!(start.elapsed() >= SHORT);
        wait_write(&near, None).unwrap();
        wait_readwrite(&near, None).unwrap();
        far.write_all(b"x").unwrap();
        // As long as it is ready every wait ends.
        for _ in 0..3 {
            wait_read(&near, None).unwrap();
        }
        (&near).read_exact(&mut [0]).unwrap();
        assert!(timed_out(wait_read(&near, Some(SHORT))));
        fill(&near);
        assert!(timed_out(wait_write(&near, Some(SHORT))));
        assert!(timed_out(wait_readwrite(&near, Some(SHORT))));
        let peer = parked({
            let near = near.try_clone().unwrap();
            move || wait_readwrite(&near, None).unwrap()
        });
        far.write_all(b"x").unwrap();
        peer.get().unwrap();
        drop(far);
        wait_read(&near, None).unwrap();
        assert_eq!(settled(), before);
    });
}

#[test]
fn pipe_is_waited_for_until_its_end() {
    within(LIMIT, || {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(timed_out(wait_read(&reader, Some(SHORT))));
        wait_write(&writer, None).unwrap();
        let late = spawn(move || {
            sleep(Duration::from_millis(1));
            writer.write_all(b"x").unwrap();
            writer
        });
        wait_read(&reader, None).unwrap();
        (&reader).read_exact(&mut [0]).unwrap();
        let writer = late.take().unwrap();
        let waiter = parked(move || {
            wait_read(&reader, None).unwrap();
            (&reader).read(&mut [0]).unwrap()
        });
        drop(writer);
        assert_eq!(waiter.get().unwrap(), 0);
    });
}

#[test]
fn broken_pipe_wakes_its_writer() {
    within(LIMIT, || {
        let (reader, writer) = io::pipe().unwrap();
        let near = writer.as_fd().try_clone_to_owned().unwrap();
        let io = Io::new(writer).unwrap();
        // Full: a megabyte at most on every system that tells.
        let mut room = 0;
        while room < (1 << 21) && wait_write(&near, Some(Duration::from_millis(1))).is_ok() {
            room += io.write_with(None, |mut writer| writer.write(&[0; 512])).unwrap();
        }
        let waiter = parked(move || wait_write(&near, None));
        drop(reader);
        waiter.take().unwrap().unwrap();
        let error = io.write_with(None, |mut writer| writer.write(&[0])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn regular_file_is_always_ready() {
    within(LIMIT, || {
        let before = settled();
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let neighbour = spawn(move || {
            loop {
                count.set(count.get() + 1);
                yield_now();
            }
        });
        wait_read(&file, None).unwrap();
        wait_write(&file, Some(SHORT)).unwrap();
        wait_readwrite(&file, None).unwrap();
        assert!(turns.get() >= 3, "each wait lets others run once");
        let io = Io::new(file).unwrap();
        io.wait_readable(Some(SHORT)).unwrap();
        let mut magic = [0; 4];
        io.read_into(None, 4, |mut file| file.read(&mut magic)).unwrap();
        assert_ne!(magic, [0; 4]);
        neighbour.kill();
        drop(io);
        assert_eq!(settled(), before);
    });
}

#[test]
fn several_greenlets_wait_for_one_descriptor() {
    within(LIMIT, || {
        let before = settled();
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Rc::new(near);
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let near = near.clone();
                parked(move || wait_read(&*near, None).unwrap())
            })
            .collect();
        // Others come and go during the wait.
        for _ in 0..3 {
            assert!(timed_out(wait_read(&*near, Some(Duration::from_millis(1)))));
            wait_write(&*near, None).unwrap();
        }
        readers[0].kill();
        assert!(!readers[1].ready());
        far.write_all(b"x").unwrap();
        joinall(&readers);
        assert!(readers.iter().all(|reader| reader.successful()));
        drop(near);
        assert_eq!(settled(), before);
    });
}

#[test]
fn descriptor_of_an_io_is_waited_for_by_number_too() {
    within(LIMIT, || {
        let before = settled();
        for io_first in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let near = Rc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let (mut far, _) = listener.accept().unwrap();
            // Connecting has registered it; its twin has not been waited for.
            let twin = || socket2::SockRef::from(&*near).try_clone().unwrap();
            let near = if io_first { near } else { Rc::new(TcpStream::from_std(twin().into()).unwrap()) };
            let by_number = parked({
                let near = near.clone();
                move || {
                    wait_read(&*near, None).unwrap();
                    yield_now();
                }
            });
            let by_io = parked({
                let near = near.clone();
                move || (&*near).read(&mut [0; 8]).unwrap()
            });
            let again = parked({
                let near = near.clone();
                move || wait_read(&*near, None).unwrap()
            });
            far.write_all(b"x").unwrap();
            by_number.get().unwrap();
            again.get().unwrap();
            assert_eq!(by_io.get().unwrap(), 1, "the io came first: {io_first}");
            assert!(timed_out(wait_read(&*near, Some(SHORT))));
            far.write_all(b"y").unwrap();
            assert_eq!((&*near).read(&mut [0; 8]).unwrap(), 1);
        }
        assert_eq!(settled(), before);
    });
}

#[test]
fn io_and_number_may_end_in_any_order() {
    within(LIMIT, || {
        let before = settled();
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = Rc::new(near);
        let by_number = parked({
            let near = near.clone();
            move || wait_read(&*near, None).unwrap()
        });
        let io = Rc::new(Io::new(near.clone()).unwrap());
        let by_io = parked({
            let io = io.clone();
            move || io.read_with(None, |near| (&**near).read(&mut [0; 8])).unwrap()
        });
        // The one that was there first goes; the other one is still told.
        by_number.kill();
        far.write_all(b"x").unwrap();
        assert_eq!(by_io.get().unwrap(), 1);
        let by_number = parked({
            let near = near.clone();
            move || wait_read(&*near, None).unwrap()
        });
        drop((io, by_io));
        yield_now();
        far.write_all(b"x").unwrap();
        by_number.get().unwrap();
        assert_eq!(settled(), before);
    });
}
