//! A pool of connections to Redis for many greenlets: the plain synchronous `redis` crate over our
//! streams.
//!
//! ```text
//! cargo run --example redis_pool                          # a stand-in for a server, with the few commands that are needed
//! cargo run --example redis_pool -- 127.0.0.1:6379        # a real one; keys that begin with ramie: are overwritten
//! ```
//!
//! The crate's own connections block the thread. But its commands go over anything that is a
//! `ConnectionLike`, and that takes no more than a stream to write to and to parse answers from.
//!
//! Ends by itself: yes

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream};
use ramie::queue::Queue;
use ramie::sync::Semaphore;
use ramie::{Group, fallible, spawn};
use redis::{Commands, ConnectionLike, Parser, RedisResult, Value};

/// The number of connections.
const CONNECTIONS: usize = 3;
const GREENLETS: usize = 8;
/// Beyond that an answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time for which the list is waited for that no client pushes to.
const NAP: f64 = 0.1;

fn main() -> Result<(), Box<dyn Error>> {
    let address = match std::env::args().nth(1) {
        Some(address) => address,
        None => stand_in()?,
    };
    let pool = Connections::new(address, CONNECTIONS);
    pool.get()?.del::<_, ()>(&["ramie:count", "ramie:empty", "ramie:jobs"])?;
    share(&pool)?;
    block(&pool)?;
    hand_over(&pool)
}

/// More greenlets than connections: each takes one for a moment.
fn share(pool: &Rc<Connections>) -> Result<(), Box<dyn Error>> {
    let group = Group::new();
    for number in 0..GREENLETS {
        let pool = pool.clone();
        group.spawn(fallible(move || -> RedisResult<()> {
            let mut connection = pool.get()?;
            let key = format!("ramie:greenlet:{number}");
            connection.set_ex::<_, _, ()>(&key, number * number, 60)?;
            // Two commands, one journey.
            let (square, count): (u32, u32) =
                redis::pipe().get(&key).incr("ramie:count", 1).query(&mut *connection)?;
            println!("greenlet {number} squared is {square}, count {count}");
            Ok(())
        }));
    }
    group.join_raising()?;
    println!("{GREENLETS} greenlets have made {} connections", pool.made());
    Ok(())
}

/// A command that blocks its connection: its greenlet waits, and so do greenlets that find no free
/// connection.
fn block(pool: &Rc<Connections>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let group = Group::new();
    for _ in 0..4 {
        let pool = pool.clone();
        group.spawn(fallible(move || {
            let nothing = pool.get()?.blpop::<_, Option<(String, String)>>("ramie:empty", NAP)?;
            assert_eq!(nothing, None, "another client uses this key");
            RedisResult::Ok(())
        }));
    }
    group.join_raising()?;
    println!("four waits of {NAP} s on {CONNECTIONS} connections took {:.1?}", start.elapsed());
    Ok(())
}

/// One waits for what the other one pushes, by way of the server.
fn hand_over(pool: &Rc<Connections>) -> Result<(), Box<dyn Error>> {
    let taking = spawn({
        let pool = pool.clone();
        move || pool.get()?.blpop::<_, Option<(String, String)>>("ramie:jobs", PATIENCE.as_secs_f64() / 2.0)
    });
    pool.get()?.rpush::<_, _, ()>("ramie:jobs", "sweep the floor")?;
    let taken = taking.take().expect("it is not killed")?;
    println!("taken: {taken:?}");
    Ok(())
}

/// Connections that greenlets share, one at a time each.
pub(crate) struct Connections {
    address: String,
    /// One for each connection that may be had or made.
    free: Semaphore,
    idle: RefCell<Vec<Connection>>,
    made: RefCell<usize>,
}

impl Connections {
    pub(crate) fn new(address: String, most: usize) -> Rc<Self> {
        let (idle, made) = (RefCell::default(), RefCell::default());
        Rc::new(Connections { address, free: Semaphore::new(most), idle, made })
    }

    /// Lends a connection, waiting for one if all are lent.
    pub(crate) fn get(&self) -> RedisResult<Lent<'_>> {
        self.free.acquire();
        // From now on it is given back whatever happens, a kill in the middle of connecting
        // included.
        let mut lent = Lent { pool: self, connection: None };
        let idle = self.idle.borrow_mut().pop();
        lent.connection = Some(match idle {
            Some(connection) => connection,
            None => {
                *self.made.borrow_mut() += 1;
                Connection::open(&self.address)?
            }
        });
        Ok(lent)
    }

    pub(crate) fn made(&self) -> usize {
        *self.made.borrow()
    }
}

