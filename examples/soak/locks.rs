//! Semaphores and locks, with owners and waiters that are killed: each permit comes back.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use ramie::sync::{Barrier, BoundedSemaphore, Condvar, Mutex, RLock, RwLock, Semaphore, WaitGroup};
use ramie::{Greenlet, joinall, sleep, spawn, with_timeout};

use super::context::{Context, Random, kill_some};

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        permits(context, random);
        mutexes(context, random);
        readers_and_writers(context, random);
        meetings(context, random);
        Ok(())
    })
}

/// Spawns greenlets that run a body with random numbers of their own.
fn crowd(random: &mut Random, most: u64, body: impl Fn(&mut Random) + 'static) -> Vec<Greenlet<()>> {
    let body = Rc::new(body);
    let one = |_| {
        let (body, mut random) = (body.clone(), random.fork());
        spawn(move || body(&mut random))
    };
    (0..1 + most as usize).map(one).collect()
}

fn permits(context: &Context, random: &mut Random) {
    let permits = random.size(4);
    let semaphore = Rc::new(Semaphore::new(permits));
    let bounded = Rc::new(BoundedSemaphore::new(permits));
    let holders = crowd(random, 15, {
        let (semaphore, bounded, context) = (semaphore.clone(), bounded.clone(), context.clone());
        move |random| {
            for _ in 0..random.size(4) {
                let pause = random.pause(500);
                match random.below(3) {
                    0 => semaphore.with(|| sleep(pause)),
                    1 => bounded.with(|| sleep(pause)),
                    _ => drop(with_timeout(random.pause(800), || semaphore.with(|| sleep(pause)))),
                }
                context.count("permits taken", 1);
            }
        }
    });
    context.count("kills", kill_some(&holders, random, 5));
    joinall(&holders);
    context.equal("permits of a semaphore", semaphore.counter(), permits);
    context.equal("permits of a bounded semaphore", bounded.counter(), permits);
    context.equal("waiters for a semaphore", semaphore.linkcount(), 0);
}

fn mutexes(context: &Context, random: &mut Random) {
    let (mutex, lock) = (Rc::new(Mutex::new(0_u64)), Rc::new(RLock::new()));
    let changes = Rc::new(Cell::new(0));
    let owners = crowd(random, 15, {
        let (mutex, lock, changes) = (mutex.clone(), lock.clone(), changes.clone());
        move |random| {
            for _ in 0..random.size(4) {
                let pause = random.pause(300);
                if let Some(mut number) = mutex.lock_timeout(random.pause(3_000)) {
                    *number += 1;
                    changes.update(|number| number + 1);
                    sleep(pause);
                }
                let _outer = lock.lock();
                let _inner = lock.lock();
                sleep(pause);
            }
        }
    });
    context.count("kills", kill_some(&owners, random, 5));
    joinall(&owners);
    context.check(!mutex.is_locked() && !lock.locked(), || "a lock has no owner and is locked".to_owned());
    context.equal("changes under a mutex", *mutex.lock(), changes.get());
}

fn readers_and_writers(context: &Context, random: &mut Random) {
    let lock = Rc::new(RwLock::new(0_u64));
    let all = crowd(random, 15, {
        let (lock, context) = (lock.clone(), context.clone());
        move |random| {
            let pause = random.pause(500);
            if random.once_in(3) {
                let mut value = lock.write();
                *value += 1;
                let before = *value;
                sleep(pause);
                context.check(before == *value, || "two writers wrote side by side".to_owned());
            } else {
                let value = lock.read();
                let before = *value;
                sleep(pause);
                context.check(before == *value, || "a writer wrote beside a reader".to_owned());
            }
        }
    });
    context.count("kills", kill_some(&all, random, 5));
    joinall(&all);
    context.check(lock.try_write().is_some(), || "a lock without an owner is not available".to_owned());
}

fn meetings(context: &Context, random: &mut Random) {
    let number = random.size(8);
    let (barrier, group) = (Rc::new(Barrier::new(number)), WaitGroup::new());
    let pair = Rc::new((Mutex::new(0), Condvar::new()));
    let leaders = Rc::new(Cell::new(0));
    let all: Vec<_> = (0..number)
        .map(|_| {
            let (barrier, group, pair, leaders) =
                (barrier.clone(), group.clone(), pair.clone(), leaders.clone());
            let pause = random.pause(1_000);
            spawn(move || {
                sleep(pause);
                if barrier.wait().is_leader() {
                    leaders.set(leaders.get() + 1);
                }
                let (arrived, all_arrived) = &*pair;
                let mut arrived = arrived.lock();
                *arrived += 1;
                all_arrived.notify_all();
                let _arrived = all_arrived.wait_while(arrived, |arrived| *arrived < number);
                drop(group);
            })
        })
        .collect();
    let waited = with_timeout(Duration::from_secs(20), || group.wait());
    context.check(waited.is_ok(), || "a wait group does not end".to_owned());
    joinall(&all);
    context.equal("leaders of a barrier", leaders.get(), 1);
    context.count("meetings", 1);
}
