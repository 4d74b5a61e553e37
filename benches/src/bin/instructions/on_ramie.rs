//! The workloads on ramie.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use ramie::channel::bounded;
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{Mapping, Pool, joinall, sleep, spawn, with_timeout, yield_now};

use crate::{BATCH, LIMIT, NAP, ROOM, SLEEPERS};

pub(crate) fn yields(count: u64) {
    let member = |_| spawn(move || (0..count / 2).for_each(|_| yield_now()));
    let pair: Vec<_> = (0..2).map(member).collect();
    joinall(&pair);
}

pub(crate) fn spawns(count: u64) {
    (0..count).for_each(|_| spawn(|| black_box(())).join());
}

pub(crate) fn batches(count: u64) {
    for _ in 0..count / BATCH {
        let members: Vec<_> = (0..BATCH).map(|_| spawn(|| black_box(()))).collect();
        members.iter().for_each(|member| member.join());
    }
}

pub(crate) fn kills(count: u64) {
    let event = Event::new();
    for _ in 0..count {
        let event = event.clone();
        let waiter = spawn(move || event.wait());
        yield_now();
        waiter.kill();
    }
}

pub(crate) fn timeouts(count: u64) {
    let limited = || with_timeout(black_box(Duration::from_secs(10)), || black_box(5));
    (0..count).for_each(|_| assert_eq!(limited(), Ok(5)));
}

pub(crate) fn timeouts_around_yields(count: u64) {
    let limited = move || {
        for _ in 0..count {
            with_timeout(black_box(Duration::from_secs(10)), yield_now).expect("it takes no time");
        }
    };
    spawn(limited).join();
}

pub(crate) fn sleeps(count: u64) {
    let sleeper = |_| spawn(move || (0..count / SLEEPERS).for_each(|_| sleep(NAP)));
    let sleepers: Vec<_> = (0..SLEEPERS).map(sleeper).collect();
    joinall(&sleepers);
}

pub(crate) fn events(count: u64) {
    let (ours, theirs) = (Event::new(), Event::new());
    let (their_ours, their_theirs) = (ours.clone(), theirs.clone());
    let there = spawn(move || {
        for _ in 0..count / 2 {
            their_theirs.wait();
            their_theirs.clear();
            their_ours.set();
        }
    });
    let here = spawn(move || {
        for _ in 0..count / 2 {
            theirs.set();
            ours.wait();
            ours.clear();
        }
    });
    joinall(&[there, here]);
}

pub(crate) fn ping_pong(count: u64) {
    let (ping, pinged) = bounded(1);
    let (pong, ponged) = bounded(1);
    let echo = spawn(move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for")));
    let play = spawn(move || {
        for n in 0..count / 2 {
            ping.send(n).expect("the echo is there");
            assert_eq!(ponged.recv(), Ok(n));
        }
    });
    joinall(&[echo, play]);
}

pub(crate) fn channel(count: u64) {
    let (sender, receiver) = bounded(ROOM);
    let sending = spawn(move || (0..count).for_each(|n| sender.send(n).expect("it is received")));
    let receiving = spawn(move || assert_eq!(receiver.iter().count() as u64, count));
    joinall(&[sending, receiving]);
}

pub(crate) fn pool_spawn(count: u64) {
    let pool = Pool::new(LIMIT);
    for job in 0..count {
        pool.spawn(move || black_box(job));
    }
    pool.join();
}

pub(crate) fn pool_map(count: u64) {
    let results = Pool::new(LIMIT).map(0..count, black_box).expect("no job fails");
    assert_eq!(results.len() as u64, count);
}

pub(crate) fn pool_imap_unordered(count: u64) {
    let results = Pool::new(LIMIT).imap_unordered(0..count, black_box);
    assert_eq!(results.map(|result| result.expect("no job fails")).count() as u64, count);
}

pub(crate) fn echoes(count: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let server = spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut buffer = [0; 1024];
        while let Ok(got @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..got]).expect("the client is there");
        }
    });
    let client = spawn(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("it is TCP");
        let mut buffer = [0; 128];
        for _ in 0..count {
            stream.write_all(&buffer).expect("the server is there");
            stream.read_exact(&mut buffer).expect("the server answers");
        }
    });
    assert_eq!(joinall(&[client.as_any().clone(), server.as_any().clone()]).len(), 2);
    assert!(client.successful() && server.successful(), "nothing has failed");
}
