//! PostgreSQL: its protocol over our streams, as far as many greenlets with plain queries need it.

use std::cell::RefCell;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::str;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::os::unix::net::UnixStream;
use ramie::{Greenlet, joinall, sleep, spawn};

use crate::databases::{Cluster, tool};
use crate::port_forwarder;
use crate::programs::{command, with};

/// Version 3.0 of the protocol, and what stands in its place to have a query of another connection
/// cancelled.
const PROTOCOL: i32 = 3 << 16;
const CANCEL: i32 = 1234 << 16 | 5678;

/// The rows of an answer, each a list of fields, which may be null.
type Rows = Vec<Vec<Option<String>>>;

/// A connection, over whatever stream.
struct Client<S: Read + Write> {
    stream: BufReader<S>,
    /// The number by which the server knows this connection.
    key: (i32, i32),
    /// The channel and the text of what was notified.
    notified: Vec<(String, String)>,
}

/// The refusal of the server, by the code of its error.
#[derive(Debug, PartialEq, Eq)]
struct Refused(String);

/// Takes a number off the front.
fn number(bytes: &mut &[u8]) -> i32 {
    let (number, rest) = bytes.split_first_chunk().unwrap();
    *bytes = rest;
    i32::from_be_bytes(*number)
}

/// Takes a text that ends with a zero off the front.
fn text(bytes: &mut &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    let text = str::from_utf8(&bytes[..end]).unwrap().to_owned();
    *bytes = &bytes[end + 1..];
    text
}

/// A message as it is sent: its kind, if it has one, and its length with the four bytes of the
/// length itself.
fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    kind.into_iter().chain(length.to_be_bytes()).chain(body.iter().copied()).collect()
}

impl<S: Read + Write> Client<S> {
    fn start(stream: S) -> io::Result<Self> {
        let mut client = Client { stream: BufReader::new(stream), key: (0, 0), notified: Vec::new() };
        let parameters = b"user\0ramie\0database\0postgres\0client_encoding\0UTF8\0\0";
        let start = message(None, &[&PROTOCOL.to_be_bytes(), &parameters[..]].concat());
        client.stream.get_mut().write_all(&start)?;
        client.answers()?.unwrap();
        Ok(client)
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let mut body = vec![0; i32::from_be_bytes(length) as usize - 4];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }

    /// Everything up to where the server is ready for more.
    fn answers(&mut self) -> io::Result<Result<Rows, Refused>> {
        let (mut rows, mut refused) = (Rows::new(), None);
        loop {
            let (kind, body) = self.receive()?;
            let mut rest = body.as_slice();
            match kind {
                b'Z' => return Ok(refused.map_or(Ok(rows), Err)),
                b'R' => assert_eq!(number(&mut rest), 0, "it asks for a password"),
                b'K' => self.key = (number(&mut rest), number(&mut rest)),
                b'D' => {
                    let (count, mut rest) = body.split_first_chunk().unwrap();
                    let fields = (0..u16::from_be_bytes(*count)).map(|_| {
                        let length = usize::try_from(number(&mut rest)).ok()?;
                        let (field, more) = rest.split_at(length);
                        rest = more;
                        Some(str::from_utf8(field).unwrap().to_owned())
                    });
                    rows.push(fields.collect());
                }
                // A line of a copy is a row of one field.
                b'd' => rows.push(vec![Some(String::from_utf8(body).unwrap())]),
                b'E' => {
                    while rest.first().is_some_and(|field| *field != 0) {
                        let field = rest[0];
                        rest = &rest[1..];
                        let text = text(&mut rest);
                        if field == b'C' {
                            refused = Some(Refused(text));
                        }
                    }
                }
                b'A' => {
                    number(&mut rest);
                    self.notified.push((text(&mut rest), text(&mut rest)));
                }
                // Parameters, notices, descriptions of rows, the ends of single commands, the marks
                // around a copy.
                b'S' | b'N' | b'T' | b'C' | b'I' | b'H' | b'c' => {}
                other => panic!("a message of the kind {:?}", other as char),
            }
        }
    }

    fn ask(&mut self, sql: &str) -> io::Result<Result<Rows, Refused>> {
        self.stream.get_mut().write_all(&message(Some(b'Q'), &[sql.as_bytes(), b"\0"].concat()))?;
        self.answers()
    }

    /// The rows of a query that is not refused.
    #[track_caller]
    fn query(&mut self, sql: &str) -> Rows {
        self.ask(sql).unwrap().unwrap()
    }

    /// The one field of the one row.
    #[track_caller]
    fn value(&mut self, sql: &str) -> String {
        match self.query(sql).as_slice() {
            [row] => row[0].clone().unwrap(),
            rows => panic!("{} rows", rows.len()),
        }
    }
}

