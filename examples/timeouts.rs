//! Ways to end a wait from outside: a timeout of the call, a timeout around a stretch of code, a
//! kill.
//!
//! ```text
//! cargo run --example timeouts
//! cargo doc --open -p ramie      # then look at `Timeout` and `catch`
//! ```
//!
//! Ends by itself: yes

use std::time::Duration;

use ramie::net::TcpListener;
use ramie::sync::Event;
use ramie::{GreenletExit, Timeout, catch, sleep, spawn, with_timeout, yield_now};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

/// Says so when it goes out of scope, however that comes about.
struct Guard(&'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        println!("  {} cleaned up", self.0);
    }
}

fn main() -> std::io::Result<()> {
    ramie::run(|| {
        per_call()?;
        around_code();
        nested();
        kill();
        caught_kill();
        any_exception();
        Ok(())
    })
}

fn per_call() -> std::io::Result<()> {
    println!("A call with a limit of its own returns a value:");
    println!("  Event::wait_timeout: {}", Event::new().wait_timeout(SHORT));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let error = listener.accept_timeout(SHORT).expect_err("no client connects");
    println!("  TcpListener::accept_timeout: {:?}", error.kind());
    Ok(())
}

fn around_code() {
    println!("A timeout around code unwinds it, whatever it waits for, and destructors run:");
    let late = with_timeout(SHORT, || {
        let _guard = Guard("the late one");
        sleep(LONG);
    });
    println!("  late: {late:?}");
    println!("  in time: {:?}", with_timeout(LONG, || 6 * 7));
}

fn nested() {
    println!("Each scope catches its own timeout and no other:");
    let outer = Timeout::new(SHORT);
    let result = outer.scope(|| {
        let inner = with_timeout(LONG, || sleep(LONG));
        println!("  never printed: {inner:?}");
    });
    println!("  the outer one: {result:?}");
}

fn kill() {
    println!("A kill ends a greenlet at its wait. That counts as a good end:");
    let greenlet = spawn(|| {
        let _guard = Guard("the killed one");
        sleep(LONG);
    });
    yield_now();
    greenlet.kill();
    println!("  dead: {}, successful: {}", greenlet.dead(), greenlet.successful());
}

fn caught_kill() {
    println!("It may catch its kill and go on:");
    let greenlet = spawn(|| match catch::<GreenletExit, _>(|| sleep(LONG)) {
        Ok(()) => "slept",
        Err(_exit) => "killed, and lived to tell",
    });
    yield_now();
    greenlet.kill();
    println!("  its value: {:?}", greenlet.get());
}

fn any_exception() {
    println!("Any value that can be printed can be raised, and is found again as the failure:");
    // Failures are reported on stderr by default; here the results are checked instead.
    ramie::get_hub().set_error_handler(Some(std::rc::Rc::new(|_, _| ())));
    let greenlet = spawn(|| sleep(LONG));
    yield_now();
    greenlet.kill_with("out of cheese");
    match greenlet.get() {
        Ok(()) => println!("  slept"),
        Err(failure) => println!("  failed: {failure}"),
    }
    ramie::get_hub().set_error_handler(None);
}