/// A connection that goes back when this is dropped, unless it is broken.
pub(crate) struct Lent<'a> {
    pool: &'a Connections,
    connection: Option<Connection>,
}

impl Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there once it is lent")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is there once it is lent")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            self.pool.idle.borrow_mut().push(connection);
        }
        self.pool.free.release();
    }
}

/// One connection, for the redis crate's commands.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    parser: Parser,
    /// `true` while a request is under way. If it still is when the connection comes back, its
    /// greenlet was killed, or the stream broke, in the middle of it: the next answer would not be
    /// the next one's.
    busy: bool,
}

impl Connection {
    fn open(address: &str) -> RedisResult<Self> {
        let stream = TcpStream::connect_timeout(address, Instant::now() + PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: BufReader::new(stream), parser: Parser::new(), busy: false })
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        let mut answers = self.req_packed_commands(command, 0, 1)?;
        answers.pop().expect("one was asked for").extract_error()
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.busy = true;
        self.stream.get_mut().write_all(commands)?;
        let mut answers = Vec::with_capacity(count);
        for number in 0..offset + count {
            let answer = self.parser.parse_value(&mut self.stream)?;
            if number >= offset {
                answers.push(answer);
            }
        }
        self.busy = false;
        Ok(answers)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<String>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        !self.busy
    }
}

/// A list that can be waited for.
type List = Rc<Queue<Vec<u8>>>;

/// The data of the stand-in.
#[derive(Default)]
struct Store {
    strings: RefCell<HashMap<Vec<u8>, Vec<u8>>>,
    lists: RefCell<HashMap<Vec<u8>, List>>,
}

/// Starts something that answers like Redis, as far as it goes, and returns its address.
pub(crate) fn stand_in() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let store = Rc::new(Store::default());
    spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let store = store.clone();
            spawn(move || store.serve(&stream));
        }
    });
    Ok(address)
}

impl Store {
    /// A request is an array of strings, in the same form as answers are.
    fn serve(&self, mut stream: &TcpStream) -> RedisResult<()> {
        let (mut parser, mut requests) = (Parser::new(), BufReader::new(stream));
        while let Value::Array(words) = parser.parse_value(requests.by_ref())? {
            let words =
                words.into_iter().map(redis::from_redis_value).collect::<Result<Vec<Vec<u8>>, _>>()?;
            stream.write_all(&self.answer(&words))?;
        }
        Ok(())
    }

    fn answer(&self, words: &[Vec<u8>]) -> Vec<u8> {
        let command = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let arguments = words.iter().skip(1).map(Vec::as_slice).collect::<Vec<_>>();
        match (command.as_slice(), arguments.as_slice()) {
            (b"PING", []) => b"+PONG\r\n".to_vec(),
            (b"GET", [key]) => bulk(self.strings.borrow().get(*key).map(Vec::as_slice)),
            (b"SETEX", [key, _seconds, value]) => {
                self.strings.borrow_mut().insert(key.to_vec(), value.to_vec());
                b"+OK\r\n".to_vec()
            }
            (b"INCRBY", [key, by]) => {
                let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
                let mut strings = self.strings.borrow_mut();
                let value = strings.entry(key.to_vec()).or_insert_with(|| b"0".to_vec());
                let Some(sum) = number(value).zip(number(by)).map(|(value, by)| value + by) else {
                    return b"-ERR this is no number\r\n".to_vec();
                };
                *value = sum.to_string().into_bytes();
                integer(sum)
            }
            (b"DEL", keys) => {
                let mut strings = self.strings.borrow_mut();
                let gone = keys.iter().filter(|key| strings.remove(**key).is_some());
                integer(gone.count() as i64)
            }
            (b"RPUSH", [key, value]) => {
                let list = self.list(key);
                // There is no limit, and no code shuts it down.
                let _ = list.try_put(value.to_vec());
                integer(list.len() as i64)
            }
            (b"BLPOP", [key, seconds]) => {
                let seconds = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
                let limit = Duration::from_secs_f64(seconds.unwrap_or(0.0));
                match self.list(key).get_timeout(limit) {
                    Ok(value) => {
                        [b"*2\r\n".as_slice(), &bulk(Some(*key)), &bulk(Some(value.as_slice()))].concat()
                    }
                    Err(_) => b"*-1\r\n".to_vec(),
                }
            }
            _ => b"-ERR unknown command\r\n".to_vec(),
        }
    }

    fn list(&self, key: &[u8]) -> List {
        self.lists.borrow_mut().entry(key.to_vec()).or_insert_with(|| Rc::new(Queue::unbounded())).clone()
    }
}

fn integer(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

fn bulk(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
        None => b"$-1\r\n".to_vec(),
    }
}
