//! A TLS connection, shared by the greenlets that read from it and those that write to it.
//!
//! No borrow of the connection is held across a wait. Received data goes from the stream into
//! [`Incoming`] and from there to rustls. Encrypted data goes from rustls into [`Outgoing`] and
//! from there to the stream. Each of the two has a lock, held by the greenlet that uses the stream
//! in that direction. By the contract of the stream, an interrupted wait has moved no data, so both
//! buffers are consistent at any time.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use ramie_hub::{get_hub, has_hub, put_off, unwinding, while_borrowed, with_timeout};
use rustls::Connection;

use crate::sync::Mutex;

/// The maximum size of data that is accepted before it is sent.
const BUFFER_LIMIT: usize = 64 * 1024;
/// The size of a receive, at first and after a receive that did not fill the buffer. After a full
/// one it is `LARGE_CHUNK`.
const CHUNK: usize = 4096;
const LARGE_CHUNK: usize = 16 * 1024;
/// The first pause of a reader before it tries again to send the remaining data. Each pause is
/// twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Received data that is not yet decrypted.
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

    /// Receives into the buffer, which must be empty.
    fn fill(&mut self, wire: &mut impl Read) -> io::Result<usize> {
        let filled = !self.data.is_empty() && self.end == self.data.len();
        self.data.resize(if filled { LARGE_CHUNK } else { CHUNK }, 0);
        (self.start, self.end) = (0, 0);
        self.end = wire.read(&mut self.data)?;
        Ok(self.end)
    }
}

/// Encrypted data that is not yet sent.
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
    /// `true` after a `close_notify` was queued.
    ended: Cell<bool>,
    /// `true` if a drop must send nothing.
    forgotten: Cell<bool>,
}

impl Session {
    /// Performs the handshake.
    pub(super) fn handshake(mut connection: Connection, wire: &mut (impl Read + Write)) -> io::Result<Self> {
        connection.set_buffer_limit(Some(BUFFER_LIMIT));
        let session = Session {
            connection: RefCell::new(connection),
            incoming: Mutex::default(),
            outgoing: Mutex::default(),
            ended: Cell::new(false),
            forgotten: Cell::new(false),
        };
        while session.connection.borrow().is_handshaking() {
            if session.connection.borrow().wants_write() {
                session.flush(wire)?;
                continue;
            }
            let mut incoming = session.incoming.lock();
            if !session.decrypt(&mut incoming, wire)? && incoming.fill(wire)? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the peer closed the connection"));
            }
        }
        session.flush(wire)?;
        Ok(session)
    }

    pub(super) fn connection(&self) -> Ref<'_, Connection> {
        self.connection.borrow()
    }

    /// Borrows the connection for a change that does not wait.
    fn change(&self) -> io::Result<RefMut<'_, Connection>> {
        let busy = "the connection is borrowed";
        self.connection.try_borrow_mut().map_err(|_| io::Error::new(ErrorKind::ResourceBusy, busy))
    }

    // --- reading ---------------------------------------------------------------------------------

    pub(super) fn read(&self, wire: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(done) = self.take(buffer)? {
                return Ok(done);
            }
            let mut incoming = self.incoming.lock();
            // The previous holder of the lock may have left decrypted data.
            if let Some(done) = self.take(buffer)? {
                return Ok(done);
            }
            if !self.decrypt(&mut incoming, wire)? {
                self.receive(&mut incoming, wire)?;
            }
        }
    }

    /// Takes decrypted data. Returns `None` if there is none and the stream has not ended.
    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.change()?.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            done => done.map(Some),
        }
    }

    /// Decrypts a part of the received data. Returns `false` if there is none. Does not let other
    /// greenlets run, unless an error has to be sent to the peer.
    fn decrypt(&self, incoming: &mut Incoming, wire: &mut impl Write) -> io::Result<bool> {
        if incoming.left().is_empty() {
            return Ok(false);
        }
        let mut connection = self.change()?;
        match connection.read_tls(&mut incoming.left())? {
            // Data after the end of the connection is ignored.
            0 => incoming.start = incoming.end,
            taken => incoming.start += taken,
        }
        if let Err(error) = connection.process_new_packets() {
            drop(connection);
            // Sends the reason to the peer if possible.
            let _ = self.try_send(wire);
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(true)
    }

    /// Waits until data is received, and passes the end of the stream to the connection.
    ///
    /// The peer may wait for data that is still to be sent: an answer to a key update, or the rest
    /// of an interrupted write. Such data is sent without waiting, and again after pauses, so that
    /// reading depends only on received data.
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

    // --- writing ---------------------------------------------------------------------------------

    /// Passes data to the connection and sends it.
    pub(super) fn write(
        &self,
        wire: &mut impl Write,
        give: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.check_open()?;
        let mut outgoing = self.outgoing.lock();
        // Sends the rest of an earlier call first, or returns its error. The data of this call is
        // not accepted before that.
        self.send(&mut outgoing, wire)?;
        self.check_open()?;
        let taken = give(&mut self.change()?.writer())?;
        // The data is encrypted and cannot be taken back, so the call always reports it. An error
        // is returned by the next call, and a kill or a timeout is raised at the next wait.
        put_off(|| self.send(&mut outgoing, wire));
        Ok(taken)
    }

    /// Sends all remaining data and flushes the stream.
    pub(super) fn flush(&self, wire: &mut impl Write) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        self.send(&mut outgoing, wire)
    }

    /// Sends a `close_notify` after the remaining data.
    pub(super) fn shutdown(&self, wire: &mut impl Write) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        self.end()?;
        self.send(&mut outgoing, wire)
    }

    pub(super) fn forget(&self) {
        self.forgotten.set(true);
    }

    /// Sends a `close_notify` after the remaining data, for a destructor: does not wait and does
    /// not let other greenlets run.
    ///
    /// An unwinding destructor sends nothing, since the peer must not take the data for complete.
    /// At the end of its thread there is no hub that could send.
    pub(super) fn close(&self, wire: &mut impl Write) {
        // Without unwinding a refused wait would end the process.
        let silent = cfg!(panic = "abort") || !has_hub() || unwinding() || self.forgotten.get();
        if silent || self.end().is_err() {
            return;
        }
        // If another greenlet is sending, it sends the `close_notify` too.
        let Some(mut outgoing) = self.outgoing.try_lock() else { return };
        let _ = while_borrowed("the drop of a TLS stream", || put_off(|| self.send(&mut outgoing, wire)));
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

    /// Moves encrypted data out of the connection.
    fn collect(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        let mut connection = self.change()?;
        while connection.wants_write() {
            connection.write_tls(&mut outgoing.data)?;
        }
        Ok(())
    }

    /// Sends remaining data as far as this needs no wait. Returns `true` if another attempt is
    /// useful.
    ///
    /// An error is not reported: the next writing call returns it.
    fn try_send(&self, wire: &mut impl Write) -> bool {
        // The holder of the lock sends all data.
        let Some(mut outgoing) = self.outgoing.try_lock() else { return false };
        if self.collect(&mut outgoing).is_err() || outgoing.left().is_empty() {
            return false;
        }
        let mut send = || self.send(&mut outgoing, wire);
        let sent = if cfg!(panic = "abort") {
            // Without unwinding no timeout can interrupt the send.
            Some(send())
        } else if get_hub().in_callback() {
            // A wait in a callback of the hub is refused.
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
