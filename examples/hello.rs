//! Three greenlets on one thread: each sleeps, and while it sleeps the others run.
//!
//! ```text
//! cargo run --example hello
//! time cargo run --example hello      # 0.3 seconds, not 0.6
//! ```
//!
//! Ends by itself: yes

use std::time::Duration;

fn main() {
    let greenlets = [3, 1, 2].map(|n| {
        ramie::spawn(move || {
            println!("{n}: hello");
            ramie::sleep(Duration::from_millis(100 * n));
            println!("{n}: slept {} ms", 100 * n);
            n
        })
    });
    println!("main: three greenlets spawned, none has run yet");
    ramie::joinall(&greenlets);

    // `get` would also have waited; it returns the value, or why there is none.
    let sum: u64 = greenlets.iter().map(|greenlet| greenlet.get().expect("none of them fails")).sum();
    println!("main: all joined, the sum is {sum}");
}
