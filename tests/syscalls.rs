//! The cost of waiting in system calls, counted by strace.
//!
//! Each test runs itself once more under strace, with a file for each thread, and looks at what the
//! thread of the hub did between two marks that it wrote. Without strace, or where it may not
//! trace, a line says so and nothing is counted.
#![cfg(target_os = "linux")]

mod util;

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{get_hub, joinall, sleep, spawn, yield_now};

use crate::util::subprocess::{again_under, part, stderr};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);

const BEGIN: &str = "-- counted from here --\n";
const END: &str = "-- counted to here --\n";

/// A question mark: a processor on a system without such a call does without.
const TRACED: &str = "trace=read,write,recvfrom,sendto,accept4,epoll_ctl,fcntl,ioctl,?epoll_wait,?epoll_pwait,?epoll_pwait2,?poll";

fn mark(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("stderr takes a line");
}

/// The calls of one thread, a line each.
struct Calls(Vec<String>);

impl Calls {
    /// Returns the number of calls of that name with `what` in their line.
    fn count(&self, name: &str, what: &str) -> usize {
        let is_one = |line: &&String| line.starts_with(&format!("{name}(")) && line.contains(what);
        self.0.iter().filter(is_one).count()
    }

    /// Every kind of poll.
    fn polls(&self) -> usize {
        ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll"].iter().map(|name| self.count(name, "")).sum()
    }

    fn between_marks(self) -> Option<Calls> {
        let at = |mark: &str| self.0.iter().position(|line| line.contains(mark.trim_end()));
        let (begin, end) = (at(BEGIN)?, at(END)?);
        Some(Calls(self.0[begin + 1..end].to_vec()))
    }
}

/// Runs the test of that name under strace. Returns what the thread that wrote the marks did
/// between them, and what all the others did; `None` when nothing can be traced here.
fn traced(test: &str) -> Option<(Calls, Vec<Calls>)> {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("syscalls-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the build's own folder can be written to");
    let strace = |last: &str| {
        let mut strace = Command::new("strace");
        strace.args(["-ff", "-s", "64", "-e", "signal=none", "-e", TRACED, "-o"]);
        strace.arg(folder.join("of")).arg(last);
        strace
    };
    let may = strace("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let output = match may {
        Ok(status) if status.success() => Some(again_under(strace("--"), test, "traced")),
        _ => None,
    };
    let mut counted = None;
    let mut others = Vec::new();
    for entry in fs::read_dir(&folder).expect("it was made just now") {
        let file = entry.expect("it can be listed").path();
        let text = String::from_utf8_lossy(&fs::read(file).expect("strace wrote it")).into_owned();
        // strace lines its results up; one space will do.
        let one_space = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let calls = || Calls(text.lines().map(one_space).collect());
        match calls().between_marks() {
            Some(calls) => counted = Some(calls),
            None => others.push(calls()),
        }
    }
    fs::remove_dir_all(&folder).expect("it was made just now");
    let Some(output) = output else {
        println!("skipped: there is no strace here, or it may not trace");
        return None;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    Some((counted.unwrap_or_else(|| panic!("no marks: {}", stderr(&output))), others))
}

/// One request after another on each of several connections, from another thread, to a server here.
#[test]
fn echo_request_is_one_read_and_one_write() {
    const CONNECTIONS: usize = 4;
    const REQUESTS: usize = 50;
    fn serve() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let connect = |_| net::TcpStream::connect(address).unwrap();
            let mut streams: Vec<_> = (0..CONNECTIONS).map(connect).collect();
            for _ in 0..REQUESTS {
                streams.iter_mut().for_each(|stream| stream.write_all(&[7; 128]).unwrap());
                streams.iter_mut().for_each(|stream| stream.read_exact(&mut [0; 128]).unwrap());
            }
        });
        mark(BEGIN);
        let echo = |mut stream: TcpStream| {
            let mut buffer = [0; 1024];
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    got => stream.write_all(&buffer[..got]).unwrap(),
                }
            }
        };
        let accept = |_| listener.accept().unwrap().0;
        let served: Vec<_> = (0..CONNECTIONS).map(accept).map(|stream| spawn(move || echo(stream))).collect();
        joinall(&served);
        mark(END);
        client.join().unwrap();
    }
    if part().is_some() {
        return within(LIMIT, serve);
    }
    let Some((hub, _)) = traced("echo_request_is_one_read_and_one_write") else { return };
    let requests = CONNECTIONS * REQUESTS;
    assert_eq!(hub.count("recvfrom", ") = 128"), requests);
    assert_eq!(hub.count("sendto", ") = 128"), requests);
    // The end of each connection, and the one read that would have blocked, upon which it is
    // registered. A server with a client that is always ahead of it never meets it.
    assert_eq!(hub.count("recvfrom", ") = 0"), CONNECTIONS);
    let blocked = hub.count("recvfrom", "EAGAIN");
    assert!(blocked <= CONNECTIONS, "{blocked} reads that would block");
    assert_eq!(hub.count("recvfrom", ""), requests + CONNECTIONS + blocked);
    assert_eq!(hub.count("sendto", ""), requests);
    // Besides them the listener is registered, and the waker of the hub, which is made in between
    // the marks.
    let registered = hub.count("epoll_ctl", "EPOLL_CTL_ADD");
    assert!(
        (blocked..=blocked + 2).contains(&registered),
        "{registered} registrations, {blocked} of connections"
    );
    assert_eq!(hub.count("epoll_ctl", "EPOLL_CTL_MOD"), 0);
    // Every poll but the last of each kind brings something: a connection, a request, an end, or
    // that what was registered just now can be written to. The number of events of one poll depends
    // on the scheduling.
    let (polls, most) = (hub.polls(), requests + 3 * CONNECTIONS + registered);
    assert!(polls <= most, "{polls} polls");
    // No other calls: nothing is asked for its state, no thread is woken through the system.
    assert_eq!(hub.count("read", "") + hub.count("write", ""), 0);
}

