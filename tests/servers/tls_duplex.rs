//! TLS streams that are read and written at the same time, as a whole or as halves, with
//! interrupted calls.

use std::cell::Cell;
#[cfg(unix)]
use std::io::BufWriter;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ramie::io::{ReadWriteRef, ShutdownWrite, copy_bidirectional};
#[cfg(unix)]
use ramie::os::unix::net::UnixStream;
use ramie::tls::rustls::ClientConfig;
use ramie::tls::rustls::version::{TLS12, TLS13};
use ramie::tls::{self, Acceptor, TlsStream};
use ramie::{Greenlet, sleep, spawn, with_timeout};
use socket2::SockRef;

use super::tls::{LIMIT, SHORT, pair, pair_with, pattern, sockets};
use crate::util::certificate::Certificate;
use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(400))
    }
}

/// A greenlet that writes what `sent` says has not been taken, in pieces, each of which may be cut
/// short.
fn cut_writer<S: ReadWriteRef + Read + Write + 'static>(
    stream: &Rc<TlsStream<S>>,
    data: &Rc<Vec<u8>>,
    sent: &Rc<Cell<usize>>,
    seed: u64,
) -> Greenlet<()> {
    let (stream, data, sent) = (stream.clone(), data.clone(), sent.clone());
    spawn(move || {
        let mut numbers = Numbers(seed);
        while sent.get() < data.len() {
            let end = data.len().min(sent.get() + 1 + numbers.below(90_000) as usize);
            let write = || (&*stream).write(&data[sent.get()..end]).unwrap();
            match numbers.below(3) {
                0 => sent.set(sent.get() + write()),
                1 => drop(with_timeout(numbers.moment(), || (&*stream).flush().unwrap())),
                _ => {
                    let taken = with_timeout(numbers.moment(), write).unwrap_or(0);
                    sent.set(sent.get() + taken);
                }
            }
        }
    })
}

/// Reads everything, in pieces and with reads that are cut short.
fn cut_reader<S: ReadWriteRef + Read + Write + 'static>(
    stream: &Rc<TlsStream<S>>,
    seed: u64,
) -> Greenlet<Vec<u8>> {
    let stream = stream.clone();
    spawn(move || {
        let (mut numbers, mut received, mut buffer) = (Numbers(seed), Vec::new(), vec![0; 30_000]);
        loop {
            let length = 1 + numbers.below(buffer.len() as u64) as usize;
            let read = || (&*stream).read(&mut buffer[..length]).unwrap();
            match with_timeout(numbers.moment(), read) {
                Ok(0) => return received,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(_) => sleep(numbers.moment()),
            }
        }
    })
}

/// Both sides write and read at once, and all of it is cut short all the time.
fn cut_exchange<S: ReadWriteRef + Read + Write + 'static>(near: TlsStream<S>, far: TlsStream<S>, seed: u64) {
    let mut numbers = Numbers(seed);
    let sides = [near, far].map(|stream| {
        let data: Vec<u8> = pattern(200_000 + numbers.below(100_000) as usize);
        (Rc::new(stream), Rc::new(data), numbers.below(1 << 30))
    });
    let readers = [0, 1].map(|side| cut_reader(&sides[side].0, numbers.below(1 << 30)));
    let writers = sides.clone().map(|(stream, data, seed)| {
        spawn(move || {
            let (mut numbers, sent) = (Numbers(seed), Rc::new(Cell::new(0)));
            while sent.get() < data.len() {
                let writer = cut_writer(&stream, &data, &sent, numbers.below(1 << 30));
                writer.join_timeout(numbers.moment() * 3);
                writer.kill();
            }
            while with_timeout(numbers.moment(), || stream.shutdown_write().unwrap()).is_err() {}
        })
    });
    writers.iter().for_each(|writer| writer.get().unwrap());
    for (side, reader) in readers.iter().enumerate() {
        let received = reader.take().unwrap();
        assert!(received == *sides[1 - side].1, "seed {seed}: {} bytes arrived", received.len());
    }
}

