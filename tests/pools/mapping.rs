//! Promises of the mapping functions beyond gevent's: one trait for every place, names for
//! greenlets that wait without end, and calls that give the user's line as their site.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::hub::{Body, LinkId, idle};
use ramie::pool::{Job, Spawn};
use ramie::sync::Event;
use ramie::{
    Builder, Failure, Greenlet, Group, LoopExit, Mapping, Pool, TimedOut, Waitable, catch, fallible,
    getcurrent, raise, sleep, spawn,
};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);

/// A function of a program that is independent of the place where its functions run.
fn total<P>(place: &P, upto: u32) -> u32
where
    P: Mapping + Spawn<ramie::pool::Call<fn(u32) -> u32, u32>>,
{
    let double: fn(u32) -> u32 = |x| x * 2;
    let mapped: u32 = place.map(0..upto, double).unwrap().iter().sum();
    let iterated: u32 = place.imap(0..upto, double).map(Result::unwrap).sum();
    let unordered: u32 = place.imap_unordered(0..upto, double).map(Result::unwrap).sum();
    assert_eq!((mapped, mapped), (iterated, unordered));
    mapped
}

#[test]
fn one_trait_for_every_place() {
    within(LIMIT, || {
        assert_eq!(total(&Group::new(), 10), 90);
        assert_eq!(total(&Pool::new(3), 10), 90);
        assert_eq!((Pool::new(3).size(), Pool::unlimited().size()), (Some(3), None));
        assert_eq!(total(&Pool::unlimited(), 10), 90);
    });
}

#[test]
fn workers_have_the_site_of_the_users_call() {
    within(LIMIT, || {
        let pool = Pool::new(2);
        let site = |()| getcurrent().spawn_site();
        let tried = move |()| Ok::<_, TimedOut>(site(()));
        let first = line!();
        let mut sites = pool.map([()], site).unwrap();
        sites.extend(pool.try_map([()], tried).unwrap());
        sites.extend(pool.imap([()], site).map(Result::unwrap));
        sites.extend(pool.imap_unordered([()], site).map(Result::unwrap));
        sites.push(pool.apply(move || site(())).unwrap());
        sites.push(pool.apply_async(move || site(())).get().unwrap());
        sites.push(pool.map_async([()], site).spawn_site());
        let expected: Vec<_> = (first + 1..=first + 7).map(|line| (file!(), line)).collect();
        let found: Vec<_> = sites.iter().map(|site| (site.file(), site.line())).collect();
        assert_eq!(found, expected);
    });
}