/// A stream that is accepted on one thread and served on another one, and on the first one again.
#[test]
fn a_stream_changes_its_thread_without_a_change_of_mode() {
    fn serve() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = net::TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(1));
                stream.write_all(&[7; 128]).unwrap();
                stream.read_exact(&mut [0; 128]).unwrap();
            }
        });
        let echo = |mut stream: TcpStream| {
            let mut buffer = [0; 128];
            stream.read_exact(&mut buffer).unwrap();
            stream.write_all(&buffer).unwrap();
            stream.detach().unwrap()
        };
        mark(BEGIN);
        let stream = echo(listener.accept().unwrap().0);
        let there = thread::spawn(move || echo(stream.attach().unwrap()));
        let stream = there.join().unwrap();
        drop(echo(stream.attach().unwrap()));
        mark(END);
        client.join().unwrap();
    }
    if part().is_some() {
        return within(LIMIT, serve);
    }
    let Some((hub, others)) = traced("a_stream_changes_its_thread_without_a_change_of_mode") else { return };
    // It is accepted in the mode that it keeps.
    assert_eq!(hub.count("accept4", "SOCK_NONBLOCK"), hub.count("accept4", ""));
    assert_eq!(hub.count("recvfrom", ") = 128"), 2);
    let there = others
        .iter()
        .find(|calls| calls.count("epoll_ctl", "") > 0 && calls.count("recvfrom", ") = 128") == 1);
    let there = there.expect("a thread that serves by a hub");
    for calls in [&hub, there] {
        assert_eq!(calls.count("fcntl", "F_SETFL") + calls.count("ioctl", "FIONBIO"), 0);
        // It is registered for the read that has to wait, and no longer than it is there.
        let (added, removed) =
            (calls.count("epoll_ctl", "EPOLL_CTL_ADD"), calls.count("epoll_ctl", "EPOLL_CTL_DEL"));
        assert!(removed <= added, "{added} registrations, {removed} ends");
    }
}

