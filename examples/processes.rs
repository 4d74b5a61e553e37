//! Two commands at once: each has a greenlet that waits for its output, and neither of them waits
//! for the other.
//!
//! ```text
//! cargo run --example processes
//! ```
//!
//! Press Ctrl-C while it runs, and both commands are killed with the greenlets that own them. On
//! Unix only.
//!
//! Ends by itself: yes

#[cfg(unix)]
fn main() {
    use std::time::{Duration, Instant};

    use ramie::process::Command;
    use ramie::{joinall, run, spawn};

    const LIMIT: Duration = Duration::from_secs(30);

    run(|| {
        let start = Instant::now();
        let commands = ["sleep 0.3; uname -s", "sleep 0.3; ls -d /"].map(|script| {
            spawn(move || {
                let output = Command::new("sh").args(["-c", script]).output_timeout(LIMIT)?;
                println!("`{script}` has ended, {}", output.status);
                std::io::Result::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            })
        });
        joinall(&commands);
        for command in commands {
            match command.take() {
                Ok(Ok(text)) => print!("{text}"),
                Ok(Err(error)) => println!("{error}"),
                Err(failure) => println!("{failure}"),
            }
        }
        println!("in {:.1?} altogether", start.elapsed());
    });
}

#[cfg(not(unix))]
fn main() {
    println!("there are no cooperative processes here");
}