/// Neither doubled nor lost, over any stream and in any version.
#[test]
fn what_a_cut_write_has_not_reported_was_not_taken() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let mut seed = 1;
        for version in [&TLS12, &TLS13] {
            let client = ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(certificate.roots())
                .with_no_client_auth();
            let client = Arc::new(client);
            for _ in 0..4 {
                let (near, far) = pair_with(client.clone(), certificate.server());
                for end in [&near, &far] {
                    SockRef::from(end.get_ref()).set_send_buffer_size(4096).unwrap();
                }
                cut_exchange(near, far, seed);
                #[cfg(unix)]
                {
                    let (near, far) = unix_pair(&certificate, client.clone());
                    for end in [&near, &far] {
                        SockRef::from(end.get_ref()).set_send_buffer_size(4096).unwrap();
                    }
                    cut_exchange(near, far, seed + 1);
                }
                seed += 2;
            }
        }
    });
}

#[cfg(unix)]
fn unix_pair(
    certificate: &Certificate,
    client: Arc<ClientConfig>,
) -> (TlsStream<UnixStream>, TlsStream<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = certificate.server();
    let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
    let near = tls::connect(near, "localhost", client).unwrap();
    (near, accepted.take().unwrap())
}

/// A server with a buffer, and a slow peer.
#[cfg(unix)]
#[test]
fn flush_that_is_cut_and_repeated_sends_every_byte_once() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, mut far) = unix_pair(&certificate, certificate.client());
        let reader = spawn(move || {
            sleep(5 * SHORT);
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all
        });
        let data = pattern(1 << 20);
        let mut writer = BufWriter::with_capacity(2 << 20, near);
        writer.write_all(&data).unwrap();
        while with_timeout(Duration::from_millis(1), || writer.flush().unwrap()).is_err() {}
        writer.get_mut().shutdown().unwrap();
        assert!(reader.take().unwrap() == data);
    });
}