/// A member of a full pool that waits for a greenlet which needs a slot waits without end: only a
/// wait for a mapping is lent a slot. It is reported.
#[test]
fn members_that_wait_for_their_own_pool_are_named() {
    within(LIMIT, || {
        let pool = Pool::with_builder(Some(1), Builder::new().name("the only member"));
        let inner = pool.clone();
        let stuck = pool.spawn(move || inner.map_async([1, 2], |x| x).take().unwrap());
        let exit = catch::<LoopExit, _>(|| stuck.join()).unwrap_err();
        let text = exit.to_string();
        assert!(text.contains("the only member"), "{text}");
        assert!(text.contains(file!()), "{text}");
        assert!(text.contains("Semaphore::acquire"), "{text}");
        // Nothing is lost: the released greenlet continues.
        stuck.kill();
        pool.join();
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn callbacks_see_all_results_before_anybody_else() {
    within(LIMIT, || {
        let seen = Rc::new(Cell::new(0));
        let told = seen.clone();
        let squares = Pool::new(2).map_async_cb(1..=3, |x| x * x, move |all| told.set(all.iter().sum()));
        assert_eq!(seen.get(), 0);
        let observer = spawn({
            let (squares, seen) = (squares.clone(), seen.clone());
            move || (squares.get().unwrap(), seen.get())
        });
        assert_eq!(observer.take().unwrap(), (vec![1, 4, 9], 14));

        let told = seen.clone();
        let failing =
            Pool::new(2).try_map_async_cb(["1", "x"], |text| text.parse::<i32>(), move |_| told.set(-1));
        assert!(failing.get().is_err());
        assert_eq!(seen.get(), 14);

        let mut count = 0;
        let results = Group::new().try_map_cb(["1", "2"], |t| t.parse::<i32>(), |all| count = all.len());
        assert_eq!((results.unwrap(), count), (vec![1, 2], 2));
        assert!(Group::new().try_map_cb(["x"], |t| t.parse::<i32>(), |_| count = 0).is_err());
        assert_eq!(count, 2);
    });
}

#[test]
fn a_deadline_of_next_loses_nothing() {
    within(LIMIT, || {
        let mut naps = Pool::new(1).imap([20, 0], |ms| {
            sleep(Duration::from_millis(ms));
            ms
        });
        assert!(matches!(naps.next_timeout(Instant::now()), Err(TimedOut)));
        assert_eq!(naps.next_timeout(Instant::now() + LONG).unwrap().unwrap().unwrap(), 20);
        assert_eq!(naps.next_timeout(Instant::now() + LONG).unwrap().unwrap().unwrap(), 0);
        assert!(naps.next_timeout(Instant::now()).unwrap().is_none());
    });
}

/// A place of the user's that cannot link the third job.
#[derive(Clone)]
struct Unsound(Group, Rc<Cell<u32>>);

#[derive(Clone)]
struct UnsoundJob(Greenlet<u32>, u32);

impl<B: Body<Value = u32>> Spawn<B> for Unsound {
    type Job = UnsoundJob;

    fn spawn_at(&self, body: B, site: &'static Location<'static>) -> UnsoundJob {
        let number = self.1.replace(self.1.get() + 1);
        UnsoundJob(self.0.spawn_at(body, site), number)
    }

    fn try_spawn_at(&self, body: B, _site: &'static Location<'static>) -> Result<Greenlet<u32>, B> {
        Err(body)
    }

    fn cancel(&self, job: &UnsoundJob) {
        job.0.kill_nowait();
    }

    fn is_inside(&self) -> bool {
        false
    }
}

impl Mapping for Unsound {}

impl Job<u32> for UnsoundJob {
    fn take(&self) -> Result<u32, Failure> {
        self.0.take()
    }
}

impl Waitable for UnsoundJob {
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        if self.1 == 2 {
            raise("no link");
        }
        Waitable::rawlink(&self.0, f)
    }

    fn unlink(&self, id: LinkId) {
        self.0.unlink(id);
    }
}

#[test]
fn a_place_that_fails_fails_the_iteration() {
    within(LIMIT, || {
        let mut squares = Unsound(Group::new(), Rc::default()).imap(0..9, |i: u32| i * i);
        assert_eq!((squares.next().unwrap().unwrap(), squares.next().unwrap().unwrap()), (0, 1));
        let last = squares.next().expect("the failure is the last item");
        assert_eq!(last.unwrap_err().downcast_ref(), Some(&"no link"));
        assert!(squares.next().is_none());
    });
}

/// Even in the turn in which its feeder has been told of room and has not made use of it.
#[test]
fn a_dropped_imap_leaves_no_member_behind() {
    within(LIMIT, || {
        let pool = Pool::new(1);
        let free = Event::new();
        let first = free.clone();
        let naps = pool.imap(0.., move |i: u32| if i == 0 { first.wait() } else { sleep(LONG) });
        idle();
        let member = pool.greenlets().remove(0);
        free.set();
        member.join();
        drop(naps);
        idle();
        assert!(pool.is_empty());
    });
}

/// A function that is in use by many members lives as long as the last of them, and no longer.
#[test]
fn functions_and_inputs_are_dropped() {
    within(LIMIT, || {
        let token = Rc::new(());
        let pool = Pool::new(2);
        let held = token.clone();
        pool.map(vec![token.clone(); 5], move |item| assert!(Rc::ptr_eq(&item, &held))).unwrap();
        let held = token.clone();
        let mut iter = pool.imap(vec![token.clone(); 50], move |item| {
            assert!(Rc::ptr_eq(&item, &held));
            sleep(LONG);
        });
        assert!(iter.next_timeout(Duration::ZERO).is_err());
        drop(iter);
        pool.join();
        let failed = pool.map_async([token.clone()], fallible_token);
        assert!(failed.get().is_err());
        drop(failed);
        sleep(Duration::ZERO);
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

fn fallible_token(_token: Rc<()>) -> u32 {
    spawn(fallible(|| Err::<u32, _>("no"))).get().unwrap()
}
