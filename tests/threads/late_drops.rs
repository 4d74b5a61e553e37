//! Values in thread-locals are dropped when the hub of the thread has ended: no destructor asks for
//! a hub.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use ramie::hub::has_hub;
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::queue::Queue;
use ramie::server::StreamServer;
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::sync::{Barrier, BoundedSemaphore, Condvar, RLock, RwLock, WaitGroup};
use ramie::tls::{self, Acceptor, TlsStream};
use ramie::{
    Group, Mapping, Pool, ThreadPool, Timeout, Waitable, channel, fs, get_hub, raise, shared, sleep, spawn,
    sync, yield_now,
};

use crate::util::certificate::Certificate;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

/// The values that a test keeps to the end of its thread.
struct Kept {
    name: Cell<&'static str>,
    value: RefCell<Option<Box<dyn Any>>>,
}

/// The dropped values, each with two flags: there was a hub before, and after the drop.
static DROPPED: Mutex<Vec<(&str, bool, bool)>> = Mutex::new(Vec::new());

impl Drop for Kept {
    fn drop(&mut self) {
        let before = has_hub();
        drop(self.value.take());
        DROPPED.lock().unwrap().push((self.name.get(), before, has_hub()));
    }
}

thread_local! {
    static KEPT: Kept = const { Kept { name: Cell::new(""), value: RefCell::new(None) } };
}

/// A link stays where it is when its hub ends.
fn linked<W: Waitable + 'static>(object: W) -> Box<dyn Any> {
    object.rawlink(Box::new(|| ()));
    Box::new(object)
}

/// A guard needs an object that outlives it.
fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn ignore<T>(_: T) {}

fn tls_pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let certificate = Certificate::new();
    let (client, server) = (certificate.client(), certificate.server());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
    let near = tls::connect(near, "localhost", client).unwrap();
    (near, accepted.take().unwrap())
}

type Make = fn() -> Box<dyn Any>;

