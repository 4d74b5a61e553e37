//! Messages between two.
//!
//! * `ping-pong`: one message of those that go there and back, through channels with room for one:
//!   one message, one wait, one switch.
//! * `channel`: one message through a channel with room for so many, from one sender to one
//!   receiver, of 100,000.
//!
//! may's channels have no limit, so there no sender waits for room; Boost.Fiber's have room for a
//! power of two, less one: 1 and 127. Threads use `std::sync::mpsc`. Making the channels and the two
//! is not in it.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::least_hub::{self, Channel};
use crate::measure::cost;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const PING_PONG: Workload = Workload {
    name: "ping-pong",
    what: "a message of those that go to another and back, through channels with room for one",
    unit: "ns",
    sizes: &[0],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", |_| ramie_ping_pong()),
        ("least-hub", |_| least_ping_pong()),
        ("may", |_| may_ping_pong(Workers::Cores)),
        ("may-1", |_| may_ping_pong(Workers::One)),
        ("tokio", |_| tokio_ping_pong::<CurrentThread>()),
        ("tokio-local", |_| tokio_ping_pong::<InLocalSet>()),
        ("smol", |_| smol_ping_pong()),
        ("threads", |_| threads_ping_pong()),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const CHANNEL: Workload = Workload {
    name: "channel",
    what: "a message through a channel with room for so many",
    unit: "ns",
    sizes: &[100],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie_channel),
        ("least-hub", least_channel),
        ("may", |_| may_channel(Workers::Cores)),
        ("may-1", |_| may_channel(Workers::One)),
        ("tokio", tokio_channel::<CurrentThread>),
        ("tokio-local", tokio_channel::<InLocalSet>),
        ("smol", smol_channel),
        ("threads", threads_channel),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

/// A ping-pong goes there and back.
const THERE_AND_BACK: u64 = 2;
const MESSAGES: u64 = 100_000;

/// Plays `turns` of ping-pong through whatever sends and receives.
macro_rules! play {
    ($turns:expr, $n:ident => $send:expr, $receive:expr) => {{
        let start = Instant::now();
        for $n in 0..$turns {
            $send.expect("the echo is there");
            black_box::<u64>($receive.expect("the echo is there"));
        }
        start.elapsed()
    }};
}

fn ramie_ping_pong() -> f64 {
    cost(THERE_AND_BACK, |turns| {
        let (ping, pinged) = ramie::channel::bounded(1);
        let (pong, ponged) = ramie::channel::bounded(1);
        let echo =
            ramie::spawn(move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for")));
        let play = ramie::spawn(move || play!(turns, n => ping.send(n), ponged.recv()));
        let took = play.get().expect("it is not killed");
        echo.join();
        took
    })
}

fn ramie_channel(room: u64) -> f64 {
    cost(MESSAGES, |batches| {
        let (sender, receiver) = ramie::channel::bounded(room as usize);
        let start = Instant::now();
        ramie::spawn(move || (0..batches * MESSAGES).for_each(|n| sender.send(n).expect("it is received")));
        let receiving = ramie::spawn(move || black_box(receiver.iter().fold(0, u64::wrapping_add)));
        receiving.join();
        start.elapsed()
    })
}

fn least_ping_pong() -> f64 {
    cost(THERE_AND_BACK, |turns| {
        least_hub::run(move |main| {
            let ping = Rc::new(Channel::new(main.hub, 1));
            let pong = Rc::new(Channel::new(main.hub, 1));
            let (pinged, ponged) = (ping.clone(), pong.clone());
            let echo = main.hub.spawn(move |current| {
                for _ in 0..turns {
                    let n: u64 = pinged.receive(current);
                    ponged.send(current, n);
                }
            });
            let start = Instant::now();
            for n in 0..turns {
                ping.send(main, n);
                black_box(pong.receive(main));
            }
            let took = start.elapsed();
            main.join(echo);
            took
        })
    })
}

fn least_channel(room: u64) -> f64 {
    cost(MESSAGES, |batches| {
        least_hub::run(move |main| {
            let channel = Rc::new(Channel::new(main.hub, room as usize));
            let receiver = channel.clone();
            let start = Instant::now();
            main.hub.spawn(move |current| (0..batches * MESSAGES).for_each(|n| channel.send(current, n)));
            let receiving = main.hub.spawn(move |current| {
                let receive = |sum: u64, _| sum.wrapping_add(receiver.receive(current));
                black_box((0..batches * MESSAGES).fold(0, receive));
            });
            main.join(receiving);
            start.elapsed()
        })
    })
}

fn may_ping_pong(workers: Workers) -> f64 {
    on_may(workers, || {
        cost(THERE_AND_BACK, |turns| {
            let (ping, pinged) = may::sync::mpsc::channel();
            let (pong, ponged) = may::sync::mpsc::channel();
            let echo =
                may::go!(move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for")));
            let play = may::go!(move || play!(turns, n => ping.send(n), ponged.recv()));
            let took = play.join().expect("it does not panic");
            echo.join().expect("it does not panic");
            took
        })
    })
}

fn may_channel(workers: Workers) -> f64 {
    on_may(workers, || {
        cost(MESSAGES, |batches| {
            let (sender, receiver) = may::sync::mpsc::channel();
            let start = Instant::now();
            let send = move || (0..batches * MESSAGES).for_each(|n| sender.send(n).expect("it is received"));
            let sending = may::go!(send);
            let receiving = may::go!(move || black_box(receiver.iter().fold(0, u64::wrapping_add)));
            receiving.join().expect("it does not panic");
            sending.join().expect("it does not panic");
            start.elapsed()
        })
    })
}

fn tokio_ping_pong<T: Tokio>() -> f64 {
    cost(THERE_AND_BACK, |turns| {
        T::block_on(async {
            let (ping, mut pinged) = tokio::sync::mpsc::channel(1);
            let (pong, mut ponged) = tokio::sync::mpsc::channel(1);
            T::spawn(async move {
                while let Some(n) = pinged.recv().await {
                    let n: u64 = n;
                    pong.send(n).await.expect("it is waited for");
                }
            });
            let play = async move { play!(turns, n => ping.send(n).await, ponged.recv().await) };
            T::spawn(play).await.expect("it is not aborted")
        })
    })
}

fn tokio_channel<T: Tokio>(room: u64) -> f64 {
    cost(MESSAGES, |batches| {
        T::block_on(async move {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(room as usize);
            let start = Instant::now();
            T::spawn(async move {
                for n in 0..batches * MESSAGES {
                    sender.send(n).await.expect("it is received");
                }
            });
            let receiving = T::spawn(async move {
                let mut sum = 0_u64;
                while let Some(n) = receiver.recv().await {
                    sum = sum.wrapping_add(n);
                }
                black_box(sum)
            });
            receiving.await.expect("it is not aborted");
            start.elapsed()
        })
    })
}

fn smol_ping_pong() -> f64 {
    cost(THERE_AND_BACK, |turns| {
        on_smol(async |executor| {
            let (ping, pinged) = smol::channel::bounded(1);
            let (pong, ponged) = smol::channel::bounded(1);
            let echo = executor.spawn(async move {
                while let Ok(n) = pinged.recv().await {
                    let n: u64 = n;
                    pong.send(n).await.expect("it is waited for");
                }
            });
            let play = async move { play!(turns, n => ping.send(n).await, ponged.recv().await) };
            let took = executor.spawn(play).await;
            echo.await;
            took
        })
    })
}

fn smol_channel(room: u64) -> f64 {
    cost(MESSAGES, |batches| {
        on_smol(async |executor| {
            let (sender, receiver) = smol::channel::bounded(room as usize);
            let start = Instant::now();
            let sending = executor.spawn(async move {
                for n in 0..batches * MESSAGES {
                    sender.send(n).await.expect("it is received");
                }
            });
            let receiving = executor.spawn(async move {
                let mut sum = 0_u64;
                while let Ok(n) = receiver.recv().await {
                    sum = sum.wrapping_add(n);
                }
                black_box(sum)
            });
            receiving.await;
            sending.await;
            start.elapsed()
        })
    })
}

/// Runs `other` on a thread of its own and `measured` on this one.
fn beside_a_thread(other: impl FnOnce() + Send + 'static, measured: impl FnOnce() -> Duration) -> Duration {
    let other = thread::spawn(other);
    let took = measured();
    other.join().expect("it does not panic");
    took
}

fn threads_ping_pong() -> f64 {
    cost(THERE_AND_BACK, |turns| {
        let (ping, pinged) = mpsc::sync_channel(1);
        let (pong, ponged) = mpsc::sync_channel(1);
        let echo = move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for"));
        beside_a_thread(echo, move || play!(turns, n => ping.send(n), ponged.recv()))
    })
}

fn threads_channel(room: u64) -> f64 {
    cost(MESSAGES, |batches| {
        let (sender, receiver) = mpsc::sync_channel(room as usize);
        let send = move || (0..batches * MESSAGES).for_each(|n| sender.send(n).expect("it is received"));
        beside_a_thread(send, || {
            let start = Instant::now();
            black_box(receiver.iter().fold(0, u64::wrapping_add));
            start.elapsed()
        })
    })
}