/// Neither side reads before both are stuck: a side that still writes would otherwise be fed by the
/// other one without an end.
#[test]
fn what_has_arrived_is_read_although_a_write_is_stuck() {
    within(LIMIT, || {
        let (near, far) = pair();
        let clogged = [near, far].map(|mut stream| {
            spawn(move || {
                let (block, mut written, mut late) = (pattern(16_384), 0, 0);
                while late < 3 {
                    match with_timeout(Duration::from_millis(150), || stream.write(&block).unwrap()) {
                        Ok(taken) => written += taken,
                        Err(_) => late += 1,
                    }
                }
                (stream, written)
            })
        });
        let [(near, near_wrote), (far, far_wrote)] = clogged.map(|side| side.take().unwrap());
        assert!(near_wrote > 0 && far_wrote > 0);
        let readers = [(near, far_wrote), (far, near_wrote)].map(|(mut stream, expected)| {
            spawn(move || {
                stream.read_exact(&mut vec![0; expected]).unwrap();
                // The rest of the write that was stuck, which the other side may still need.
                stream.flush().unwrap();
                stream
            })
        });
        let [mut near, mut far] = readers.map(|side| side.take().unwrap());
        near.shutdown().unwrap();
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn one_greenlet_reads_while_another_one_writes() {
    within(LIMIT, || {
        let before = settled();
        let (near, far) = pair();
        let data = Rc::new(pattern(3_000_000));
        let sides = [near, far].map(|stream| {
            let (mut reading, mut writing) = stream.into_split();
            let sent = data.clone();
            // Its end is told by the drop.
            let writer = spawn(move || writing.write_all(&sent).unwrap());
            let reader = spawn(move || {
                let mut received = Vec::new();
                reading.read_to_end(&mut received).unwrap();
                received
            });
            (writer, reader)
        });
        for (writer, reader) in sides {
            writer.get().unwrap();
            assert!(reader.take().unwrap() == *data);
        }
        assert_eq!(settled(), before);
    });
}

#[test]
fn halves_end_each_by_itself_and_go_together_again() {
    within(LIMIT, || {
        // The server forgets its half: a client would leave the tickets unread, and so reset the
        // connection.
        let ((near, far), (other_far, mut other)) = (pair(), pair());
        let (mut reading, writing) = near.into_split();
        let (mut far_reading, mut far_writing) = far.into_split();
        let parked_reader = parked(move || {
            let mut text = String::new();
            reading.read_to_string(&mut text).unwrap();
            (reading, text)
        });
        writing.shutdown_write().unwrap();
        assert_eq!((&*writing).write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(far_reading.read(&mut [0]).unwrap(), 0);
        far_writing.write_all(b"still here").unwrap();
        drop(far_writing);
        let (reading, text) = parked_reader.take().unwrap();
        assert_eq!(text, "still here");

        let strangers = other.get_ref().try_clone().unwrap();
        let (other_reading, other_writing) = other.into_split();
        let tls::ReuniteError(reading, other_writing) = reading.reunite(other_writing).unwrap_err();
        other = other_reading.reunite(other_writing).unwrap();
        assert_eq!(other.get_ref().peer_addr().unwrap(), strangers.peer_addr().unwrap());
        writing.reunite(reading).unwrap();

        // A half that is forgotten says nothing.
        let (reading, writing) = other.into_split();
        writing.forget();
        let mut other_far = other_far;
        assert!(with_timeout(SHORT, || other_far.read(&mut [0]).unwrap()).is_err());
        drop((reading, strangers));
        assert_eq!(other_far.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn half_that_is_cut_off_is_an_error() {
    within(LIMIT, || {
        let (near, far) = pair();
        let (_reading, writing) = near.into_split();
        let (mut far_reading, _far_writing) = far.into_split();
        (&*writing).write_all(b"a part").unwrap();
        writing.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut data = Vec::new();
        assert_eq!(far_reading.read_to_end(&mut data).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(data, b"a part");
    });
}

#[test]
fn greenlets_that_write_to_one_connection_take_turns() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let near = Rc::new(near);
        let writers: Vec<_> = (0..8_u8)
            .map(|number| {
                let near = near.clone();
                spawn(move || {
                    for _ in 0..50 {
                        assert_eq!((&*near).write(&[number; 5000]).unwrap(), 5000);
                    }
                })
            })
            .collect();
        let end = spawn(move || {
            writers.iter().for_each(|writer| writer.get().unwrap());
            near.shutdown_write().unwrap();
            near
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        let _near = end.take().unwrap();
        assert_eq!(received.len(), 8 * 50 * 5000);
        assert!(received.chunks(5000).all(|piece| piece.iter().all(|byte| *byte == piece[0])));
    });
}

#[test]
fn both_directions_are_copied_from_plain_to_tls() {
    within(LIMIT, || {
        let before = settled();
        let ((client, near), (outer, inner)) = (sockets(), pair());
        let proxy = spawn(move || copy_bidirectional(&near, &outer).unwrap());
        let server = spawn(move || {
            let mut question = Vec::new();
            // The end of the plain stream arrives as one that was said.
            (&inner).read_to_end(&mut question).unwrap();
            (&inner).write_all(&question).unwrap();
            inner.shutdown_write().unwrap();
            question.len()
        });
        let data = pattern(1 << 20);
        let (mut reading, mut writing) = client.into_split();
        let sent = data.clone();
        let writer = spawn(move || writing.write_all(&sent).unwrap());
        let mut back = Vec::new();
        reading.read_to_end(&mut back).unwrap();
        writer.get().unwrap();
        assert!(back == data);
        assert_eq!(server.get().unwrap(), 1 << 20);
        assert_eq!(proxy.get().unwrap(), (1 << 20, 1 << 20));
        drop((reading, writer, server, proxy));
        assert_eq!(settled(), before);
    });
}

#[test]
fn connection_inside_a_connection_works() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, far) = pair();
        let server = certificate.server();
        let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
        let near = tls::connect(near, "localhost", certificate.client()).unwrap();
        cut_exchange(near, accepted.take().unwrap(), 99);
    });
}
