//! Child processes: with pipes at all ends, killed, too late, left alone.

use std::error::Error;
use std::io;
use std::time::Duration;

use ramie::process::{Command, Stdio};
use ramie::{joinall, sleep, spawn};

use super::context::{Context, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let children: Vec<_> = (0..random.size(3))
            .map(|_| {
                let (mut random, context) = (random.fork(), context.clone());
                spawn(move || {
                    let result = child(&context, &mut random);
                    context.check(result.is_ok(), || format!("a child failed: {result:?}"));
                })
            })
            .collect();
        context.count("kills", kill_some(&children, random, 5));
        joinall(&children);
        context.count("children", children.len() as u64);
        sleep(random.pause(30_000));
        Ok(())
    })
}

fn child(context: &Context, random: &mut Random) -> io::Result<()> {
    match random.below(5) {
        // More than a pipe holds, there and back.
        0 => {
            let text = random.some_bytes(200_000);
            let mut cat = Command::new("cat");
            let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let output = child.communicate_timeout(&text, LIMIT)?;
            context.check(output.stdout == text, || "cat gives other bytes back".to_owned());
        }
        1 => {
            let status = Command::new("sh").args(["-c", "exit 7"]).status_timeout(LIMIT)?;
            context.equal("status", status.code(), Some(7));
        }
        // Too slow: it is killed.
        2 => {
            let late = Command::new("sleep").arg("60").output_timeout(random.pause(20_000));
            context.check(late.is_err(), || "a minute was over within milliseconds".to_owned());
        }
        // Killed by its owner, and waited for.
        3 => {
            let mut child = Command::new("sleep").arg("60").kill_on_drop(true).spawn()?;
            sleep(random.pause(3_000));
            child.handle().kill()?;
            context.check(!child.wait()?.success(), || "a killed child succeeded".to_owned());
        }
        // Dropped while it runs.
        _ => drop(Command::new("sleep").arg("60").kill_on_drop(true).spawn()?),
    }
    Ok(())
}
