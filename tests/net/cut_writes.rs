//! A write that is cut short by a kill or a timeout has taken nothing: repeated, it sends every
//! byte once.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net as std_unix;
use std::rc::Rc;
use std::time::Duration;

use ramie::io::{Cooperative, Polled, pipe, sendfile};
use ramie::os::unix::net::UnixStream;
use ramie::process::{Command, Stdio};
use ramie::{Greenlet, sleep, spawn, with_timeout};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LENGTH: usize = 700_000;

/// Bytes that differ from place to place.
fn pattern() -> Vec<u8> {
    (0..LENGTH).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Writes everything, in pieces that are cut short all the time, half of them by a kill.
///
/// `write` is given what is left and says how much it took.
fn write_cut(write: impl Fn(&[u8]) -> io::Result<usize> + 'static) {
    let (write, data, sent) = (Rc::new(write), Rc::new(pattern()), Rc::new(Cell::new(0)));
    for round in 0_u64.. {
        let (write, data, sent) = (write.clone(), data.clone(), sent.clone());
        let moment = Duration::from_micros(round * 37 % 400);
        let (left, taking) = (data.len() - sent.get(), sent.clone());
        if left == 0 {
            return;
        }
        let piece = sent.get()..sent.get() + left.min(1 + round as usize * 7919 % 90_000);
        let once = move || taking.set(taking.get() + write(&data[piece]).unwrap());
        if round % 2 == 0 {
            let _ = with_timeout(moment, once);
        } else {
            let writer = spawn(once);
            writer.join_timeout(moment);
            writer.kill();
        }
    }
}

/// Reads slowly until the end.
fn slow_reader(mut from: impl Read + 'static) -> Greenlet<Vec<u8>> {
    spawn(move || {
        let (mut received, mut buffer) = (Vec::new(), vec![0; 20_000]);
        loop {
            match from.read(&mut buffer).unwrap() {
                0 => return received,
                length => received.extend_from_slice(&buffer[..length]),
            }
            sleep(Duration::from_micros(200));
        }
    })
}

#[test]
fn pipes_take_every_byte_once() {
    within(LIMIT, || {
        let (reader, writer) = pipe().unwrap();
        let received = slow_reader(reader);
        write_cut(move |data| (&writer).write(data));
        assert!(received.take().unwrap() == pattern());
    });
}

#[test]
fn streams_take_every_byte_once() {
    within(LIMIT, || {
        let (near, far) = UnixStream::pair().unwrap();
        let received = slow_reader(far);
        write_cut(move |data| (&near).write_vectored(&[io::IoSlice::new(data)]));
        assert!(received.take().unwrap() == pattern());
    });
}

#[test]
fn wrappers_take_every_byte_once() {
    within(LIMIT, || {
        let (near, far) = std_unix::UnixStream::pair().unwrap();
        let received = slow_reader(Cooperative::new(far).unwrap());
        let near = Cooperative::new(near).unwrap();
        write_cut(move |data| near.write_with(|mut stream| stream.write(data)));
        assert!(received.take().unwrap() == pattern());

        let (reader, writer) = pipe().unwrap();
        let received = slow_reader(reader);
        // In blocking mode, as standard output is.
        let writer = Polled::new(File::from(OwnedFd::try_from(writer).unwrap())).unwrap();
        write_cut(move |data| (&writer).write(data));
        assert!(received.take().unwrap() == pattern());
    });
}

#[test]
fn inputs_of_children_take_every_byte_once() {
    within(LIMIT, || {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let received = slow_reader(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        write_cut(move |data| (&input).write(data));
        assert!(received.take().unwrap() == pattern());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn files_are_sent_once() {
    within(LIMIT, || {
        let path = std::env::temp_dir().join(format!("ramie-cut-sendfile-{}", std::process::id()));
        std::fs::write(&path, pattern()).unwrap();
        let file = Rc::new(File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let received = slow_reader(far);
        let (near, offset) = (Rc::new(near), Rc::new(Cell::new(0)));
        for round in 0_u64.. {
            if offset.get() == LENGTH as u64 {
                break;
            }
            let (file, near, offset) = (file.clone(), near.clone(), offset.clone());
            let sender = spawn(move || {
                /// Keeps how far it came, however it ends.
                struct Keep(u64, Rc<Cell<u64>>);

                impl Drop for Keep {
                    fn drop(&mut self) {
                        self.1.set(self.0);
                    }
                }

                let mut keep = Keep(offset.get(), offset);
                sendfile(&*near, &*file, &mut keep.0, LENGTH as u64).unwrap();
            });
            sender.join_timeout(Duration::from_micros(round * 37 % 900));
            sender.kill();
        }
        drop(near);
        assert!(received.take().unwrap() == pattern());
    });
}
