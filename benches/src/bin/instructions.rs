//! Counts the instructions of a yield, a spawn with its join, a kill, a limit and an echo, and compares them with the
//! record.
//!
//! ```text
//! cargo run --release -p ramie-benches --bin instructions
//! cargo run --release -p ramie-benches --bin instructions -- --record
//! ```
//!
//! The counts are callgrind's, of user code alone, so they do not depend on how busy the machine is: this program runs
//! itself under valgrind, each workload in two sizes, and the difference of the two is that of the work between. What
//! still varies, below a percent, is how often the hub polls, which goes by the clock.
//!
//! The record is `benches/instructions.txt`. A count that has grown by more than 3 percent is a failure; with another
//! compiler than the record's, whose code differs a little, by more than 10. `--record` writes down what is counted
//! now. Without valgrind nothing is counted, and a line says so.
//!
//! * `yield`: one of two greenlets that take turns.
//! * `spawn`: an empty body, made, run, and joined by the main greenlet.
//! * `kill`: one that waits for an event is killed, and its end waited for; with its spawn and its first turn.
//! * `timeout`: a limit on something that needs no time: started and cancelled.
//! * `echo`: 128 bytes over loopback TCP from one greenlet to another of the same hub and back: two writes, two reads
//!   that wait, and the polls for them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{joinall, spawn, with_timeout, yield_now};

/// Something to do so many times.
type Work = fn(u64);

/// Each workload and the two counts that it is run with.
const WORKLOADS: [(&str, Work, u64, u64); 5] = [
    ("yield", yields, 4_000, 104_000),
    ("spawn", spawns, 2_000, 22_000),
    ("kill", kills, 200, 2_200),
    ("timeout", timeouts, 2_000, 22_000),
    ("echo", echoes, 500, 5_500),
];

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str = "\
# Instructions of one piece of work, counted by callgrind; `cargo run --release -p ramie-benches --bin instructions`
# compares with them, and writes them down with `-- --record`. Work, fiber, instructions, compiler.
";

/// The switch that this program was built with. `default` is the one that nobody asks for.
const FIBER: &str = if cfg!(ramie_fiber = "native") {
    "native"
} else if cfg!(ramie_fiber = "corosensei") {
    "corosensei"
} else if cfg!(ramie_fiber = "thread") {
    "thread"
} else {
    "default"
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        // What this program asks itself for, under valgrind.
        ["--run", workload, count] => run(workload, count),
        [] => check(false),
        ["--record"] => check(true),
        _ => Err("the only option is --record".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workload: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let (_, work, ..) = WORKLOADS.iter().find(|(name, ..)| *name == workload).ok_or("no such workload")?;
    work(count.parse()?);
    Ok(())
}

fn yields(count: u64) {
    let member = |_| spawn(move || (0..count / 2).for_each(|_| yield_now()));
    let pair: Vec<_> = (0..2).map(member).collect();
    joinall(&pair);
}

fn spawns(count: u64) {
    (0..count).for_each(|_| spawn(|| black_box(())).join());
}

fn kills(count: u64) {
    let event = Event::new();
    for _ in 0..count {
        let event = event.clone();
        let waiter = spawn(move || event.wait());
        yield_now();
        waiter.kill();
    }
}

fn timeouts(count: u64) {
    let limited = || with_timeout(black_box(Duration::from_secs(10)), || black_box(5));
    (0..count).for_each(|_| assert_eq!(limited(), Ok(5)));
}

fn echoes(count: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let server = spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut buffer = [0; 1024];
        while let Ok(got @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..got]).expect("the client is there");
        }
    });
    let client = spawn(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("it is TCP");
        let mut buffer = [0; 128];
        for _ in 0..count {
            stream.write_all(&buffer).expect("the server is there");
            stream.read_exact(&mut buffer).expect("the server answers");
        }
    });
    assert_eq!(joinall(&[client.as_any().clone(), server.as_any().clone()]).len(), 2);
    assert!(client.successful() && server.successful(), "nothing has failed");
}

/// Counts, prints, and compares or records.
fn check(record: bool) -> Result<(), Box<dyn Error>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind to count with");
        return Ok(());
    }
    let compiler = compiler()?;
    let known = fs::read_to_string(RECORD).unwrap_or_default();
    let mut lines: Vec<String> =
        known.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let mut grown = Vec::new();
    for (name, _, few, many) in WORKLOADS {
        let each = (counted(name, many)? - counted(name, few)?) / (many - few) as f64;
        let head = format!("{name} {FIBER} ");
        let place = lines.iter().position(|line| line.starts_with(&head));
        let new = format!("{head}{each:.1} {compiler}");
        if record {
            match place {
                Some(place) => lines[place] = new,
                None => lines.push(new),
            }
            println!("{name}: {each:.1}");
            continue;
        }
        let Some(old) = place.map(|place| &lines[place][head.len()..]) else {
            println!("{name}: {each:.1}, and no record of it over this fiber");
            continue;
        };
        let (before, its_compiler) = old.split_once(' ').ok_or("the record is not as it should be")?;
        let change = 100.0 * (each / before.parse::<f64>()? - 1.0);
        println!("{name}: {each:.1}, {change:+.1} percent from {before} with {its_compiler}");
        let limit = if its_compiler == compiler { 3.0 } else { 10.0 };
        match change {
            ..-3.0 => println!("{name} has shrunk: record it, so that it stays so"),
            _ if change > limit => grown.push(name),
            _ => {}
        }
    }
    if record {
        lines.sort();
        let mut text = HEAD.to_owned();
        lines.iter().for_each(|line| writeln!(text, "{line}").expect("a string takes it all"));
        fs::write(RECORD, text)?;
    }
    if grown.is_empty() {
        Ok(())
    } else {
        Err(format!("too many more instructions: {}", grown.join(", ")).into())
    }
}

/// `rustc 1.95.0` and the like.
fn compiler() -> Result<String, Box<dyn Error>> {
    let version = Command::new("rustc").arg("--version").output()?.stdout;
    Ok(String::from_utf8(version)?.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The instructions of the whole process.
fn counted(workload: &str, count: u64) -> Result<f64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(std::env::current_exe()?).args(["--run", workload, &count.to_string()]);
    let output = valgrind.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    match line {
        Some((_, collected)) if output.status.success() => Ok(collected.trim().parse()?),
        _ => Err(format!("{workload} under valgrind: {}", said.lines().last().unwrap_or_default()).into()),
    }
}
