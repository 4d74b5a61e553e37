//! A process that has no descriptors left: a hub that cannot be made is an error.
#![cfg(unix)]

use std::fs::File;
use std::io;
use std::thread;

use ramie::hub::try_get_hub;
use ramie::{Run, spawn, yield_now};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::util::subprocess::{again, part};

/// Lowers the limit, and takes every descriptor that is left.
fn use_up() -> Vec<File> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

#[test]
fn a_hub_that_cannot_be_made_is_an_error() {
    if part().is_some() {
        let files = use_up();
        let thread = thread::spawn(move || {
            assert!(is_out_of_descriptors(&try_get_hub().unwrap_err()));
            assert!(is_out_of_descriptors(&Run::new().try_run(|| ()).unwrap_err()));
            let spawned = std::panic::catch_unwind(|| drop(spawn(|| ())));
            let text = *spawned.unwrap_err().downcast::<String>().unwrap();
            assert!(text.contains("this thread cannot have a hub: "), "{text}");
            // With descriptors there is one, and it stays.
            drop(files);
            try_get_hub().unwrap();
            let files = use_up();
            assert_eq!(Run::new().try_run(|| spawn(|| 5).get().unwrap()).unwrap(), 5);
            drop(files);
        });
        thread.join().unwrap();
        return println!("done");
    }
    let output = again("no_descriptors::a_hub_that_cannot_be_made_is_an_error", "all");
    assert!(String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
}

/// Threads that end with a greenlet that does not, one after another, in a process of few
/// descriptors.
#[test]
fn an_abandoned_hub_keeps_no_descriptors() {
    if part().is_some() {
        drop(use_up());
        for _ in 0..40 {
            let threads = (0..2).map(|_| {
                thread::spawn(|| {
                    let wait = || loop {
                        let _ = ramie::catch::<ramie::GreenletExit, _>(|| ramie::sync::Event::new().wait());
                    };
                    spawn(wait);
                    yield_now();
                })
            });
            threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        }
        assert_eq!(ramie::hub::abandoned_greenlets(), 80);
        return println!("done");
    }
    let output = again("no_descriptors::an_abandoned_hub_keeps_no_descriptors", "all");
    assert!(String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
}
