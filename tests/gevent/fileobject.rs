//! gevent's tests of file objects (`test__fileobject.py`) and of its `os` (`test__os.py`),
//! restated.
//!
//! What gevent makes a file object of is here a pipe's end, a `Polled` for what must keep its mode,
//! a `Cooperative`, or, on the thread pool, a `ramie::fs::File`; buffers and lines are std's.
#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use ramie::io::{Cooperative, Polled, pipe};
use ramie::{joinall, spawn, spawn_later, yield_now};

use crate::util::footprint::settled;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const EBADF: i32 = 9;

/// A file of one end of a pipe, in blocking mode.
fn file(end: impl TryInto<OwnedFd, Error = io::Error>) -> File {
    end.try_into().unwrap().into()
}

/// A file with that content, and where it is.
fn temporary(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ramie-fileobject-{name}-{}", std::process::id()));
    fs::write(&path, content).unwrap();
    path
}

/// gevent: `test_del`, `test_del_close`, with each kind of object.
#[test]
fn dropped_object_closes_its_descriptor() {
    within(LIMIT, || {
        let before = settled();
        for kind in 0..4 {
            let (mut reader, mut writer) = pipe().unwrap();
            match kind {
                0 => {
                    writer.write_all(b"x").unwrap();
                    drop(writer);
                }
                1 => Polled::new(file(writer)).unwrap().write_all(b"x").unwrap(),
                2 => ramie::fs::File::from(file(writer)).write_all(b"x").unwrap(),
                _ => Cooperative::new(file(writer)).unwrap().write_all(b"x").unwrap(),
            }
            let mut text = String::new();
            // Ends only when the writer is closed.
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        }
        assert_eq!(settled(), before);
    });
}

/// gevent: `TestFileObjectThread::test_del_noclose`.
#[test]
fn object_of_a_borrowed_descriptor_leaves_it_open() {
    within(LIMIT, || {
        let (mut reader, writer) = pipe().unwrap();
        let writer = file(writer);
        Polled::new(writer.as_fd()).unwrap().write_all(b"x").unwrap();
        Cooperative::new(writer.as_fd()).unwrap();
        (&writer).write_all(b"y").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "xy");
    });
}

/// gevent: `test_seek`.
#[test]
fn regular_file_can_be_sought() {
    within(LIMIT, || {
        let path = temporary("seek", &[vec![b'B'; 15], vec![b'a'; 1024]].concat());
        let mut polled = Polled::new(File::open(&path).unwrap()).unwrap();
        polled.get_ref().seek(SeekFrom::Start(15)).unwrap();
        assert_eq!(polled.get_ref().stream_position().unwrap(), 15);
        let mut data = vec![0; 1024];
        polled.read_exact(&mut data).unwrap();
        assert!(data == vec![b'a'; 1024]);
        let mut file = ramie::fs::File::open(&path).unwrap();
        assert_eq!(file.seek(SeekFrom::Start(15)).unwrap(), 15);
        assert_eq!(file.stream_position().unwrap(), 15);
        data.fill(0);
        file.read_exact(&mut data).unwrap();
        assert!(data == vec![b'a'; 1024]);
        fs::remove_file(path).unwrap();
    });
}

/// gevent: `test_seek_raises_ioerror`.
#[test]
fn pipe_cannot_be_sought() {
    within(LIMIT, || {
        let (reader, _writer) = pipe().unwrap();
        let mut plain = file(reader);
        let expected = plain.seek(SeekFrom::Start(0)).unwrap_err();
        let polled = Polled::new(plain).unwrap();
        let error = polled.get_ref().seek(SeekFrom::Start(0)).unwrap_err();
        assert_eq!(error.raw_os_error(), expected.raw_os_error());
        let error = ramie::fs::File::from(polled.into_inner().unwrap()).seek(SeekFrom::Start(0)).unwrap_err();
        assert_eq!(error.raw_os_error(), expected.raw_os_error());
    });
}