/// Values with a destructor, each with greenlets that wait for it.
const VALUES: &[(&str, Make)] = &[
    ("channel::Sender", || {
        let (sender, receiver) = channel::unbounded::<u8>();
        spawn(move || receiver.recv());
        Box::new(sender)
    }),
    ("channel::Receiver", || {
        let (sender, receiver) = channel::bounded::<u8>(0);
        spawn(move || sender.send(1));
        Box::new(receiver)
    }),
    ("shared::channel::Sender", || {
        let (sender, receiver) = shared::channel::unbounded::<u8>();
        spawn(move || receiver.recv());
        Box::new(sender)
    }),
    ("shared::channel::Receiver", || {
        let (sender, receiver) = shared::channel::bounded::<u8>(0);
        spawn(move || sender.send(1));
        Box::new(receiver)
    }),
    ("shared::oneshot::Sender", || {
        let (sender, receiver) = shared::oneshot::channel::<u8>();
        spawn(move || receiver.recv());
        Box::new(sender)
    }),
    ("shared::oneshot::Receiver", || Box::new(shared::oneshot::channel::<u8>().1)),
    ("shared::MutexGuard", || {
        let mutex = leaked(shared::Mutex::new(5));
        let guard = mutex.lock();
        spawn(|| ignore(mutex.lock()));
        Box::new(guard)
    }),
    ("shared::Event", || {
        let event = shared::Event::new();
        let waits = event.clone();
        spawn(move || waits.wait());
        Box::new(event)
    }),
    ("sync::MutexGuard", || {
        let mutex = leaked(sync::Mutex::new(5));
        let guard = mutex.lock();
        spawn(|| ignore(mutex.lock()));
        Box::new(guard)
    }),
    ("sync::RwLockReadGuard", || {
        let lock = leaked(RwLock::new(5));
        let guard = lock.read();
        spawn(|| ignore(lock.write()));
        Box::new(guard)
    }),
    ("sync::RwLockWriteGuard", || {
        let lock = leaked(RwLock::new(5));
        let guard = lock.write();
        spawn(|| ignore(lock.read()));
        spawn(|| ignore(lock.write()));
        Box::new(guard)
    }),
    ("sync::RLockGuard", || {
        let lock = leaked(RLock::new());
        let guard = lock.lock();
        spawn(|| ignore(lock.lock()));
        Box::new(guard)
    }),
    ("sync::WaitGroup", || {
        let group = WaitGroup::new();
        let waits = group.clone();
        spawn(move || waits.wait());
        Box::new(group)
    }),
    ("sync::Barrier", || {
        let barrier = Rc::new(Barrier::new(2));
        let waits = barrier.clone();
        spawn(move || ignore(waits.wait()));
        Box::new(barrier)
    }),
    ("sync::Condvar", || Box::new(Condvar::new())),
    ("sync::BoundedSemaphore", || linked(BoundedSemaphore::new(1))),
    ("Semaphore", || {
        let semaphore = Semaphore::new(0);
        let waits = semaphore.clone();
        spawn(move || waits.acquire());
        linked(semaphore)
    }),
    ("Event", || linked(Event::new())),
    ("AsyncResult", || linked(AsyncResult::<u8>::new())),
    ("Queue", || {
        let queue = Queue::<u8>::unbounded();
        let waits = queue.clone();
        spawn(move || waits.get());
        Box::new(queue)
    }),
    ("Greenlet", || {
        let greenlet = spawn(|| sleep(LONG));
        greenlet.rawlink(|_| ());
        let joined = greenlet.clone();
        spawn(move || joined.join());
        Box::new(greenlet)
    }),
    ("failed Greenlet", || Box::new(spawn(|| -> () { raise("failed") }))),
    ("Timeout", || {
        let timeout = Timeout::new(LONG);
        timeout.start();
        Box::new(timeout)
    }),
    ("Watcher", || {
        let watcher = get_hub().timer(LONG, LONG);
        watcher.start(|| ()).unwrap();
        Box::new(watcher)
    }),
    ("Waiter and Waker", || Box::new(get_hub().waiter())),
    ("Waker", || {
        let (waiter, waker) = get_hub().waiter();
        spawn(move || waiter.wait());
        Box::new(waker)
    }),
    ("KeepAlive, Remote and Callback", || {
        Box::new((get_hub().keep_alive(), get_hub().remote(), get_hub().run_callback(|| ())))
    }),
    ("Reply", || Box::new(get_hub().reply(|_: u8| ()))),
    ("Group", || {
        let group = Group::new();
        group.spawn(|| sleep(LONG));
        let joined = group.clone();
        spawn(move || joined.join());
        Box::new(group)
    }),
    ("Pool", || {
        let pool = Pool::new(1);
        pool.spawn(|| sleep(LONG));
        let spawns = pool.clone();
        spawn(move || ignore(spawns.spawn(|| ())));
        Box::new(pool)
    }),
    ("IMap", || Box::new(Pool::new(1).imap(0..9, |_| sleep(LONG)))),
    ("ThreadPool", || {
        let pool = ThreadPool::new(1);
        let result = pool.spawn(|| std::thread::sleep(Duration::from_millis(20)));
        spawn(move || ignore(result.get()));
        Box::new(pool)
    }),
    ("TcpListener", || {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let accepts = listener.clone();
        spawn(move || accepts.accept().map(drop));
        Box::new(listener)
    }),
    ("halves of a TcpStream", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut reads, writes) = stream.into_split();
        spawn(move || std::io::Read::read(&mut reads, &mut [0]).map(drop));
        Box::new((writes, listener))
    }),
    ("UdpSocket", || {
        let socket = Rc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let receives = socket.clone();
        spawn(move || receives.recv_from(&mut [0]).map(drop));
        Box::new(socket)
    }),
    ("StreamServer", || {
        let server = StreamServer::bind("127.0.0.1:0", |_: TcpStream, _| ()).unwrap();
        server.start().unwrap();
        Box::new(server)
    }),
    ("TlsStream", || {
        let (near, far) = tls_pair();
        let far = Rc::new(far);
        let waits = far.clone();
        spawn(move || (&*waits).read(&mut [0]).map(drop));
        Box::new((near, far))
    }),
    ("halves of a TlsStream", || {
        let (near, far) = tls_pair();
        let (mut reading, writing) = near.into_split();
        spawn(move || reading.read(&mut [0]).map(drop));
        Box::new((writing, far.into_split()))
    }),
    ("a greenlet with a local value", || {
        ramie::greenlet_local! {
            static LOCAL: RefCell<Option<channel::Sender<u8>>> = const { RefCell::new(None) };
        }
        let (sender, receiver) = channel::unbounded();
        spawn(move || receiver.recv());
        Box::new(spawn(move || {
            LOCAL.with(|local| local.replace(Some(sender)));
            sleep(LONG);
        }))
    }),
    ("File and ReadDir", || {
        let file = fs::File::open("Cargo.toml").unwrap();
        Box::new((file, fs::read_dir(".").unwrap()))
    }),
];

#[cfg(unix)]
const OF_UNIX: &[(&str, Make)] = &[
    ("Signals", || {
        // SIGWINCH, which is ignored anyway.
        let signals = Rc::new(ramie::signal::Signals::new([28]).unwrap());
        let waits = signals.clone();
        spawn(move || ignore(waits.wait()));
        Box::new(signals)
    }),
    ("Child", || {
        let child = ramie::process::Command::new("sleep").arg("3600").kill_on_drop(true).spawn().unwrap();
        let waits = child.handle().clone();
        spawn(move || waits.wait());
        Box::new(child)
    }),
    ("pipe", || {
        let (mut reader, writer) = ramie::io::pipe().unwrap();
        spawn(move || std::io::Read::read(&mut reader, &mut [0]).map(drop));
        Box::new(writer)
    }),
    ("UnixStream", || {
        let (mut one, other) = ramie::os::unix::net::UnixStream::pair().unwrap();
        spawn(move || std::io::Read::read(&mut one, &mut [0]).map(drop));
        Box::new(other)
    }),
];
#[cfg(not(unix))]
const OF_UNIX: &[(&str, Make)] = &[];

#[test]
fn a_late_destructor_asks_for_no_hub() {
    for &(name, make) in VALUES.iter().chain(OF_UNIX) {
        within(LIMIT, move || {
            // Older than the hub.
            KEPT.with(|kept| kept.name.set(name));
            let value = make();
            yield_now();
            yield_now();
            KEPT.with(|kept| kept.value.replace(Some(value)));
        });
        assert_eq!(DROPPED.lock().unwrap().pop(), Some((name, false, false)));
    }
}
