//! A chat over WebSockets: the crate `tungstenite` on our streams, a greenlet for each member, and
//! a queue for what is sent to it.
//!
//! ```text
//! cargo run --example websocket_chat                                 # with three members of its own
//! cargo run --example websocket_chat -- --listen 127.0.0.1:8765      # for browsers: new WebSocket("ws://127.0.0.1:8765")
//! ```
//!
//! The first message of a member is its name.
//!
//! Ends by itself: yes, unless it listens

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use lexopt::prelude::*;
use ramie::channel::{Receiver, Sender, bounded};
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Barrier;
use ramie::{Waitable, iwait, spawn, with_timeout};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

/// The maximum number of messages that wait for a member. A member that does not keep up is
/// disconnected.
const BACKLOG: usize = 100;
/// The limit of the handshake, and of sending one message.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = lexopt::Parser::from_env();
    match arguments.next()? {
        None => demonstrate(),
        Some(Long("listen")) => {
            let listener = TcpListener::bind(arguments.value()?.string()?)?;
            println!("chat on ws://{}", listener.local_addr()?);
            Ok(serve(&listener)?)
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

/// Accepts clients, without end.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let room = Rc::new(Room::default());
    loop {
        let (stream, peer) = listener.accept()?;
        let room = room.clone();
        spawn(move || {
            if let Err(error) = member(&room, stream, peer) {
                println!("{peer}: {error}");
            }
        });
    }
}

/// The members: for each, the queue of its messages, and its connection, to end it.
#[derive(Default)]
struct Room {
    members: RefCell<HashMap<SocketAddr, (Sender<Utf8Bytes>, TcpStream)>>,
}

impl Room {
    /// Queues a message for every member, without waiting: the connection of one that does not keep
    /// up is closed, and whatever its greenlet waits for fails.
    fn say(&self, text: String) {
        println!("{text}");
        let text = Utf8Bytes::from(text);
        for (inbox, stream) in self.members.borrow().values() {
            if inbox.try_send(text.clone()).is_err() {
                stream.close();
            }
        }
    }
}

/// A place in the room, given up however its member ends.
struct Place<'a> {
    room: &'a Room,
    peer: SocketAddr,
    name: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.peer);
        self.room.say(format!("* {} has left", self.name));
    }
}

/// Serves one member: what it says goes to the room, what the room says goes to it.
fn member(room: &Room, stream: TcpStream, peer: SocketAddr) -> tungstenite::Result<()> {
    let mut socket = with_timeout(PATIENCE, || greet(stream)).map_err(io::Error::from)??;
    let name = loop {
        match socket.read() {
            Ok(Message::Text(name)) => break name.to_string(),
            Ok(_) => {}
            Err(error) if would_block(&error) => socket.get_ref().reading.wait_readable()?,
            Err(error) => return Err(error),
        }
    };
    let (inbox, messages) = bounded(BACKLOG);
    let stream = socket.get_ref().writing.try_clone()?;
    room.members.borrow_mut().insert(peer, (inbox, stream));
    room.say(format!("* {name} is here"));
    let place = Place { room, peer, name };
    match talk(&place, &mut socket, &messages) {
        Err(tungstenite::Error::ConnectionClosed) => Ok(()),
        ended => ended,
    }
}

/// Makes the opening handshake. Its reads wait; later ones do not.
fn greet(stream: TcpStream) -> tungstenite::Result<WebSocket<Stream>> {
    let (writing, reading) = (stream.try_clone()?, stream);
    writing.set_write_timeout(Some(PATIENCE))?;
    reading.set_read_timeout(Some(PATIENCE))?;
    let config = WebSocketConfig::default().max_message_size(Some(1 << 16));
    let socket = tungstenite::accept_with_config(Stream { reading, writing }, Some(config))
        .map_err(|error| io::Error::other(error.to_string()))?;
    socket.get_ref().reading.set_nonblocking(true)?;
    Ok(socket)
}

/// One greenlet for both directions, as the protocol answers pings in the middle of reading: so it
/// waits for either.
fn talk(
    place: &Place<'_>,
    socket: &mut WebSocket<Stream>,
    messages: &Receiver<Utf8Bytes>,
) -> tungstenite::Result<()> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => place.room.say(format!("{}: {text}", place.name)),
            Ok(_) => {}
            Err(error) if would_block(&error) => {
                wait_for_any(&[&socket.get_ref().reading, messages]);
            }
            Err(error) => return Err(error),
        }
        for text in messages.try_iter() {
            socket.send(Message::Text(text))?;
        }
    }
}

fn wait_for_any(objects: &[&dyn Waitable]) {
    iwait(objects).next();
}

fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Two handles of one stream, each with a mode of its own: reading says when there is nothing,
/// writing waits.
struct Stream {
    reading: TcpStream,
    writing: TcpStream,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reading.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writing.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Three members, each of which says something when all are there.
fn demonstrate() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || serve(&listener));
    let all_here = Rc::new(Barrier::new(3));
    let members = ["Ada", "Grace", "Hedy"].map(|name| {
        let all_here = all_here.clone();
        spawn(move || script(name, address, &all_here).map_err(|error| error.to_string()))
    });
    for member in members {
        let heard = member.get()??;
        println!("{heard}");
    }
    server.kill();
    Ok(())
}

fn script(name: &str, address: SocketAddr, all_here: &Barrier) -> Result<String, Box<dyn Error>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut socket, _answer) =
        tungstenite::client(format!("ws://{address}/"), stream).map_err(|error| error.to_string())?;
    socket.send(Message::text(name))?;
    let mut greetings = Vec::new();
    while greetings.len() < 3 {
        match socket.read()? {
            Message::Text(text) if text == format!("* {name} is here") => {
                all_here.wait();
                socket.send(Message::text(format!("hello from {name}")))?;
            }
            Message::Text(text) if !text.starts_with('*') => greetings.push(text.to_string()),
            _ => {}
        }
    }
    socket.close(None)?;
    // The other side closes too, and says so.
    while socket.read().is_ok() {}
    Ok(format!("what {name} has heard: {}", greetings.join(" | ")))
}
