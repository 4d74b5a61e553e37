//! A connection of TLS between the greenlets that read from it and those that write to it.
//!
//! No borrow of the connection is held across a wait: what is received goes from the stream into [`Incoming`] and from there to
//! rustls, and what rustls has encrypted goes into [`Outgoing`] and from there to the stream. Each of both has a lock, which is
//! held by the greenlet that uses the stream in this direction. A wait in the stream that is cut short has moved nothing, by
//! the contract of the stream; so both are complete at any time.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use ramie_hub::{get_hub, put_off, with_timeout};
use rustls::Connection;

use crate::sync::Mutex;

/// How much may be taken before it is sent.
const BUFFER_LIMIT: usize = 64 * 1024;
/// How much is received at once, at first and when the last receipt was as long as it could be.
const CHUNK: usize = 4096;
const LARGE_CHUNK: usize = 16 * 1024;
/// How long a reader waits before it tries again to send what is left. Each wait is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// What was received and has not been decrypted.
#[derive(Default)]
struct Incoming {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Incoming {
    fn left(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Receives into the buffer, which is empty.
    fn fill(&mut self, wire: &mut impl Read) -> io::Result<usize> {
        let filled = !self.data.is_empty() && self.end == self.data.len();
        self.data.resize(if filled { LARGE_CHUNK } else { CHUNK }, 0);
        (self.start, self.end) = (0, 0);
        self.end = wire.read(&mut self.data)?;
        Ok(self.end)
    }
}

/// What was encrypted and has not been sent.
#[derive(Default)]
struct Outgoing {
    data: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn left(&self) -> &[u8] {
        &self.data[self.sent..]
    }

    fn advance(&mut self, sent: usize) {
        self.sent += sent;
        if self.left().is_empty() {
            *self = Outgoing::default();
        }
    }
}

/// The state of a connection.
pub(super) struct Session {
    connection: RefCell<Connection>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    /// Whether the other side was told that nothing more will come.
    ended: Cell<bool>,
}

impl Session {
    /// Makes the handshake.
    pub(super) fn handshake(mut connection: Connection, wire: &mut (impl Read + Write)) -> io::Result<Self> {
        connection.set_buffer_limit(Some(BUFFER_LIMIT));
        let session = Session {
            connection: RefCell::new(connection),
            incoming: Mutex::default(),
            outgoing: Mutex::default(),
            ended: Cell::new(false),
        };
        while session.connection.borrow().is_handshaking() {
            if session.connection.borrow().wants_write() {
                session.flush(wire)?;
                continue;
            }
            let mut incoming = session.incoming.lock();
            if !session.decrypt(&mut incoming, wire)? && incoming.fill(wire)? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the peer has hung up"));
            }
        }
        session.flush(wire)?;
        Ok(session)
    }

    pub(super) fn connection(&self) -> Ref<'_, Connection> {
        self.connection.borrow()
    }

