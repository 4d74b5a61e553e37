//! The workloads on the least hub. It reads no sockets, so there is no echo.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use ramie_benches::least_hub::{Channel, Event, Greenlet, Hub, Semaphore};

use crate::{BATCH, LIMIT, NAP, ROOM, SLEEPERS};

pub(crate) fn yields(count: u64) {
    Hub::block_on(2, move |main| {
        let member = |_| main.hub().spawn(move |own| (0..count / 2).for_each(|_| own.yield_now()));
        [0, 1].map(member).iter().for_each(|one| main.join(one));
    });
}

pub(crate) fn spawns(count: u64) {
    Hub::block_on(1, move |main| {
        (0..count).for_each(|_| main.join(&main.hub().spawn(|_| black_box(()))));
    });
}

pub(crate) fn batches(count: u64) {
    Hub::block_on(BATCH as usize, move |main| {
        for _ in 0..count / BATCH {
            let members: Vec<_> = (0..BATCH).map(|_| main.hub().spawn(|_| black_box(()))).collect();
            members.iter().for_each(|member| main.join(member));
        }
    });
}

pub(crate) fn kills(count: u64) {
    Hub::block_on(1, move |main| {
        for _ in 0..count {
            let waiter = main.hub().spawn(|own| own.park());
            main.yield_now();
            main.hub().kill(&waiter);
            main.join(&waiter);
        }
    });
}

pub(crate) fn timeouts(count: u64) {
    Hub::block_on(0, move |main| {
        let limited = || main.with_timer(black_box(Duration::from_secs(10)), || black_box(5));
        (0..count).for_each(|_| assert_eq!(limited(), 5));
    });
}

pub(crate) fn timeouts_around_yields(count: u64) {
    Hub::block_on(0, move |main| {
        let limited = || main.with_timer(black_box(Duration::from_secs(10)), || main.yield_now());
        (0..count).for_each(|_| limited());
    });
}

pub(crate) fn sleeps(count: u64) {
    Hub::block_on(SLEEPERS as usize, move |main| {
        for _ in 0..SLEEPERS {
            main.hub().spawn(move |own| (0..count / SLEEPERS).for_each(|_| own.sleep(NAP)));
        }
    });
}

pub(crate) fn events(count: u64) {
    Hub::block_on(2, move |main| {
        let (ours, theirs) = (Rc::new(Event::default()), Rc::new(Event::default()));
        let (their_ours, their_theirs) = (ours.clone(), theirs.clone());
        main.hub().spawn(move |own| {
            for _ in 0..count / 2 {
                their_theirs.wait(own);
                their_theirs.clear();
                their_ours.set(own.hub());
            }
        });
        main.hub().spawn(move |own| {
            for _ in 0..count / 2 {
                theirs.set(own.hub());
                ours.wait(own);
                ours.clear();
            }
        });
    });
}

pub(crate) fn ping_pong(count: u64) {
    Hub::block_on(2, move |main| {
        let (ping, pong) = (Rc::new(Channel::new(1)), Rc::new(Channel::new(1)));
        let (pinged, ponged) = (ping.clone(), pong.clone());
        main.hub().spawn(move |own| {
            for _ in 0..count / 2 {
                let n: u64 = pinged.recv(own);
                pong.send(own, n);
            }
        });
        main.hub().spawn(move |own| {
            for n in 0..count / 2 {
                ping.send(own, n);
                assert_eq!(ponged.recv(own), n);
            }
        });
    });
}

pub(crate) fn channel(count: u64) {
    Hub::block_on(2, move |main| {
        let sender = Rc::new(Channel::new(ROOM));
        let receiver = sender.clone();
        main.hub().spawn(move |own| (0..count).for_each(|n| sender.send(own, n)));
        main.hub().spawn(move |own| (0..count).for_each(|n| assert_eq!(receiver.recv(own), n)));
    });
}

/// Spawns each job behind a semaphore, and returns when all have ended.
fn start(main: &Greenlet<'_>, count: u64, ended: impl Fn(&Greenlet<'_>, u64, u64) + Clone + 'static) {
    let room = Rc::new(Semaphore::new(LIMIT));
    for job in 0..count {
        room.acquire(main);
        let (theirs, ended) = (room.clone(), ended.clone());
        main.hub().spawn(move |own| {
            ended(own, job, black_box(job));
            theirs.release(own.hub());
        });
    }
    (0..LIMIT).for_each(|_| room.acquire(main));
}

pub(crate) fn pool_spawn(count: u64) {
    Hub::block_on(LIMIT + 1, move |main| start(main, count, |_, _, _| ()));
}

pub(crate) fn pool_map(count: u64) {
    Hub::block_on(LIMIT + 1, move |main| {
        let results = Rc::new(RefCell::new(vec![0; count as usize]));
        let places = results.clone();
        start(main, count, move |_, job, result| places.borrow_mut()[job as usize] = result);
        assert_eq!(results.borrow().iter().sum::<u64>(), count * (count - 1) / 2);
    });
}

pub(crate) fn pool_imap_unordered(count: u64) {
    Hub::block_on(LIMIT + 2, move |main| {
        let results = Rc::new(Channel::new(usize::MAX));
        let (sender, sum) = (results.clone(), Cell::new(0));
        main.hub().spawn(move |own| start(own, count, move |own, _, result| sender.send(own, result)));
        (0..count).for_each(|_| sum.set(sum.get() + results.recv(main)));
        assert_eq!(sum.get(), count * (count - 1) / 2);
    });
}
