//! The shared primitives and remote handles, between the hub and threads that have hubs of their
//! own, or none.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ramie::shared::{Event, Mutex, Semaphore, channel, oneshot};
use ramie::{get_hub, joinall, sleep, spawn, wait_timeout, yield_now};

use super::context::{Context, Counted, Living, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let living = Living::default();
        locks(context, random);
        messages(context, &living, random);
        posts(context, &living, random);
        context.equal("messages", living.count(), 0);
        Ok(())
    })
}

/// Waits for threads without blocking the hub: each has sent its last word.
fn join(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        let ended = ramie::blocking(|| thread.join().is_ok());
        assert!(ended, "a thread of the soak panicked");
    }
}

fn locks(context: &Context, random: &mut Random) {
    let (sum, permits) = (Arc::new(Mutex::new(0_u64)), random.size(3));
    let semaphore = Arc::new(Semaphore::new(permits));
    let (each, number) = (random.below(20), random.size(3));
    let work = |random: &mut Random| {
        let (sum, semaphore, pause) = (sum.clone(), semaphore.clone(), random.pause(200));
        move || {
            for _ in 0..each {
                semaphore.with(|| *sum.lock() += 1);
                sleep(pause);
            }
        }
    };
    let threads: Vec<_> = (0..number).map(|_| thread::spawn(work(random))).collect();
    let greenlets: Vec<_> = (0..number).map(|_| spawn(work(random))).collect();
    let victims: Vec<_> = (0..number)
        .map(|_| {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.with(|| sleep(LIMIT)))
        })
        .collect();
    context.count("kills", kill_some(&victims, random, 1));
    joinall(&greenlets);
    joinall(&victims);
    join(threads);
    context.equal("sum under a shared mutex", *sum.lock(), 2 * each * number as u64);
    context.equal("permits of a shared semaphore", semaphore.counter(), permits);
    context.equal("waiters for a shared semaphore", semaphore.linkcount(), 0);
}

fn messages(context: &Context, living: &Living, random: &mut Random) {
    let (sender, receiver) = channel::bounded::<Counted>(random.below(4) as usize);
    let started = Arc::new(Event::new());
    let (number, each) = (random.size(3), random.below(40));
    let threads: Vec<_> = (0..number)
        .map(|_| {
            let (sender, living, started) = (sender.clone(), living.clone(), started.clone());
            thread::spawn(move || {
                started.wait();
                for _ in 0..each {
                    assert!(sender.send(living.one()).is_ok(), "the receiver waits for all");
                }
            })
        })
        .collect();
    drop(sender);
    let received = Rc::new(Cell::new(0));
    let receivers: Vec<_> = (0..random.size(3))
        .map(|_| {
            let (receiver, received) = (receiver.clone(), received.clone());
            spawn(move || {
                while let Ok(message) = receiver.recv_timeout(LIMIT) {
                    drop(message);
                    received.update(|number: u64| number + 1);
                }
            })
        })
        .collect();
    started.set();
    let ended = wait_timeout(&receivers, LIMIT);
    context.equal("receivers that ended", ended.len(), receivers.len());
    join(threads);
    context.equal("messages between threads", received.get(), each * number as u64);
    context.count("messages", received.get());
}

fn posts(context: &Context, living: &Living, random: &mut Random) {
    let (remote, number) = (get_hub().remote(), random.below(20));
    let (answer, answered) = oneshot::channel::<Counted>();
    let (done, all) = channel::unbounded();
    let thread = {
        let living = living.clone();
        thread::spawn(move || {
            for index in 0..number {
                let (one, done) = (living.one(), done.clone());
                let posted = remote.post(move || {
                    drop(one);
                    // The channel has no limit, so it has room.
                    let _ = done.try_send(index);
                });
                assert!(posted.is_ok(), "the hub of the soak is there");
                if index % 3 == 0 {
                    let spawned = remote.spawn(yield_now);
                    assert!(spawned.is_ok(), "the hub of the soak is there");
                }
            }
            drop(answer.send(living.one()));
        })
    };
    let answer = answered.recv_timeout(LIMIT);
    context.check(answer.is_ok(), || "a thread does not answer".to_owned());
    join(vec![thread]);
    drop(answer);
    let arrived: Vec<u64> = all.iter().collect();
    context
        .check(arrived.iter().copied().eq(0..number), || format!("{} of {number} posts came", arrived.len()));
    context.count("posts", number);
}
