//! Runs a program on ramie and writes its trace.
//!
//! Every program has a thread, and so a hub, of its own. The counterpart is `gevent/runner.py`;
//! a change of one needs a change of the other.

mod blocks;
mod events;
mod greenlets;
mod naming;
mod pools;
mod queues;
mod sockets;
mod words;
mod world;

use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ramie::get_hub;

use crate::coverage::Coverage;
use crate::program::Program;
use words::attempt;
use world::World;

/// The total time that a program has, before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// The last line of a trace that did not come to its end.
pub const HANG: &str = "HANG";

/// The number of times that main joins the hub at the end: each exception that arrives there takes
/// one.
const JOINS: usize = 5;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The trace.
    pub trace: Vec<String>,
    /// Which steps were done in which states.
    pub coverage: Coverage,
}

/// Runs a program in a thread of its own; a time of one in the program takes `tick`.
pub fn run(program: &Program, tick: Duration) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let program = program.clone();
    let thread = thread::Builder::new().name("program".into()).spawn(move || {
        let outcome = run_here(program, tick);
        let _ = sender.send(outcome);
    });
    let thread = thread.expect("a thread can be had");
    match receiver.recv_timeout(PATIENCE) {
        Ok(outcome) => {
            let _ = thread.join();
            outcome
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Outcome { trace: vec![HANG.to_owned()], ..Outcome::default() }
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Outcome { trace: vec!["PANIC".to_owned()], ..Outcome::default() }
        }
    }
}

fn run_here(program: Program, tick: Duration) -> Outcome {
    // A turn of the queue lasts as long as it takes, in both worlds: where the clock ended it would
    // depend on the machine.
    get_hub().set_switch_interval(Duration::from_secs(1000));
    let world = World::new(program, tick);
    let handler = world.clone();
    get_hub().set_error_handler(Some(Rc::new(move |_, failure| {
        if !failure.is_exit() {
            if let Some(exception) = failure.exception() {
                handler.may_be_returned(exception);
            }
            handler.note(format!("error {}", handler.name_of(failure)));
        }
    })));
    let ended = attempt(|| world.run_body(0, 0));
    if let Err(exception) = ended {
        world.note(format!("main ended by {}", world.name(&exception)));
    }
    for _ in 0..JOINS {
        match attempt(|| get_hub().join()) {
            Ok(()) => {
                world.note("joined".to_owned());
                break;
            }
            Err(exception) => world.note(format!("join ended by {}", world.name(&exception))),
        }
    }
    world.describe_end();
    world.over.set(true);
    // Timers of scopes that were never closed would hit main here.
    while attempt(|| get_hub().kill_all(Some(Duration::from_secs(5)))).is_err() {}
    get_hub().set_error_handler(None);
    world.clear()
}
