//! Steps on pairs of sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use super::words::Done;
use super::world::{Actor, Thing};
use crate::program::{Op, Step};

/// The number of bytes that a receiving step asks for.
const MOST: usize = 64;

fn error_word(error: &std::io::Error) -> Done {
    Done::word(match error.kind() {
        ErrorKind::TimedOut => "timeout".into(),
        ErrorKind::BrokenPipe => "os EPIPE".into(),
        ErrorKind::ConnectionReset => "os ECONNRESET".into(),
        _ => match error.raw_os_error() {
            Some(9) => "os EBADF".into(),
            Some(number) => format!("os {number}"),
            None => format!("{error}"),
        },
    })
}

impl Actor<'_> {
    pub(super) fn socket_step(&self, step: &Step) -> Done {
        let Some(Thing::Pair(pair)) = self.world.thing(step) else { return Done::unset() };
        let end = &pair[step.n.unwrap_or(0) % 2];
        let time = step.t.map(|t| self.world.time(t));
        let result = match step.op {
            Op::Send => {
                let byte = [u8::try_from(step.v.unwrap_or(0).rem_euclid(256)).unwrap_or(0)];
                end.write_with(time, |mut socket| socket.write(&byte)).map(|_| "ok".to_owned())
            }
            Op::Recv => {
                let mut buffer = [0; MOST];
                end.read_with(time, |mut socket| socket.read(&mut buffer))
                    .map(|read| format!("{:?}", &buffer[..read]))
            }
            _ => {
                end.close();
                // What the other end sees of a close; the descriptor itself goes with the program.
                let _ = end.get_ref().shutdown(Shutdown::Both);
                Ok("ok".to_owned())
            }
        };
        result.map_or_else(|error| error_word(&error), Done::word)
    }
}
