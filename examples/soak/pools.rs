//! Pools and groups: slots, members that are killed, mappings that are left in the middle.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use ramie::{Group, Mapping, Pool, joinall, sleep, spawn, with_timeout};

use super::context::{Context, Living, Random, kill_some};

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let living = Living::default();
        members(context, &living, random);
        mappings(context, &living, random);
        group(context, &living, random);
        context.equal("members", living.count(), 0);
        Ok(())
    })
}

fn members(context: &Context, living: &Living, random: &mut Random) {
    let size = random.size(8);
    let (pool, most, running) = (Pool::new(size), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let spawners: Vec<_> = (0..random.size(4))
        .map(|_| {
            let (pool, living, most, running) = (pool.clone(), living.clone(), most.clone(), running.clone());
            let mut random = random.fork();
            spawn(move || {
                let mut members = Vec::new();
                for _ in 0..random.size(20) {
                    let (most, running, pause) = (most.clone(), running.clone(), random.pause(1_000));
                    let one = living.one();
                    members.push(pool.spawn(move || {
                        let _one = one;
                        let _running = Running::new(&running);
                        most.set(most.get().max(running.get()));
                        sleep(pause);
                    }));
                    let _killed = kill_some(&members[members.len() - 1..], &mut random, 10);
                }
                members.len() as u64
            })
        })
        .collect();
    // A killed spawner may wait for a slot, which stays free.
    context.count("spawners killed", kill_some(&spawners, random, 8));
    joinall(&spawners);
    context.count("members", spawners.iter().filter_map(|spawner| spawner.value()).sum());
    if random.once_in(4) {
        pool.kill();
    }
    let _refused = pool.try_spawn(|| ());
    context.check(pool.join_timeout(Duration::from_secs(20)), || "members of a pool do not end".to_owned());
    context.equal("free slots of a pool", pool.free_count(), size);
    context.equal("members of a pool", pool.len(), 0);
    context.check(most.get() <= size, || format!("{} members ran in {size} slots", most.get()));
}

/// Counts a member while it runs.
struct Running<'a>(&'a Cell<usize>);

impl<'a> Running<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Running(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn mappings(context: &Context, living: &Living, random: &mut Random) {
    let size = random.size(6);
    let pool = Pool::new(size);
    let number = random.below(40);
    let pauses: Vec<_> = (0..number).map(|_| random.pause(500)).collect();
    let work = {
        let (living, pauses) = (living.clone(), pauses.clone());
        move |index: u64| {
            let _one = living.one();
            sleep(pauses[index as usize]);
            index * index
        }
    };
    let right: u64 = (0..number).map(|index| index * index).sum();
    let sum = pool.map(0..number, work.clone()).map(|squares| squares.iter().sum::<u64>());
    context.check(sum.as_ref().is_ok_and(|sum| *sum == right), || format!("map: {sum:?}, not {right}"));
    let sum: Result<u64, _> = pool.imap_unordered(0..number, work.clone()).sum();
    context.check(sum.as_ref().is_ok_and(|sum| *sum == right), || {
        format!("imap_unordered: {sum:?}, not {right}")
    });
    // Left in the middle: by dropping it, and by killing it.
    let mut left = pool.imap(0..number, work.clone());
    let _first = left.next();
    drop(left);
    let mapping = pool.map_async(0..number, work);
    let _late = with_timeout(random.pause(1_000), || mapping.get());
    mapping.kill();
    context
        .check(pool.join_timeout(Duration::from_secs(20)), || "workers of a mapping do not end".to_owned());
    context.equal("free slots after a mapping", pool.free_count(), size);
    context.count("items mapped", 2 * number);
}

fn group(context: &Context, living: &Living, random: &mut Random) {
    let group = Group::new();
    let members: Vec<_> = (0..random.size(30))
        .map(|_| {
            let (one, pause) = (living.one(), random.pause(2_000));
            group.spawn(move || {
                let _one = one;
                sleep(pause);
            })
        })
        .collect();
    context.count("kills", kill_some(&members, random, 10));
    match random.below(3) {
        0 => group.kill(),
        1 => drop(group.join_timeout(random.pause(2_000))),
        _ => group.kill_with_nowait("the soak ends a group"),
    }
    context.check(group.join_timeout(Duration::from_secs(20)), || "members of a group do not end".to_owned());
    context.equal("members of a group", group.len(), 0);
}
