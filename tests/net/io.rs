//! Pipes and wrappers of descriptors. `stdio.rs` has the standard streams.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as std_unix;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use ramie::io::{Cooperative, PipeReader, PipeWriter, Polled, pipe};
use ramie::os::unix::net::UnixStream;
use ramie::{sleep, spawn, yield_now};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::util::footprint::is_nonblocking;
use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const EBADF: i32 = 9;

/// A file of one end of a pipe, in blocking mode.
fn file(end: impl TryInto<OwnedFd, Error = io::Error>) -> File {
    end.try_into().unwrap().into()
}

/// One that never has to wait lets others run once in a while.
#[test]
fn kill_where_a_busy_greenlet_lets_others_run_loses_nothing() {
    /// Has a greenlet do it again and again until it is killed in the middle; says how often it has
    /// returned.
    fn killed(op: impl Fn(u32) + 'static) -> u32 {
        let done = Rc::new(Cell::new(0));
        let busy = spawn({
            let done = done.clone();
            move || {
                loop {
                    op(done.get());
                    done.set(done.get() + 1);
                }
            }
        });
        yield_now();
        busy.kill();
        done.get()
    }

    within(LIMIT, || {
        let (mut reader, writer) = pipe().unwrap();
        let written = killed(move |at| (&writer).write_all(&[at as u8]).unwrap());
        assert!(written > 0);
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written as usize);

        let data = (0..10_000).map(|at| at as u8).collect::<Vec<_>>();
        let (mut reader, mut writer) = pipe().unwrap();
        writer.write_all(&data).unwrap();
        drop(writer);
        let clone = reader.try_clone().unwrap();
        let read = killed(move |at| {
            let mut byte = [0];
            (&clone).read_exact(&mut byte).unwrap();
            assert_eq!(byte, [at as u8]);
        });
        assert!(read > 0);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest == data[read as usize..]);
    });
}