/// Many connections that become ready together, again and again.
#[test]
fn poll_is_shared_and_registration_is_once() {
    const PAIRS: usize = 100;
    const ROUNDS: usize = 5;
    fn serve() {
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        let (turn, read) = (Event::new(), Rc::new(Cell::new(0)));
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..PAIRS {
            writers.push(net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let reader = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
            let (mut reader, turn, read) = (reader, turn.clone(), read.clone());
            readers.push(move || {
                // A limit that is not reached is a timer of the hub's, and no call of the system.
                reader.set_read_timeout(Some(LONG)).unwrap();
                for _ in 0..ROUNDS {
                    assert_eq!(reader.read(&mut [0; 64]).unwrap(), 5);
                    read.set(read.get() + 1);
                }
                // Still open, and registered, until the mark is set.
                turn.wait();
            });
        }
        // The hub and its poll are there.
        sleep(Duration::from_millis(1));
        mark(BEGIN);
        let readers: Vec<_> = readers.into_iter().map(spawn).collect();
        for _ in 0..ROUNDS {
            yield_now();
            writers.iter_mut().for_each(|writer| writer.write_all(b"hello").unwrap());
            sleep(Duration::from_millis(1));
        }
        // On a busy machine the last sleep may end before the last readers have run.
        while read.get() < PAIRS * ROUNDS {
            yield_now();
        }
        mark(END);
        turn.set();
        joinall(&readers);
        assert!(readers.iter().all(|reader| reader.successful()));
    }
    if part().is_some() {
        return within(LIMIT, serve);
    }
    let Some((hub, _)) = traced("poll_is_shared_and_registration_is_once") else { return };
    // Each has tried once without result, was registered for it, and from then on waits for the
    // next event at once: what it reads is less than it has room for.
    assert_eq!(hub.count("recvfrom", "EAGAIN"), PAIRS);
    assert_eq!(hub.count("recvfrom", ") = 5"), PAIRS * ROUNDS);
    assert_eq!(hub.count("recvfrom", ""), PAIRS * (ROUNDS + 1));
    assert_eq!(hub.count("epoll_ctl", "EPOLL_CTL_ADD"), PAIRS);
    assert_eq!(hub.count("epoll_ctl", ""), PAIRS);
    // A round is written before the hub polls, so one poll finds all of it. Main's sleep takes
    // another, and a third where the system wakes early; a slow machine may see the end of the
    // sleep first, and polls once more.
    let polls = hub.polls();
    assert!(polls <= 5 * ROUNDS, "{polls} polls for {ROUNDS} rounds of {PAIRS}");
}

/// Posts while the hub sleeps in its poll, and while it is busy.
#[test]
fn posts_of_another_thread_wake_once() {
    const POSTS: usize = 1_000;
    fn serve() {
        let remote = get_hub().remote();
        let (at_work, working) = channel();
        let (done, go_on) = channel::<()>();
        let all = Rc::new(Event::new());
        let set = all.clone();
        let reply = get_hub().reply(move |()| set.set());
        let posting = thread::spawn(move || {
            // The hub sleeps, for all that it knows: it has nothing to do until this thread calls.
            thread::sleep(Duration::from_millis(50));
            mark(BEGIN);
            let block = move || {
                at_work.send(()).expect("the caller waits");
                go_on.recv().expect("the caller answers");
            };
            remote.post(block).expect("the hub lives");
            // Now it is at that, and takes nothing until it is released.
            working.recv().expect("it comes to it");
            for _ in 0..POSTS {
                remote.post(|| ()).expect("the hub lives");
            }
            reply.send(()).expect("the hub lives");
            mark(END);
            done.send(()).expect("the hub waits for it");
        });
        all.wait();
        posting.join().expect("it does not panic");
    }
    if part().is_some() {
        return within(LIMIT, serve);
    }
    let Some((poster, others)) = traced("posts_of_another_thread_wake_once") else { return };
    // One for the hub in its sleep, one for all that came while it was at something else.
    assert_eq!(poster.count("write", ", 8) = 8"), 2);
    assert_eq!(poster.0.len(), 2, "nothing else is called: {:?}", poster.0);
    // The hub does not even read what woke it.
    let reads = |calls: &Calls| calls.count("read", ", 8) = 8");
    assert_eq!(others.iter().map(reads).sum::<usize>(), 0);
}
