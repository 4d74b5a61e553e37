//! Blocking calls, pools of threads, files.

use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use ramie::{ThreadPool, blocking, fallible, fs, joinall, spawn, with_timeout};

use super::context::{Context, Living, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("ramie-soak-{}-{:x}", std::process::id(), context.seed));
    fs::create_dir_all(&folder)?;
    context.rounds(|random| {
        let living = Living::default();
        borrowing(context, random);
        jobs(context, &living, random);
        let path = folder.join(random.next().to_string());
        let written = random.some_bytes(30_000);
        fs::write(&path, &written)?;
        context.check(fs::read(&path)? == written, || "a file has other bytes".to_owned());
        fs::remove_file(&path)?;
        context.count("bytes in files", written.len() as u64);
        context.equal("jobs", living.count(), 0);
        Ok::<(), io::Error>(())
    })?;
    fs::remove_dir(&folder)?;
    Ok(())
}

/// Calls that borrow from their caller, some of which is killed or late while the call runs.
fn borrowing(context: &Context, random: &mut Random) {
    let callers: Vec<_> = (0..random.size(4))
        .map(|_| {
            let (mut random, context) = (random.fork(), context.clone());
            spawn(move || {
                let mut numbers: Vec<_> = (0..500).map(|_| random.next()).collect();
                let pause = random.pause(1_000);
                let sorted = with_timeout(random.pause(2_000), || {
                    blocking(|| {
                        thread::sleep(pause);
                        numbers.sort_unstable();
                    });
                });
                context.check(numbers.is_sorted(), || format!("a call was left before its end: {sorted:?}"));
            })
        })
        .collect();
    context.count("kills", kill_some(&callers, random, 4));
    joinall(&callers);
    context.count("blocking calls", callers.len() as u64);
}

fn jobs(context: &Context, living: &Living, random: &mut Random) {
    let pool = ThreadPool::new(random.size(3));
    let number = random.below(20);
    let results: Vec<_> = (0..number)
        .map(|index| {
            let one = living.one();
            pool.spawn(fallible(move || {
                let _one = one;
                if index % 7 == 6 { Err("the seventh fails") } else { Ok(index) }
            }))
        })
        .collect();
    if random.once_in(4) {
        pool.abandon();
    }
    for (index, result) in results.iter().enumerate() {
        let value = result.get_timeout(LIMIT);
        let right = match &value {
            Ok(value) => *value == index as u64,
            Err(error) => !error.is_timeout(),
        };
        context.check(right, || format!("job {index} gives {value:?}"));
    }
    context.check(pool.shutdown_timeout(LIMIT), || "a pool of threads does not end".to_owned());
    context.equal("jobs of a pool", pool.len(), 0);
    context.count("jobs", number);
}