#[test]
fn pipe_ends_with_its_last_writer() {
    within(LIMIT, || {
        let before = settled();
        let (mut reader, mut writer) = pipe().unwrap();
        let mut clone = writer.try_clone().unwrap();
        let reading = parked(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        writer.write_all(b"one ").unwrap();
        drop(writer);
        clone.write_all(b"two").unwrap();
        yield_now();
        assert!(!reading.ready());
        drop(clone);
        assert_eq!(reading.get().unwrap(), "one two");
        assert_eq!(settled(), before);
    });
}

#[test]
fn pipe_breaks_with_its_last_reader() {
    within(LIMIT, || {
        let (reader, mut writer) = pipe().unwrap();
        let clone = reader.try_clone().unwrap();
        let writing = parked(move || {
            loop {
                if let Err(error) = writer.write_all(&[0; 65536]) {
                    break error.kind();
                }
            }
        });
        drop(reader);
        yield_now();
        assert!(!writing.ready());
        drop(clone);
        assert_eq!(writing.get().unwrap(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn closed_end_wakes_whoever_waits() {
    within(LIMIT, || {
        let (reader, writer) = pipe().unwrap();
        writer.set_write_timeout(Some(SHORT)).unwrap();
        while (&writer).write(&[0; 4096]).is_ok() {}
        writer.set_write_timeout(None).unwrap();
        let (empty, _held) = pipe().unwrap();
        let (reading, writing) = (empty.try_clone().unwrap(), writer.try_clone().unwrap());
        let polled = Rc::new(Polled::new(std_unix::UnixStream::pair().unwrap().0).unwrap());
        let (quiet, _other) = std_unix::UnixStream::pair().unwrap();
        let cooperative = Rc::new(Cooperative::new(quiet).unwrap());
        let waiting = [
            parked(move || (&reading).read(&mut [0; 8]).unwrap_err().raw_os_error()),
            parked(move || (&writing).write(&[0; 8]).unwrap_err().raw_os_error()),
            parked({
                let cooperative = cooperative.clone();
                move || cooperative.wait_readable().unwrap_err().raw_os_error()
            }),
        ];
        empty.close();
        writer.close();
        cooperative.close();
        polled.close();
        for greenlet in &waiting {
            assert_eq!(greenlet.get().unwrap(), Some(EBADF));
        }
        assert_eq!((&empty).read(&mut [0; 8]).unwrap_err().raw_os_error(), Some(EBADF));
        assert_eq!((&*polled).read(&mut [0; 8]).unwrap_err().raw_os_error(), Some(EBADF));
        drop(reader);
    });
}

#[test]
fn ends_go_to_children_and_back_in_the_mode_they_need() {
    within(LIMIT, || {
        let before = settled();
        let (input, mut feeding) = pipe().unwrap();
        let (mut output, out) = pipe().unwrap();
        assert!(is_nonblocking(&input) && is_nonblocking(&out));
        let clone = out.try_clone().unwrap();
        assert_eq!(Stdio::try_from(out).unwrap_err().kind(), ErrorKind::ResourceBusy);
        let input = OwnedFd::try_from(input).unwrap();
        assert!(!is_nonblocking(&input));
        let mut command = Command::new("cat");
        let mut child =
            command.stdin(input).stdout(Stdio::try_from(clone).unwrap()).spawn().expect("there is a cat");
        // The parent's copies would keep the pipes open.
        drop(command);
        let feeder = spawn(move || feeding.write_all(&vec![b'x'; 1 << 20]).unwrap());
        let mut read = Vec::new();
        output.read_to_end(&mut read).unwrap();
        assert!(read == vec![b'x'; 1 << 20]);
        feeder.get().unwrap();
        child.wait().unwrap();
        drop(output);
        assert_eq!(settled(), before);
        let (reader, writer) = std_unix::UnixStream::pair().unwrap();
        let reader = PipeReader::try_from(OwnedFd::from(reader)).unwrap();
        let writer = PipeWriter::try_from(OwnedFd::from(writer)).unwrap();
        assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
    });
}

#[test]
fn wrapper_reads_what_can_only_be_read_mutably() {
    within(LIMIT, || {
        let before = settled();
        let mut child = Command::new("sh")
            .args(["-c", "read line; echo got $line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut output = Cooperative::new(child.stdout.take().unwrap()).unwrap();
        let mut input = Cooperative::new(child.stdin.take().unwrap()).unwrap();
        let reading = parked(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        input.write_all(b"it\n").unwrap();
        input.flush().unwrap();
        assert_eq!(reading.get().unwrap(), "got it\n");
        drop(input);
        child.wait().unwrap();
        assert_eq!(settled(), before);
    });
}

#[test]
fn wrapper_waits_for_operations_of_any_kind() {
    within(LIMIT, || {
        let listener = Cooperative::new(net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        listener.set_read_timeout(Some(SHORT)).unwrap();
        let accept = |listener: &net::TcpListener| listener.accept();
        assert_eq!(listener.read_with(accept).unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_read_timeout(None).unwrap();
        let client = spawn(move || ramie::net::TcpStream::connect(address).unwrap().local_addr().unwrap());
        let (_, peer) = listener.read_with(accept).unwrap();
        assert_eq!(client.get().unwrap(), peer);
        let inner = listener.into_inner().unwrap();
        assert!(is_nonblocking(&inner));
    });
}

#[test]
fn polled_descriptor_keeps_its_mode_and_blocks_nobody() {
    within(LIMIT, || {
        let before = settled();
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (file(reader), file(writer));
        let (mut reader, mut writer) = (Polled::new(reader).unwrap(), Polled::new(writer).unwrap());
        let ticks = Rc::new(Cell::new(0));
        let count = ticks.clone();
        let ticking = spawn(move || {
            loop {
                count.set(count.get() + 1);
                sleep(Duration::from_millis(1));
            }
        });
        // Much more than a pipe holds: a blocking write of it would stop the thread forever.
        let writing = parked(move || {
            writer.write_all(&vec![7; 1 << 20]).unwrap();
            writer
        });
        // A thread that is blocked would never come here.
        while ticks.get() <= 3 {
            yield_now();
        }
        assert!(!writing.ready());
        let mut data = vec![0; 1 << 20];
        reader.read_exact(&mut data).unwrap();
        assert!(data == vec![7; 1 << 20]);
        let writer = writing.take().unwrap();
        assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
        reader.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        reader.set_read_timeout(None).unwrap();
        let late = parked(move || reader.read(&mut [0; 8]).unwrap());
        drop(writer.into_inner().unwrap());
        assert_eq!(late.get().unwrap(), 0);
        ticking.kill();
        drop(writing);
        assert_eq!(settled(), before);
    });
}

#[test]
fn terminal_is_read_by_the_line_and_keeps_its_mode() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    within(LIMIT, || {
        let before = settled();
        let Ok(keyboard) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY) else {
            return println!("skipped: there are no terminals here");
        };
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut keyboard = Polled::new(File::from(keyboard)).unwrap();
        let mut terminal = Polled::new(terminal).unwrap();
        let reading = parked({
            let terminal = terminal.try_clone().unwrap();
            move || {
                let mut lines = BufReader::new(terminal).lines();
                [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()]
            }
        });
        keyboard.write_all(b"first line\nsecond").unwrap();
        sleep(SHORT);
        assert!(!reading.ready(), "half a line is none");
        keyboard.write_all(b" line\n").unwrap();
        assert_eq!(reading.get().unwrap(), ["first line", "second line"]);
        terminal.write_all(b"on the screen\n").unwrap();
        // The screen also has the echo of what was typed.
        let mut screen = String::new();
        let mut buffer = [0; 100];
        while !screen.contains("on the screen") {
            let length = keyboard.read(&mut buffer).unwrap();
            screen += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        assert!(!is_nonblocking(&terminal) && !is_nonblocking(&keyboard));
        drop((reading, terminal, keyboard));
        assert_eq!(settled(), before);
    });
}

#[test]
fn regular_file_is_read_and_written_at_once() {
    within(LIMIT, || {
        let path = std::env::temp_dir().join(format!("ramie-io-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let mut polled = Polled::new(file).unwrap();
        let data: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
        // In one piece: a file is not cut to what a pipe takes.
        assert_eq!(polled.write(&data).unwrap(), data.len());
        polled.get_ref().seek(SeekFrom::Start(0)).unwrap();
        let mut read = Vec::new();
        polled.read_to_end(&mut read).unwrap();
        assert!(read == data);
        polled.wait_readable().unwrap();
        let mut cooperative = Cooperative::new(polled.into_inner().unwrap()).unwrap();
        cooperative.get_ref().seek(SeekFrom::Start(5)).unwrap();
        read.clear();
        cooperative.read_to_end(&mut read).unwrap();
        assert!(read == data[5..]);
    });
}

/// A read of a Unix stream ends behind a message with descriptors, which must not be taken for the
/// end of what is there.
#[test]
fn bytes_behind_a_message_with_descriptors_are_seen() {
    within(LIMIT, || {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.set_read_timeout(Some(SHORT)).unwrap();
        near.read(&mut [0; 8]).unwrap_err();
        near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [far.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        rustix::net::sendmsg(&far, &[io::IoSlice::new(b"abc")], &mut control, SendFlags::empty()).unwrap();
        (&far).write_all(b"def").unwrap();
        sleep(SHORT);
        let mut buffer = [0; 6];
        near.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"abcdef");
    });
}
