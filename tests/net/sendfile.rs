//! `io::sendfile`: the amount sent is known after every end, and the next call continues there.
#![cfg(unix)]

use std::cell::Cell;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use ramie::fs::{self, File};
use ramie::io::sendfile;
use ramie::net::{TcpListener, TcpStream};
use ramie::os::unix::net::UnixStream;
use ramie::{sleep, spawn, with_timeout, yield_now};

use crate::util::folder::Folder;
use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(10);
/// More than twice what the buffers of a connection take.
const LARGE: usize = 64 << 20;
/// The bytes of the files here repeat themselves after so many: no power of two, so that what is
/// misplaced is noticed.
const PERIOD: usize = 65_521;
/// The most that is compared at a time.
const BLOCK: usize = 1 << 16;

/// Returns a block of the contents of the files here, from a place on.
fn block(from: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..PERIOD + BLOCK).map(|at| ((at % PERIOD / 251) ^ (at % PERIOD)) as u8).collect());
    &BYTES[from % PERIOD..][..BLOCK]
}

fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + BLOCK);
    while bytes.len() < length {
        bytes.extend_from_slice(block(bytes.len()));
    }
    bytes.truncate(length);
    bytes
}

fn file(folder: &Folder, length: usize) -> File {
    let path = folder.join(format!("file-{length}"));
    fs::write(&path, bytes(length)).unwrap();
    File::open(path).unwrap()
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Reads what belongs to the places from `at` on, at most `count` bytes, and returns where it
/// ended.
fn receive(mut stream: impl Read, at: usize, count: usize) -> usize {
    let mut buffer = vec![0; BLOCK];
    let mut read = 0;
    while read < count {
        let most = buffer.len().min(count - read);
        let now = stream.read(&mut buffer[..most]).unwrap();
        if now == 0 {
            break;
        }
        assert!(buffer[..now] == block(at + read)[..now], "not what belongs to {} and on", at + read);
        read += now;
    }
    at + read
}

#[test]
fn a_part_of_a_file_is_sent() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut file = file(&folder, 10_000);
        file.seek(SeekFrom::Start(77)).unwrap();
        let (near, far) = connection();
        // From, how many are wanted, how many there are.
        for (from, count, sent) in [
            (0, 10_000, 10_000),
            (0, 0, 0),
            (5000, 1, 1),
            (100, 700, 700),
            (9_990, 50, 10),
            (10_000, 5, 0),
            (50_000, 5, 0),
            (1, u64::MAX, 9_999),
        ] {
            let mut offset = from;
            assert_eq!(sendfile(&near, &file, &mut offset, count).unwrap(), sent);
            assert_eq!(offset, from + sent);
            receive(&far, from as usize, sent as usize);
        }
        assert_eq!(file.stream_position().unwrap(), 77);
        let (near, far) = UnixStream::pair().unwrap();
        let std_s = file.into_std().unwrap();
        assert_eq!(sendfile(&near, &std_s, &mut 4, 6).unwrap(), 6);
        drop(near);
        assert_eq!(receive(&far, 4, 100), 10);
    });
}

#[test]
fn what_cannot_be_read_is_an_error() {
    within(LIMIT, || {
        let folder = Folder::new();
        let (near, _far) = connection();
        let mut offset = 3;
        let directory = File::open(&*folder).unwrap();
        assert_eq!(sendfile(&near, &directory, &mut offset, 5).unwrap_err().kind(), ErrorKind::IsADirectory);
        let writing = File::create(folder.join("file")).unwrap();
        assert!(sendfile(&near, &writing, &mut offset, 5).is_err());
        let (pipe, _other) = ramie::io::pipe().unwrap();
        assert_eq!(sendfile(&near, &pipe, &mut offset, 5).unwrap_err().kind(), ErrorKind::NotSeekable);
        assert_eq!(offset, 3);
    });
}

