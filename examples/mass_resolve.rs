//! Looks up many host names at once: a `Pool` says how many, and a timeout around all of it how
//! long.
//!
//! ```text
//! cargo run --example mass_resolve                                   # names that need no network
//! cargo run --example mass_resolve -- --count 1000                   # 10.com, 11.com and so on
//! cargo run --example mass_resolve -- --names FILE --pool 50 --timeout 5
//! ```
//!
//! Names are looked up by the system's resolver on threads of `ThreadPool::global()`, of which
//! there are 64 unless it is given another size; numbers are only read.
//!
//! Ends by itself: yes

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use ramie::net::ToSocketAddrs;
use ramie::{Pool, ThreadPool, fs, with_timeout};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut names, mut size, mut limit) = (Vec::new(), 20, Duration::from_secs(10));
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("count") => {
                let count: u32 = arguments.value()?.parse()?;
                names.extend((10..).take(count as usize).map(|number| format!("{number}.com")));
            }
            Long("names") => {
                let text = fs::read_to_string(arguments.value()?)?;
                names.extend(text.split_whitespace().map(str::to_owned));
            }
            Long("pool") => size = arguments.value()?.parse()?,
            Long("timeout") => limit = Duration::from_secs_f64(arguments.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if names.is_empty() {
        names.extend((1..=100).flat_map(|number| ["localhost".to_owned(), format!("127.0.0.{number}")]));
        names.extend(["::1", "not a name"].map(str::to_owned));
    }
    if size > ThreadPool::global().maxsize() {
        ThreadPool::global().set_maxsize(size);
    }
    let (found, failed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (all, start) = (names.len(), Instant::now());
    let pool = Pool::new(size);
    let in_time = with_timeout(limit, || {
        for name in names {
            let (found, failed) = (found.clone(), failed.clone());
            // Waits here while the pool is full.
            pool.spawn(move || match (name.as_str(), 80).to_socket_addrs() {
                Ok(addresses) => {
                    found.set(found.get() + 1);
                    if found.get() % 50 == 1 {
                        println!("{name}: {:?}", addresses.map(|address| address.ip()).collect::<Vec<_>>());
                    }
                }
                Err(error) => {
                    failed.set(failed.get() + 1);
                    println!("{name}: {error}");
                }
            });
        }
        pool.join();
    });
    if in_time.is_err() {
        pool.kill();
        println!("the time is over");
    }
    let (found, failed) = (found.get(), failed.get());
    println!(
        "{found} of {all} found, {failed} not, {} unfinished, in {:.0?}",
        all - found - failed,
        start.elapsed()
    );
    Ok(())
}