impl Cluster {
    fn connect(&self) -> Client<TcpStream> {
        connect(&self.server.address())
    }
}

fn connect(address: &str) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    Client::start(stream).unwrap()
}

/// The number of sessions that wait for a lock of another session.
const HELD_UP: &str = "select count(*) from pg_locks where locktype = 'advisory' and not granted";

/// Asks until the answer is that.
#[track_caller]
fn until_it_is(client: &mut Client<TcpStream>, sql: &str, expected: &str) {
    while client.value(sql) != expected {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn greenlets_query_postgresql() {
    with(&[], |programs| {
        let Some(cluster) = Cluster::start(programs) else { return };
        let mut main = cluster.connect();
        assert_eq!(
            main.query("select 1, null, 'straße'; select 2"),
            [vec![Some("1".to_owned()), None, Some("straße".to_owned())], vec![Some("2".to_owned())]]
        );
        assert_eq!(main.ask("select 1 / 0").unwrap(), Err(Refused("22012".to_owned())));
        assert_eq!(main.ask("selec").unwrap(), Err(Refused("42601".to_owned())));
        main.query(
            "create table counts (number int primary key, count int); insert into counts values (1, 0)",
        );
        many_at_once(&cluster, &mut main);
        who_waits_keeps_nobody_waiting(&cluster, &mut main);
        cancelled_from_beside(&cluster, &mut main);
        killed_in_the_middle(&cluster, &mut main);
        notifications(&cluster, &mut main);
        much_at_once(&cluster, &mut main);
        let clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
        until_it_is(&mut main, clients, "1");
        // A server that ends reports that where it can; a waiting client does not hang.
        cluster.server.end();
        let error = main.ask("select 1").unwrap_err();
        let gone = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(gone.contains(&error.kind()), "{error}");
    });
}

/// Transactions of many on one row, each with a connection of its own: none is lost.
fn many_at_once(cluster: &Cluster, main: &mut Client<TcpStream>) {
    let address = cluster.server.address();
    let clients = (0..30).map(|number: usize| {
        let address = address.clone();
        spawn(move || {
            let mut client = connect(&address);
            for round in 0..10 {
                let own = number * 100 + round;
                assert_eq!(client.value(&format!("select {own}")), own.to_string());
                client.query("begin");
                let count = client.value("select count from counts where number = 1 for update");
                let next = count.parse::<usize>().unwrap() + 1;
                client.query(&format!("update counts set count = {next} where number = 1; commit"));
            }
        })
    });
    let clients = clients.collect::<Vec<Greenlet<()>>>();
    joinall(&clients);
    clients.into_iter().for_each(|client| client.get().unwrap());
    assert_eq!(main.value("select count from counts"), "300");
}

/// One client holds a lock that others wait for; a client that does not need it is answered at
/// once.
fn who_waits_keeps_nobody_waiting(cluster: &Cluster, main: &mut Client<TcpStream>) {
    main.query("select pg_advisory_lock(1)");
    let order = Rc::new(RefCell::new(Vec::new()));
    let waiting = (0..20).map(|number| {
        let (address, order) = (cluster.server.address(), order.clone());
        spawn(move || {
            connect(&address).query("select pg_advisory_lock_shared(1)");
            order.borrow_mut().push(number);
        })
    });
    let waiting = waiting.collect::<Vec<Greenlet<()>>>();
    let mut other = cluster.connect();
    until_it_is(&mut other, HELD_UP, "20");
    assert!(order.borrow().is_empty());
    assert_eq!(main.value("select pg_advisory_unlock(1)"), "t");
    joinall(&waiting);
    assert_eq!(order.borrow().len(), 20);
}

/// A wait of one client is ended by another, on a connection of its own.
fn cancelled_from_beside(cluster: &Cluster, main: &mut Client<TcpStream>) {
    let client = cluster.connect();
    let key = client.key;
    main.query("select pg_advisory_lock(1)");
    let waiting = spawn(move || {
        let mut client = client;
        let answer = client.ask("select pg_advisory_lock(1)").unwrap();
        (answer, client.value("select 'still here'"))
    });
    until_it_is(main, HELD_UP, "1");
    let mut beside = TcpStream::connect(cluster.server.address()).unwrap();
    let request = [CANCEL, key.0, key.1].map(i32::to_be_bytes).concat();
    beside.write_all(&message(None, &request)).unwrap();
    let (answer, after) = waiting.take().unwrap();
    assert_eq!((answer, after.as_str()), (Err(Refused("57014".to_owned())), "still here"));
    main.query("select pg_advisory_unlock(1)");
}

/// A greenlet that is killed drops its connection, and with it goes what it had not committed.
fn killed_in_the_middle(cluster: &Cluster, main: &mut Client<TcpStream>) {
    let mut client = cluster.connect();
    let asleep = format!("select wait_event from pg_stat_activity where pid = {}", client.key.0);
    let killed = spawn(move || {
        // The server looks after its client while it is busy for it.
        client.query("set client_connection_check_interval = 50");
        client.query("begin; update counts set count = -1");
        client.query("select pg_sleep(1000)");
    });
    while main.query(&asleep) != [[Some("PgSleep".to_owned())]] {
        sleep(Duration::from_millis(1));
    }
    killed.kill();
    assert!(killed.get().is_err_and(|failure| failure.is_exit()));
    // The row is free again as soon as the server has noticed.
    assert_eq!(main.value("update counts set count = count + 1 returning count"), "301");
}

/// A listener gets the notifications of all senders, in their order, once each.
fn notifications(cluster: &Cluster, main: &mut Client<TcpStream>) {
    let mut listener = cluster.connect();
    listener.query("listen news");
    let reading = spawn(move || {
        while listener.notified.len() < 100 {
            // Notifications come without being asked for.
            let (kind, body) = listener.receive().unwrap();
            assert_eq!(kind, b'A');
            let mut rest = &body[4..];
            listener.notified.push((text(&mut rest), text(&mut rest)));
        }
        listener.notified
    });
    for number in 0..100 {
        main.query(&format!("notify news, '{number}'"));
    }
    let heard = reading.take().unwrap();
    assert!(heard.into_iter().eq((0..100).map(|number| ("news".to_owned(), number.to_string()))));
}

/// Some megabytes of rows, to several at once and by a Unix socket too.
fn much_at_once(cluster: &Cluster, main: &mut Client<TcpStream>) {
    const COUNT: usize = 100_000;
    let sum = COUNT * (COUNT + 1) / 2;
    let rows = format!("select number, repeat('x', 20) from generate_series(1, {COUNT}) number");
    let copy = format!("copy ({rows}) to stdout");
    let total = |rows: Rows| {
        let numbers = rows.iter().map(|row| row[0].as_deref().unwrap().split('\t').next().unwrap());
        numbers.map(|number| number.parse::<usize>().unwrap()).sum::<usize>()
    };
    let path = cluster.folder.join(format!(".s.PGSQL.{}", cluster.server.port));
    let by_path = {
        let copy = copy.clone();
        spawn(move || Client::start(UnixStream::connect(path).unwrap()).unwrap().query(&copy))
    };
    let mut other = cluster.connect();
    let by_rows = spawn(move || other.query(&rows));
    assert_eq!(total(main.query(&copy)), sum);
    assert_eq!(total(by_path.take().unwrap()), sum);
    assert_eq!(total(by_rows.take().unwrap()), sum);
}

#[test]
fn psql_and_pgbench_go_through_the_forwarder() {
    with(&["psql"], |programs| {
        let Some(cluster) = Cluster::start(programs) else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let target = cluster.server.address();
        spawn(move || {
            for stream in listener.incoming() {
                let (stream, target) = (stream.unwrap(), target.clone());
                spawn(move || port_forwarder::forward(&stream, &target).is_ok());
            }
        });
        let with_server = |program: &Path| -> Command {
            let mut command = command(program);
            command.env("PGCONNECT_TIMEOUT", "60").args(["-h", "127.0.0.1", "-p", &port, "-U", "ramie"]);
            command
        };
        let psql = |sql: &str| {
            let mut psql = with_server(Path::new("psql"));
            psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", "-"]);
            programs.run_with(&mut psql, sql).text()
        };
        let lines = (0..50_000).map(|number| format!("{number}\n")).collect::<String>();
        let sql = format!(
            "create table lines (line text);\ncopy lines from stdin;\n{lines}\\.\nselect count(*) from lines;\n"
        );
        assert_eq!(psql(&sql), "50000\n");
        assert_eq!(psql("copy lines to stdout;\n"), lines);
        let Some(pgbench) = tool("pgbench") else {
            println!("skipped: no pgbench here");
            return;
        };
        let bench =
            |arguments: &[&str]| programs.run(with_server(&pgbench).args(arguments).arg("postgres")).text();
        bench(&["-i", "-q", "-s", "1"]);
        let report = bench(&["-n", "-c", "10", "-j", "2", "-t", "50"]);
        assert!(report.contains("number of transactions actually processed: 500/500"), "{report}");
        assert_eq!(psql("select count(*) from pgbench_history;\n"), "500\n");
        report.lines().filter(|line| line.starts_with("tps")).for_each(|line| println!("pgbench: {line}"));
    });
}