#[test]
fn a_slow_reader_keeps_one_greenlet_waiting() {
    within(LIMIT, || {
        let before = settled();
        let folder = Folder::new();
        let file = file(&folder, LARGE);
        let (near, far) = connection();
        let sending = parked(move || sendfile(&near, &file, &mut 0, u64::MAX).unwrap());
        let mut at = 0;
        let mut pauses = 0;
        while at < LARGE {
            at = receive(&far, at, 1 << 20);
            // Others run: this one does, with the sender in the middle.
            if at % (8 << 20) == 0 {
                sleep(Duration::from_millis(2));
                pauses += u32::from(!sending.ready());
            }
        }
        assert_eq!(sending.get().unwrap(), LARGE as u64);
        assert!(pauses > 3, "{pauses}");
        assert_eq!(receive(&far, at, 1), at);
        drop((sending, far));
        assert_eq!(settled(), before);
    });
}

/// Nothing but a hole, far beyond what 32 bits say, with something at its end.
#[test]
fn a_sparse_file_is_sent_from_far_behind() {
    within(LIMIT, || {
        let folder = Folder::new();
        let mut file = File::create_new(folder.join("sparse")).unwrap();
        let far_behind = 5 << 30;
        file.seek(SeekFrom::Start(far_behind)).unwrap();
        file.write_all(b"the end").unwrap();
        let (near, mut far) = connection();
        let mut offset = far_behind - 3;
        assert_eq!(sendfile(&near, &file, &mut offset, u64::MAX).unwrap(), 10);
        assert_eq!(offset, far_behind + 7);
        let mut end = [1; 10];
        far.read_exact(&mut end).unwrap();
        assert_eq!(&end, b"\0\0\0the end");
    });
}

#[test]
fn a_half_closed_peer_gets_everything() {
    within(LIMIT, || {
        let folder = Folder::new();
        let file = file(&folder, LARGE / 8);
        let (near, far) = connection();
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&near).read(&mut [0]).unwrap(), 0);
        let sending = parked(move || sendfile(&near, &file, &mut 0, u64::MAX).unwrap());
        assert_eq!(receive(&far, 0, usize::MAX), LARGE / 8);
        assert_eq!(sending.get().unwrap() as usize, LARGE / 8);
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    within(LIMIT, || {
        let folder = Folder::new();
        let file = file(&folder, LARGE);
        let (near, far) = connection();
        let sending = parked(move || {
            let mut offset = 0;
            let error = sendfile(&near, &file, &mut offset, u64::MAX).unwrap_err();
            // Once more: not only the first call gets it.
            let again = sendfile(&near, &file, &mut offset, u64::MAX).unwrap_err();
            (error.kind(), again.kind(), offset)
        });
        let read = receive(&far, 0, 1 << 20) as u64;
        drop(far);
        let (error, again, offset) = sending.get().unwrap();
        let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
        assert!(gone.contains(&error) && gone.contains(&again), "{error:?}, {again:?}");
        assert!(read <= offset && offset < LARGE as u64);
    });
}