/// gevent: `test_text_encoding`, `test_str_default_to_native`, `test_r_readline_produces_native`,
/// `test_r_readline_on_fobject_produces_native`, `test_rbU_produces_bytes_readline`.
#[test]
fn text_and_lines_are_what_std_reads() {
    within(LIMIT, || {
        let content = "line1 \u{2603}\nline2\r\nline3\rlastline\n\n";
        let path = temporary("text", content.as_bytes());
        let open = || Polled::new(OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
        let mut text = String::new();
        open().read_to_string(&mut text).unwrap();
        assert_eq!(text, content);
        let lines = |read: Box<dyn BufRead>| read.lines().collect::<io::Result<Vec<_>>>().unwrap();
        let native = lines(Box::new(BufReader::new(File::open(&path).unwrap())));
        assert_eq!(lines(Box::new(BufReader::with_capacity(5, open()))), native);
        let threaded = ramie::fs::File::open(&path).unwrap();
        assert_eq!(lines(Box::new(BufReader::with_capacity(5, threaded))), native);
        assert_eq!(native.len(), 4);
        fs::remove_file(path).unwrap();
    });
}

/// gevent: `test_close_pipe`.
#[test]
fn pipe_is_closed_from_either_end() {
    within(LIMIT, || {
        for reader_first in [true, false] {
            let (reader, writer) = pipe().unwrap();
            if reader_first {
                reader.close();
                drop(reader);
            }
            writer.close();
            assert_eq!((&writer).write(b"x").unwrap_err().raw_os_error(), Some(EBADF));
        }
    });
}

/// gevent: `test_bufsize_0`, `test_read1_binary_present`: what is there comes at once, without a
/// buffer in between.
#[test]
fn unbuffered_bytes_come_one_by_one() {
    within(LIMIT, || {
        let (mut reader, mut writer) = pipe().unwrap();
        for byte in [b"a", b"2"] {
            assert_eq!(writer.write(byte).unwrap(), 1);
            let mut buffer = [0; 8];
            assert_eq!(reader.read(&mut buffer).unwrap(), 1);
            assert_eq!(&buffer[..1], byte);
        }
    });
}

/// gevent: `test_newlines`, but that only `\n` and `\r\n` end a line.
#[test]
fn lines_that_drip_in_are_put_together() {
    within(LIMIT, || {
        let (reader, mut writer) = pipe().unwrap();
        let writing = spawn(move || {
            for byte in b"line1\nline2\r\nline3\nline4\r\nline5" {
                writer.write_all(&[*byte]).unwrap();
                writer.flush().unwrap();
                yield_now();
            }
        });
        let lines: Vec<_> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["line1", "line2", "line3", "line4", "line5"]);
        writing.get().unwrap();
    });
}

/// gevent, section 6.12 of the reference: a reader that is closed by another keeps what it has
/// read; there it is returned.
#[test]
fn reader_that_is_closed_by_another_keeps_what_it_has() {
    within(LIMIT, || {
        let (reader, mut writer) = pipe().unwrap();
        let closing = reader.try_clone().unwrap();
        writer.write_all(b"so far").unwrap();
        let reading = spawn(move || {
            let mut data = Vec::new();
            let error = (&reader).read_to_end(&mut data).unwrap_err();
            (data, error.raw_os_error())
        });
        yield_now();
        closing.close();
        assert_eq!(reading.get().unwrap(), (b"so far".to_vec(), Some(EBADF)));
    });
}

/// gevent: `test__os.py`, `TestOS_tp` and `TestOS_nb`: `test_if_pipe_blocks_memoryview`, with each
/// kind of object.
#[test]
fn full_pipe_does_not_block_the_process() {
    within(LIMIT, || {
        const BYTES: usize = 1_000_000;
        for kind in 0..4 {
            let (reader, writer) = pipe().unwrap();
            let (mut reader, mut writer): (Box<dyn Read>, Box<dyn Write>) = match kind {
                0 => (Box::new(reader), Box::new(writer)),
                1 => (
                    Box::new(Polled::new(file(reader)).unwrap()),
                    Box::new(Polled::new(file(writer)).unwrap()),
                ),
                2 => (
                    Box::new(ramie::fs::File::from(file(reader))),
                    Box::new(ramie::fs::File::from(file(writer))),
                ),
                _ => (
                    Box::new(Cooperative::new(file(reader)).unwrap()),
                    Box::new(Cooperative::new(file(writer)).unwrap()),
                ),
            };
            let producer = spawn(move || {
                let mut written = 0;
                while written < BYTES {
                    written += writer.write(&[b'x'; 4096][..(BYTES - written).min(4096)]).unwrap();
                }
                written
            });
            let consumer = spawn_later(Duration::from_millis(10), move || {
                let mut read = 0;
                while read < BYTES {
                    read += reader.read(&mut [0; 4096][..(BYTES - read).min(4096)]).unwrap();
                }
                read
            });
            joinall(&[&producer, &consumer]);
            assert_eq!((producer.get().unwrap(), consumer.get().unwrap()), (BYTES, BYTES));
        }
    });
}
