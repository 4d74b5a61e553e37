//! tower: a service with layers, called by many greenlets. Its timeouts need tokio's timers.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use ramie::sync::Event;
use ramie::tokio::{block_on, block_on_timeout};
use ramie::{Greenlet, sleep, spawn, with_timeout};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run, within_both_reactors};

const GREENLETS: usize = 20;
const AT_ONCE: usize = 4;

/// A request of the service.
enum Ask {
    Double(usize),
    Wait(Event),
    Never,
}

/// Counts requests while they are served.
#[derive(Clone, Default)]
struct Served(Rc<Cell<usize>>, Rc<Cell<usize>>);

impl Served {
    fn begin(&self) -> impl Drop + use<> {
        struct End(Served);

        impl Drop for End {
            fn drop(&mut self) {
                self.0.0.set(self.0.0.get() - 1);
            }
        }

        self.0.set(self.0.get() + 1);
        self.1.set(self.1.get().max(self.0.get()));
        End(self.clone())
    }

    fn now(&self) -> usize {
        self.0.get()
    }

    fn most(&self) -> usize {
        self.1.get()
    }
}

/// The work of a request is a greenlet, which may wait.
fn work(ask: Ask) -> Greenlet<usize> {
    spawn(move || match ask {
        Ask::Double(number) => {
            sleep(Duration::from_millis(1));
            number * 2
        }
        Ask::Wait(event) => {
            event.wait();
            0
        }
        Ask::Never => {
            sleep(Duration::from_secs(3600));
            0
        }
    })
}

/// A service that is used on one thread only: nothing in it is `Send`.
fn service(
    served: &Served,
    timeout: Duration,
) -> impl Service<Ask, Response = usize, Error = BoxError> + Clone + use<> {
    let served = served.clone();
    let inner = service_fn(move |ask| {
        let served = served.begin();
        async move {
            let _served = served;
            Ok::<_, Infallible>(work(ask).await.unwrap())
        }
    });
    let layers = ServiceBuilder::new();
    let layers = layers.layer(ConcurrencyLimitLayer::new(AT_ONCE)).layer(TimeoutLayer::new(timeout));
    layers.service(inner)
}

#[test]
fn a_limit_holds_for_all_greenlets() {
    within_both_reactors(|| {
        let served = Served::default();
        let service = service(&served, LIMIT);
        let doubled = in_greenlets(GREENLETS, |number| {
            let service = service.clone();
            move || block_on(service.oneshot(Ask::Double(number))).unwrap()
        });
        assert_eq!(doubled, (0..GREENLETS).map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!((served.now(), served.most()), (0, AT_ONCE));
    });
}

#[test]
fn a_limit_needs_no_runtime() {
    within(LIMIT, || {
        let layers = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1));
        let service = layers.service_fn(async |ask| Ok::<_, Infallible>(work(ask).await.unwrap()));
        let doubled = in_greenlets(GREENLETS, |number| {
            let service = service.clone();
            move || ramie::block_on(service.oneshot(Ask::Double(number))).unwrap()
        });
        assert_eq!(doubled, (0..GREENLETS).map(|number| number * 2).collect::<Vec<_>>());
    });
}

#[test]
fn others_run_during_a_call() {
    within_both_reactors(|| {
        let service = service(&Served::default(), LIMIT);
        let event = Event::new();
        let ask = Ask::Wait(event.clone());
        let answer = while_others_run(move || block_on(service.oneshot(ask)).unwrap(), move || event.set());
        assert_eq!(answer, 0);
    });
}

#[test]
fn its_timeout_layer_works() {
    within_both_reactors(|| {
        let served = Served::default();
        let service = service(&served, Duration::from_millis(5));
        let late = block_on(service.clone().oneshot(Ask::Never)).unwrap_err();
        assert!(late.is::<Elapsed>(), "{late}");
        assert_eq!(served.now(), 0);
    });
}

/// A call that was cut gives its permit back.
#[test]
fn a_timeout_and_a_kill_cut_a_call() {
    within_both_reactors(|| {
        let served = Served::default();
        let service = service(&served, LIMIT);
        for _ in 0..AT_ONCE {
            let call = service.clone().oneshot(Ask::Never);
            assert!(block_on_timeout(call, Duration::from_millis(2)).is_err());
            let call = service.clone().oneshot(Ask::Never);
            assert!(with_timeout(Duration::from_millis(2), || block_on(call)).is_err());
            let call = service.clone().oneshot(Ask::Never);
            let waiter = spawn(move || block_on(call).is_ok());
            while served.now() == 0 {
                sleep(Duration::from_millis(1));
            }
            waiter.kill();
            assert_eq!(served.now(), 0);
        }
        assert_eq!(block_on(service.oneshot(Ask::Double(4))).unwrap(), 8);
    });
}