/// Ends a sender in three ways, each time continues from the reported offset, and compares the
/// received data.
#[test]
fn it_goes_on_from_where_it_was_ended() {
    within(LIMIT, || {
        let before = settled();
        let folder = Folder::new();
        let file = file(&folder, LARGE);
        let (near, far) = connection();
        let (near, offset) = (Rc::new(near), Rc::new(Cell::new(0)));
        // Keeps the offset also when it is killed.
        struct Keep<'a>(u64, &'a Cell<u64>);
        impl Drop for Keep<'_> {
            fn drop(&mut self) {
                self.1.set(self.0);
            }
        }
        let send = |file: File| {
            let (near, offset) = (near.clone(), offset.clone());
            move || {
                let mut keep = Keep(offset.get(), &offset);
                sendfile(&*near, &file, &mut keep.0, u64::MAX)
            }
        };
        let mut at = 0;
        let mut arrive = |count: usize| {
            at = receive(&far, at, count);
            at as u64
        };
        let killed = parked(send(file.try_clone().unwrap()));
        sleep(SHORT);
        killed.kill();
        assert!(killed.dead() && offset.get() > 0);
        assert!(with_timeout(SHORT, send(file.try_clone().unwrap())).is_err());
        let first = offset.get();
        assert_eq!(arrive(first as usize), first);
        near.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(send(file.try_clone().unwrap())().unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_write_timeout(None).unwrap();
        let second = offset.get();
        assert!(second > first);
        near.set_nonblocking(true).unwrap();
        assert_eq!(send(file.try_clone().unwrap())().unwrap_err().kind(), ErrorKind::WouldBlock);
        near.set_nonblocking(false).unwrap();
        // A kill that meets the thread at work: it is queued before the thread can have come back.
        let third = offset.get();
        assert_eq!(arrive((third - first) as usize), third);
        let killed = spawn(send(file.try_clone().unwrap()));
        yield_now();
        killed.kill();
        let fourth = offset.get();
        assert!(killed.dead() && fourth >= third);
        let last = spawn(send(file));
        assert_eq!(arrive(LARGE - third as usize), LARGE as u64);
        assert_eq!(last.take().unwrap().unwrap(), LARGE as u64 - fourth);
        drop((killed, last, near, far));
        assert_eq!(settled(), before);
    });
}

#[test]
fn a_socket_that_is_closed_ends_it() {
    within(LIMIT, || {
        let folder = Folder::new();
        let file = file(&folder, LARGE);
        let (near, _far) = connection();
        let near = Rc::new(near);
        let sender = near.clone();
        let sending = parked(move || sendfile(&*sender, &file, &mut 0, u64::MAX).unwrap_err());
        sleep(SHORT);
        near.close();
        let error = sending.take().unwrap();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::BADF.raw_os_error()));
        let empty = File::from(std::fs::File::open("Cargo.toml").unwrap());
        let error = sendfile(&*near, &empty, &mut 0, 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::BADF.raw_os_error()));
    });
}

/// A file that the system cannot send by itself is sent through a buffer: this process's memory,
/// seen as a file.
#[cfg(target_os = "linux")]
#[test]
fn what_the_system_cannot_send_is_read_and_written() {
    use std::os::unix::fs::FileExt;

    within(LIMIT, || {
        let length = LARGE;
        let memory = bytes(length);
        let file = std::fs::File::open("/proc/self/mem").unwrap();
        let start = memory.as_ptr().addr() as u64;
        let refused = rustix::fs::sendfile(UnixStream::pair().unwrap().0, &file, Some(&mut start.clone()), 1);
        if file.read_at(&mut [0; 8], start).is_err() || refused.is_ok() {
            return println!("skipped: this system's memory is no such file");
        }
        let (near, far) = connection();
        let sending = parked(move || {
            let mut offset = start;
            let part = sendfile(&near, &file, &mut offset, length as u64 / 2).unwrap();
            assert_eq!((part, offset), (length as u64 / 2, start + length as u64 / 2));
            near.set_write_timeout(Some(SHORT)).unwrap();
            let late = sendfile(&near, &file, &mut offset, length as u64 / 2).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TimedOut);
            offset - start
        });
        receive(&far, 0, length / 2);
        let sent = sending.get().unwrap() as usize;
        assert!(sent > length / 2 && sent < length);
        assert_eq!(receive(&far, length / 2, usize::MAX), sent);
        drop(memory);
        // Another reason to refuse.
        let (near, mut far) = connection();
        let environment = File::open("/proc/self/environ").unwrap();
        let sent = sendfile(&near, &environment, &mut 0, u64::MAX).unwrap();
        drop(near);
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        assert_eq!(sent, received.len() as u64);
        assert_eq!(received, fs::read("/proc/self/environ").unwrap());
    });
}
