//! A server in a process that has no descriptor left. The limit is the process's own, so this test
//! has a file of its own.
#![cfg(unix)]

mod util;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::ErrorContext;
use ramie::net::TcpStream;
use ramie::server::StreamServer;
use ramie::{get_hub, sleep, yield_now};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::util::footprint::{descriptors, settled};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const EMFILE: i32 = 24;
/// More than are open when it begins, and few enough to take them all.
const MOST: u64 = 100;

fn ask(mut stream: TcpStream) {
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
}

#[test]
fn server_goes_on_when_descriptors_come_back() {
    within(LIMIT, || {
        let codes = Rc::new(RefCell::new(Vec::new()));
        let seen = codes.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context, failure| {
            assert!(matches!(context, ErrorContext::Server(_)), "{context}");
            seen.borrow_mut().push(failure.downcast_ref::<io::Error>().unwrap().raw_os_error());
        })));
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(MOST), maximum: limit.maximum }).unwrap();
        let start = (settled(), descriptors());
        let server =
            StreamServer::bind("127.0.0.1:0", |stream, _| io::copy(&mut &stream, &mut &stream)).unwrap();
        server.set_delays(Duration::from_millis(1), Duration::from_millis(20));
        server.start().unwrap();
        let address = server.address().unwrap();
        ask(TcpStream::connect(address).unwrap());
        yield_now();
        let before = (settled(), descriptors());

        // All are taken but the one with which the client connects.
        let spare = File::open("/dev/null").unwrap();
        let mut all = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            all.push(file);
        }
        assert!(all.len() > 10);
        drop(spare);
        let client = TcpStream::connect(address).unwrap();
        while codes.borrow().len() < 3 {
            sleep(Duration::from_millis(1));
        }
        assert!(codes.borrow().iter().all(|code| *code == Some(EMFILE)));
        assert!(server.started() && server.handlers().is_empty());
        all.truncate(all.len() - 1);
        ask(client);

        // There is room for ten clients and few connections: the others are accepted when those
        // have gone.
        all.truncate(all.len() - 14);
        server.stop_accepting();
        let clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
        server.start().unwrap();
        let reported = codes.borrow().len();
        while codes.borrow().len() == reported {
            sleep(Duration::from_millis(1));
        }
        assert!(server.handlers().len() < 10);
        clients.into_iter().for_each(ask);
        drop(all);
        ask(TcpStream::connect(address).unwrap());
        while (settled(), descriptors()) != before {
            sleep(Duration::from_millis(1));
        }
        assert!(server.stop());
        drop(server);
        assert_eq!((settled(), descriptors()), start);
        setrlimit(Resource::Nofile, limit).unwrap();
    });
}
