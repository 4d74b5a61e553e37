//! Kills, timeouts inside timeouts, scopes that are left, destructors that wait.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use ramie::sync::{AsyncResult, Event};
use ramie::{
    GreenletExit, Timeout, catch, joinall, killall, scope, sleep, spawn, spawn_later, wait_timeout,
    with_timeout, yield_now,
};

use super::context::{Context, Counted, Living, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(20);
const FOREVER: Duration = Duration::from_secs(3_600);

/// A value with a destructor that waits.
struct Late(#[expect(dead_code, reason = "counted until it is dropped")] Counted);

impl Drop for Late {
    fn drop(&mut self) {
        yield_now();
    }
}

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let living = Living::default();
        sleepers(context, &living, random);
        timeouts(context, &living, random);
        scopes(context, &living, random);
        waits(context, random);
        context.equal("values of killed greenlets", living.count(), 0);
        Ok(())
    })
}

fn sleepers(context: &Context, living: &Living, random: &mut Random) {
    let sleepers: Vec<_> = (0..random.size(40))
        .map(|_| {
            let (one, mut random) = (living.one(), random.fork());
            let living = living.clone();
            spawn(move || {
                let _one = one;
                let _late = Late(living.one());
                match random.below(4) {
                    0 => sleep(FOREVER),
                    1 => drop(catch::<GreenletExit, _>(|| sleep(FOREVER))),
                    2 => Event::new().wait(),
                    _ => sleep(random.pause(2_000)),
                }
            })
        })
        .collect();
    let unborn = spawn_later(FOREVER, {
        let one = living.one();
        move || drop(one)
    });
    if random.once_in(2) {
        yield_now();
    }
    let _some = kill_some(&sleepers, random, 4);
    killall(&sleepers);
    unborn.kill();
    context.check(sleepers.iter().all(|sleeper| sleeper.dead()), || "a killed greenlet lives".to_owned());
    context.count("greenlets killed", sleepers.len() as u64 + 1);
}

fn timeouts(context: &Context, living: &Living, random: &mut Random) {
    let greenlets: Vec<_> = (0..random.size(20))
        .map(|_| {
            let (mut random, living, context) = (random.fork(), living.clone(), context.clone());
            spawn(move || {
                let _one = living.one();
                let (short, long) = (random.pause(1_000), random.pause(4_000));
                let outer = Timeout::new(long);
                let result = outer.scope(|| {
                    let _late = Late(living.one());
                    let inner = with_timeout(short, || sleep(random.pause(3_000)));
                    context.count("timeouts", u64::from(inner.is_err()));
                    sleep(random.pause(3_000));
                });
                context.count("timeouts", u64::from(result.is_err()));
                context.check(!outer.pending(), || "a timeout is pending after its scope".to_owned());
            })
        })
        .collect();
    context.count("kills", kill_some(&greenlets, random, 6));
    joinall(&greenlets);
}

fn scopes(context: &Context, living: &Living, random: &mut Random) {
    let mut random = random.fork();
    let (living, context) = (living.clone(), context.clone());
    let parent = spawn({
        let mut random = random.fork();
        move || {
            let mut parts: Vec<_> = (0..random.size(8)).map(|_| (living.one(), 0_u64)).collect();
            let number = parts.len();
            let pauses: Vec<_> = (0..number).map(|_| random.pause(2_000)).collect();
            let result = with_timeout(random.pause(3_000), || {
                scope(|s| {
                    for (part, pause) in parts.iter_mut().zip(&pauses) {
                        s.spawn(|| {
                            sleep(*pause);
                            part.1 += 1;
                        });
                    }
                });
            });
            // Whatever ended the scope, its greenlets are gone and the frame is ours.
            let done = parts.iter().map(|part| part.1).sum::<u64>();
            context.check(result.is_err() || done == number as u64, || {
                format!("{done} of {number} parts are done")
            });
            context.count("scopes", 1);
        }
    });
    if random.once_in(3) {
        sleep(random.pause(2_000));
        parent.kill();
    }
    parent.join();
}

fn waits(context: &Context, random: &mut Random) {
    let (event, result) = (Rc::new(Event::new()), AsyncResult::new());
    let waiters: Vec<_> = (0..random.size(10))
        .map(|_| {
            let (event, result, pause) = (event.clone(), result.clone(), random.pause(2_000));
            spawn(move || event.wait_timeout(pause) || result.wait_timeout(pause))
        })
        .collect();
    context.count("kills", kill_some(&waiters, random, 6));
    if random.once_in(2) {
        event.set();
    } else {
        result.set(1_u32);
    }
    let ended = wait_timeout(&waiters, LIMIT);
    context.equal("waiters that ended", ended.len(), waiters.len());
    context.equal("links of an event", event.linkcount(), 0);
}