    /// The connection, for a change that does not wait.
    fn change(&self) -> io::Result<RefMut<'_, Connection>> {
        let busy = "the connection is being looked at";
        self.connection.try_borrow_mut().map_err(|_| io::Error::new(ErrorKind::ResourceBusy, busy))
    }

    // --- reading ------------------------------------------------------------------------------------------------

    pub(super) fn read(&self, wire: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(done) = self.take(buffer)? {
                return Ok(done);
            }
            let mut incoming = self.incoming.lock();
            // The greenlet that had the lock may have left something.
            if let Some(done) = self.take(buffer)? {
                return Ok(done);
            }
            if !self.decrypt(&mut incoming, wire)? {
                self.receive(&mut incoming, wire)?;
            }
        }
    }

    /// Takes what was decrypted; `None` when nothing was and there is no end yet.
    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.change()?.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            done => done.map(Some),
        }
    }

    /// Decrypts a part of what was received; says whether there was something. Does not let others run, unless there is
    /// an error to be told to the other side.
    fn decrypt(&self, incoming: &mut Incoming, wire: &mut impl Write) -> io::Result<bool> {
        if incoming.left().is_empty() {
            return Ok(false);
        }
        let mut connection = self.change()?;
        match connection.read_tls(&mut incoming.left())? {
            // What comes after the end of the other side is no part of the connection.
            0 => incoming.start = incoming.end,
            taken => incoming.start += taken,
        }
        if let Err(error) = connection.process_new_packets() {
            drop(connection);
            // The other side is told why, if it listens.
            let _ = self.try_send(wire);
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(true)
    }

    /// Waits until something has been received, and has the connection know of the end of the stream.
    ///
    /// The other side may be waiting for what is left to be sent: an answer to a change of keys, or the rest of a write that
    /// was cut short. That is tried without waiting, and again after pauses, so that reading depends on nothing but
    /// what is received.
    fn receive(&self, incoming: &mut Incoming, wire: &mut (impl Read + Write)) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        let received = loop {
            let received = if self.try_send(wire) {
                let received = with_timeout(pause, || incoming.fill(wire));
                pause = pause.saturating_mul(2);
                received
            } else {
                Ok(incoming.fill(wire))
            };
            match received {
                Err(_) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(received) => break received?,
            }
        };
        if received == 0 {
            let mut connection = self.change()?;
            connection.read_tls(&mut io::empty())?;
            connection
                .process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
        Ok(())
    }

    // --- writing ------------------------------------------------------------------------------------------------

    /// Has the connection take data, and sends it.
    pub(super) fn write(
        &self,
        wire: &mut impl Write,
        give: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.check_open()?;
        let mut outgoing = self.outgoing.lock();
        // What an earlier call has left comes first, or its error. Nothing of this call's is taken before that is sent.
        self.send(&mut outgoing, wire)?;
        self.check_open()?;
        let taken = give(&mut self.change()?.writer())?;
        // It is encrypted and cannot be taken back, so the call reports it whatever comes: an error comes again with the next
        // call, and a kill or a timeout at the next wait.
        put_off(|| self.send(&mut outgoing, wire));
        Ok(taken)
    }

    /// Sends everything that is left, and has the stream send it.
    pub(super) fn flush(&self, wire: &mut impl Write) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        self.send(&mut outgoing, wire)
    }

    /// Tells the other side that nothing more will come.
    pub(super) fn shutdown(&self, wire: &mut impl Write) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        self.end()?;
        self.send(&mut outgoing, wire)
    }

    /// Tells the other side that nothing more will come, as far as that goes without waiting.
    pub(super) fn try_shutdown(&self, wire: &mut impl Write) {
        if self.end().is_ok() {
            // A greenlet that is sending sends it.
            let _ = self.try_send(wire);
        }
    }

    fn end(&self) -> io::Result<()> {
        if !self.ended.get() {
            self.change()?.send_close_notify();
            self.ended.set(true);
        }
        Ok(())
    }

    fn check_open(&self) -> io::Result<()> {
        match self.ended.get() {
            true => Err(io::Error::new(ErrorKind::BrokenPipe, "the connection was shut down")),
            false => Ok(()),
        }
    }

    fn send(&self, outgoing: &mut Outgoing, wire: &mut impl Write) -> io::Result<()> {
        loop {
            self.collect(outgoing)?;
            if outgoing.left().is_empty() {
                return wire.flush();
            }
            match wire.write(outgoing.left()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => outgoing.advance(sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what was encrypted out of the connection.
    fn collect(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        let mut connection = self.change()?;
        while connection.wants_write() {
            connection.write_tls(&mut outgoing.data)?;
        }
        Ok(())
    }

    /// Sends what is left as far as that goes without waiting; says whether it is worth another attempt.
    ///
    /// An error is not reported here: it comes again with the next call that writes.
    fn try_send(&self, wire: &mut impl Write) -> bool {
        // A greenlet that has the lock sends everything.
        let Some(mut outgoing) = self.outgoing.try_lock() else { return false };
        if self.collect(&mut outgoing).is_err() || outgoing.left().is_empty() {
            return false;
        }
        let mut send = || self.send(&mut outgoing, wire);
        let sent = if cfg!(panic = "abort") {
            // Nothing can cut it short.
            Some(send())
        } else if get_hub().in_callback() {
            // The wait is refused.
            put_off(send)
        } else {
            with_timeout(Duration::ZERO, send).ok()
        };
        match sent {
            None => true,
            Some(sent) => {
                sent.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("ended", &self.ended.get()).finish_non_exhaustive()
    }
}
