//! A pool of threads for calls that block or compute: greenlets wait for them while others run.
//!
//! ```text
//! cargo run --example thread_pool
//! cargo doc --open -p ramie      # then look at `ThreadPool` and `blocking`
//! ```
//!
//! Ends by itself: yes

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::{Mapping, ThreadPool, blocking, fallible, sleep, spawn};

const NAP: Duration = Duration::from_millis(100);

fn main() {
    let ticks = Rc::new(Cell::new(0));
    let ticking = spawn({
        let ticks = ticks.clone();
        move || {
            loop {
                ticks.set(ticks.get() + 1);
                sleep(Duration::from_millis(10));
            }
        }
    });
    more_jobs_than_threads();
    values_and_failures();
    map();
    borrow();
    ticking.kill();
    println!("A greenlet that does not use the pool ran {} times during the calls.", ticks.get());
}

fn more_jobs_than_threads() {
    let pool = ThreadPool::new(3);
    let start = Instant::now();
    for _ in 0..5 {
        // With std's `sleep`, which stops its thread. There is room for one job more than can run:
        // the fifth one waits here.
        pool.spawn(|| thread::sleep(NAP));
    }
    println!("Room for a fifth nap of {NAP:?} on three threads after {:.0?}.", start.elapsed());
    pool.join();
    println!("All of them over after {:.0?}.", start.elapsed());
}

fn values_and_failures() {
    // Failures are reported on stderr by default; here the results are checked instead.
    ramie::get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
    let pool = ThreadPool::new(2);
    let good = pool.spawn(|| (1..=20).product::<u64>());
    let bad = pool.spawn(fallible(|| "twelve".parse::<u32>()));
    println!("A job's value: {:?}", good.get());
    match bad.get() {
        Ok(number) => println!("{number}"),
        Err(failure) => println!("A job's failure: {failure}"),
    }
    ramie::get_hub().set_error_handler(None);
}

fn map() {
    let pool = ThreadPool::new(4);
    let words = ["green", "threads", "and", "plain", "ones"];
    let lengths = pool.imap(words, |word| {
        thread::sleep(NAP / 10);
        word.len()
    });
    let lengths = lengths.collect::<Result<Vec<_>, _>>();
    println!("In the order of the inputs: {lengths:?}");
}

fn borrow() {
    let mut numbers = (0..200_000_u64).map(|number| number * 7919 % 200_003).collect::<Vec<_>>();
    // On a thread of the pool that all share, and in this very frame's memory.
    let smallest = blocking(|| {
        numbers.sort_unstable();
        &numbers[..3]
    });
    println!("Sorted elsewhere: {smallest:?}");
}
