//! `select!`: its arms, its order, and what is left of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::channel::{self, RecvError, SendError, TryRecvError, TrySendError};
use ramie::net::{TcpListener, TcpStream};
use ramie::queue::{Channel, PriorityQueue, Queue, ShutDown, SimpleQueue};
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::time::after;
use ramie::{
    Greenlet, LoopExit, TimedOut, Waitable, catch, fallible, get_hub, select, sleep, spawn, with_timeout,
    yield_now,
};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// The action that makes an arm ready, and the result of that arm.
type Act = (&'static str, Box<dyn Fn()>);

// --- the arms -------------------------------------------------------------------------------------------------------

#[test]
fn each_kind_of_source_gives_what_its_own_call_would() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        sender.send(1).unwrap();
        assert_eq!(select! { recv(receiver) -> message => message }, Ok(1));

        let queue = Queue::with_maxsize(None, [2]);
        let queue: Queue<u32> = queue;
        assert_eq!(select! { recv(queue) -> item => item }, Ok(2));

        let smallest = PriorityQueue::with_maxsize(None, [5, 3, 4]);
        assert_eq!(select! { recv(smallest) -> item => item }, Ok(3));

        let simple = SimpleQueue::unbounded();
        simple.put(4);
        assert_eq!(select! { recv(simple) -> item => item }, 4);

        let meeting = Channel::new();
        let putter = spawn({
            let meeting = meeting.clone();
            move || meeting.put(5)
        });
        assert_eq!(select! { recv(meeting) -> item => item }, 5);
        putter.get().unwrap();

        let greenlet = spawn(|| 6);
        assert_eq!(select! { recv(greenlet) -> value => value.unwrap() }, 6);

        let result = AsyncResult::new();
        result.set(7);
        assert_eq!(select! { recv(result) -> value => value.unwrap() }, 7);

        let semaphore = Semaphore::new(1);
        select! { recv(semaphore) -> () => assert!(semaphore.locked()) }

        let event = Event::new();
        event.set();
        select! { recv(event) -> () => assert!(event.is_set()) }
        select! { ready(event) => assert!(event.is_set()) }
    });
}

#[test]
fn ends_and_failures_are_results_as_well() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let (sender, receiver) = channel::unbounded::<u32>();
        drop(sender);
        assert_eq!(select! { recv(receiver) -> message => message }, Err(RecvError));
        let (sender, receiver) = channel::bounded(1);
        drop(receiver);
        assert_eq!(select! { send(sender, 1) -> sent => sent }, Err(SendError(1)));
        let queue = Queue::<u32>::unbounded();
        queue.shutdown();
        assert_eq!(select! { recv(queue) -> item => item }, Err(ShutDown(())));
        let failing: Greenlet<()> = spawn(fallible(|| Err("no luck")));
        let failure = select! { recv(failing) -> value => value.unwrap_err() };
        assert_eq!(failure.downcast_ref(), Some(&"no luck"));
    });
}

/// Everything is waited for that is not ready yet, whatever it is.
#[test]
fn each_kind_of_source_wakes_a_selection() {
    fn woken(by: &'static str, select: impl FnOnce() -> bool + 'static, act: impl FnOnce()) {
        let g = spawn(select);
        yield_now();
        assert!(!g.ready(), "{by}");
        act();
        assert!(g.join_timeout(LONG) && g.get().unwrap(), "{by}");
    }
    within(LIMIT, || {
        let never = Event::new();
        let (sender, receiver) = channel::unbounded();
        let idle = never.clone();
        woken(
            "a message",
            move || select! { recv(receiver) -> m => m == Ok(1), ready(idle) => false },
            || sender.send(1).unwrap(),
        );
        for room in [0, 1] {
            let (sender, receiver) = channel::bounded(room);
            (0..room).for_each(|_| sender.send(0).unwrap());
            let idle = never.clone();
            woken(
                "room",
                move || select! { send(sender, 2) -> sent => sent.is_ok(), ready(idle) => false },
                || assert!(receiver.into_iter().any(|message| message == 2)),
            );
        }
        for room in [0, 1] {
            let (sender, receiver) = channel::bounded(room);
            (0..room).for_each(|_| sender.send(0).unwrap());
            let idle = never.clone();
            woken(
                "no receiver",
                move || select! { send(sender, 2) -> sent => sent.is_err(), ready(idle) => false },
                || drop(receiver),
            );
        }
        let (sender, receiver) = channel::unbounded::<u32>();
        let idle = never.clone();
        woken(
            "no sender",
            move || select! { recv(receiver) -> m => m.is_err(), ready(idle) => false },
            || drop(sender),
        );
        let queue = Queue::unbounded();
        let (source, idle) = (queue.clone(), never.clone());
        woken(
            "an item",
            move || select! { recv(source) -> item => item == Ok(1), ready(idle) => false },
            || queue.put(1).unwrap(),
        );
        let (source, idle) = (queue.clone(), never.clone());
        woken(
            "a shutdown",
            move || select! { recv(source) -> item => item.is_err(), ready(idle) => false },
            || queue.shutdown(),
        );
        let meeting = Channel::new();
        let (source, idle) = (meeting.clone(), never.clone());
        woken(
            "a putter",
            move || select! { recv(source) -> item => item == 1, ready(idle) => false },
            || meeting.put(1),
        );
        let semaphore = Semaphore::new(0);
        let (source, idle) = (semaphore.clone(), never.clone());
        woken(
            "a permit",
            move || select! { recv(source) -> () => true, ready(idle) => false },
            || assert_eq!(semaphore.release(), 1),
        );
        assert_eq!(semaphore.counter(), 0);
        let event = Event::new();
        let (source, idle) = (event.clone(), never.clone());
        woken(
            "an event",
            move || select! { recv(source) -> () => true, ready(idle) => false },
            || event.set(),
        );
        let idle = never.clone();
        woken(
            "time",
            move || {
                let soon = after(SHORT);
                select! { ready(soon) => true, ready(idle) => false }
            },
            || (),
        );
        assert_eq!(never.linkcount(), 0);
    });
}

#[test]
fn without_anything_ready_the_default_is_taken() {
    within(LIMIT, || {
        let ran = Rc::new(Cell::new(false));
        let other = ran.clone();
        spawn(move || other.set(true));
        let (sender, receiver) = channel::bounded(1);
        let empty = |receiver: &channel::Receiver<u32>| {
            select! {
                recv(receiver) -> message => message.ok(),
                default => None,
            }
        };
        assert_eq!(empty(&receiver), None);
        select! { send(sender, 1) -> sent => sent.unwrap(), default => panic!("there is room") }
        select! { send(sender, 2) -> sent => sent.unwrap(), default => assert_eq!(sender.len(), 1) }
        assert_eq!(empty(&receiver), Some(1));
        assert!(!ran.get(), "no arm has waited");
    });
}

#[test]
fn a_default_may_wait_first() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded::<u32>(1);
        let start = Instant::now();
        let late = select! {
            recv(receiver) -> _message => false,
            default(SHORT) => true,
        };
        assert!(late && start.elapsed() >= SHORT);
        // Zero is one turn.
        assert!(select! { recv(receiver) -> _m => false, default(Duration::ZERO) => true });
        spawn(move || {
            sleep(SHORT);
            sender.send(1).unwrap();
        });
        let got = select! { recv(receiver) -> message => message, default(LONG) => Err(RecvError) };
        assert_eq!(got, Ok(1));
        assert!(start.elapsed() < LONG);
    });
}

/// A limit counts from the beginning, however often another greenlet is faster.
#[test]
fn wakes_that_others_use_do_not_prolong_a_default() {
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        let thief = receiver.clone();
        let feeding = spawn(move || {
            loop {
                sender.send(1).unwrap();
                assert_eq!(thief.try_recv(), Ok(1));
                sleep(Duration::from_millis(1));
            }
        });
        let start = Instant::now();
        assert!(select! { recv(receiver) -> _m => false, default(SHORT * 5) => true });
        assert!(start.elapsed() >= SHORT * 5);
        feeding.kill();
    });
}

#[test]
fn the_message_of_an_arm_that_is_not_chosen_is_dropped_and_not_sent() {
    within(LIMIT, || {
        let message = Rc::new(());
        let (sender, receiver) = channel::bounded(0);
        let event = Event::new();
        event.set();
        select! {
            send(sender, message.clone()) -> _sent => panic!("no receiver waits"),
            recv(event) -> () => (),
        }
        assert_eq!((Rc::strong_count(&message), receiver.try_recv()), (1, Err(TryRecvError::Empty)));
    });
}

/// Bodies are ordinary code of the place: they return, break, borrow, and select again.
#[test]
fn a_body_is_part_of_the_function_around_it() {
    fn first_even(receiver: &channel::Receiver<u32>) -> Option<u32> {
        let mut odd = 0;
        loop {
            select! {
                recv(receiver) -> message => match message {
                    Ok(number) if number % 2 == 0 => return Some(number + odd),
                    Ok(_) => odd += 100,
                    Err(RecvError) => break,
                },
                default(LONG) => continue,
            }
        }
        let (sender, inner) = channel::bounded(1);
        select! {
            send(sender, 1) -> sent => select! { recv(inner) -> got => assert_eq!((sent, got), (Ok(()), Ok(1))) },
        }
        None
    }
    within(LIMIT, || {
        let (sender, receiver) = channel::unbounded();
        for number in [1, 3, 4, 5] {
            sender.send(number).unwrap();
        }
        drop(sender);
        assert_eq!(first_even(&receiver), Some(204));
        assert_eq!(first_even(&receiver), None);
    });
}

// --- order ----------------------------------------------------------------------------------------------------------

/// Selects among `N` arms that are always ready and returns how often each was chosen.
fn choices<const N: usize>(rounds: usize, mut choose: impl FnMut(&[Event; N]) -> usize) -> [usize; N] {
    let events = std::array::from_fn(|_| {
        let event = Event::new();
        event.set();
        event
    });
    let mut chosen = [0; N];
    for _ in 0..rounds {
        chosen[choose(&events)] += 1;
    }
    chosen
}

fn choose_of_two(events: &[Event; 2]) -> usize {
    select! { recv(events[0]) -> () => 0, recv(events[1]) -> () => 1 }
}

fn choose_of_five(events: &[Event; 5]) -> usize {
    select! {
        recv(events[0]) -> () => 0,
        recv(events[1]) -> () => 1,
        recv(events[2]) -> () => 2,
        recv(events[3]) -> () => 3,
        recv(events[4]) -> () => 4,
    }
}

/// Each of the arms is chosen about as often as the others.
#[track_caller]
fn assert_even(chosen: &[usize]) {
    let fair = chosen.iter().sum::<usize>() / chosen.len();
    assert!(chosen.iter().all(|n| n.abs_diff(fair) <= fair / 10), "{chosen:?}");
}

#[test]
fn arms_that_are_always_ready_are_chosen_equally() {
    within(LIMIT, || {
        assert_even(&choices(1000, choose_of_two));
        assert_even(&choices(1000, choose_of_five));
    });
}

#[test]
fn selections_that_take_turns_are_each_fair() {
    within(LIMIT, || {
        let mut other = [0; 2];
        let ready: [Event; 2] = std::array::from_fn(|_| Event::new());
        ready.iter().for_each(Event::set);
        let chosen = choices(1000, |events: &[Event; 2]| {
            other[choose_of_two(&ready)] += 1;
            choose_of_two(events)
        });
        assert_even(&chosen);
        assert_even(&other);
        // Also where two greenlets run the same lines in turn.
        let greenlets = [(); 2].map(|()| {
            spawn(|| {
                choices(1000, |events: &[Event; 5]| {
                    yield_now();
                    choose_of_five(events)
                })
            })
        });
        for greenlet in greenlets {
            assert_even(&greenlet.get().unwrap());
        }
    });
}

/// crossbeam: `fairness`, with sending arms and one that is never ready among them.
#[test]
fn arms_that_send_and_arms_that_receive_are_chosen_equally() {
    within(LIMIT, || {
        let (numbers, number) = channel::unbounded();
        let (sink, _sunk) = channel::unbounded();
        let never = Event::new();
        let mut chosen = [0; 3];
        for _ in 0..900 {
            numbers.send(1).unwrap();
            select! {
                recv(number) -> _message => chosen[0] += 1,
                ready(never) => panic!("it is not set"),
                send(sink, 1) -> _sent => chosen[1] += 1,
                send(sink, 2) -> _sent => chosen[2] += 1,
            }
        }
        // A selection that begins with the arm that is not ready continues with the next one.
        assert!(chosen.iter().all(|n| *n >= 200), "{chosen:?}");
    });
}

// --- both ends ------------------------------------------------------------------------------------------------------

/// crossbeam: `both_ready`, `stress_recv`, `stress_send` of channels that store nothing.
#[test]
fn a_selection_meets_plain_calls_where_nothing_is_stored() {
    within(LIMIT, || {
        let (left, from_left) = channel::bounded(0);
        let (right, from_right) = channel::bounded(0);
        let sender = spawn(move || {
            for i in 0..50 {
                left.send(i).unwrap();
                assert_eq!(from_right.recv(), Ok(i));
            }
        });
        let mut seen = 0;
        for i in 0..50 {
            for _ in 0..2 {
                select! {
                    recv(from_left) -> message => {
                        assert_eq!(message, Ok(i));
                        seen += 1;
                    },
                    send(right, i) -> sent => {
                        sent.unwrap();
                        seen += 1;
                    },
                }
            }
        }
        assert_eq!(seen, 100);
        sender.get().unwrap();
    });
}

/// crossbeam: `stress_mixed`, with both sides selecting.
#[test]
fn two_selections_meet_where_nothing_is_stored() {
    within(LIMIT, || {
        for receiver_first in [false, true] {
            let (sender, receiver) = channel::bounded(0);
            let never = Event::new();
            let idle = never.clone();
            let send = move || {
                for i in 0..20 {
                    select! {
                        send(sender, i) -> sent => sent.unwrap(),
                        ready(idle) => panic!("it is not set"),
                    }
                }
            };
            let idle = never.clone();
            let receive = move || {
                let mut got = Vec::new();
                loop {
                    select! {
                        recv(receiver) -> message => match message {
                            Ok(message) => got.push(message),
                            Err(RecvError) => return got,
                        },
                        ready(idle) => panic!("it is not set"),
                    }
                }
            };
            let got = if receiver_first {
                let g = spawn(receive);
                yield_now();
                spawn(send);
                g
            } else {
                spawn(send);
                yield_now();
                spawn(receive)
            };
            assert!(got.get().unwrap().into_iter().eq(0..20));
            assert_eq!(never.linkcount(), 0);
        }
    });
}

/// Greenlets that select on both ends of the same channel meet each other.
#[test]
fn selections_on_both_ends_of_one_channel_meet_each_other() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let greenlets: Vec<_> = (0..4)
            .map(|i| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                spawn(move || {
                    select! {
                        send(sender, i) -> sent => {
                            sent.unwrap();
                            None
                        },
                        recv(receiver) -> message => Some((i, message.unwrap())),
                    }
                })
            })
            .collect();
        let met: Vec<_> = greenlets.iter().map(|g| g.get().unwrap()).collect();
        assert_eq!(met.iter().flatten().count(), 2, "{met:?}");
        assert!(met.iter().flatten().all(|(receiver, sender)| receiver != sender));
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    });
}

/// A selection does not meet itself, and does not try to without end.
#[test]
fn a_selection_on_both_ends_waits_for_somebody_else() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let both = || select! { send(sender, 1) -> sent => sent.map(|()| 0).unwrap(), recv(receiver) -> got => got.unwrap() };
        assert!(catch::<LoopExit, _>(both).is_err());
        let other = receiver.clone();
        let g = spawn(move || other.recv());
        assert_eq!((both(), g.get().unwrap()), (0, Ok(1)));
        let other = sender.clone();
        let g = spawn(move || other.send(2));
        assert_eq!((both(), g.get().unwrap()), (2, Ok(())));
    });
}

/// Several selections wait to send; one receiver takes one message and leaves the others waiting.
#[test]
fn one_receiver_takes_from_one_selection() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded(0);
        let selections: Vec<_> = (0..3)
            .map(|i| {
                let sender = sender.clone();
                spawn(move || {
                    select! { send(sender, i) -> sent => sent.map(|()| i).unwrap() }
                })
            })
            .collect();
        yield_now();
        for taken in 1..=3 {
            let message = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
            assert_eq!(selections[message].get().unwrap(), message);
            yield_now();
            assert_eq!(selections.iter().filter(|g| g.ready()).count(), taken);
        }
    });
}

// --- what is left ---------------------------------------------------------------------------------------------------

/// A selection over one of each, none of them ready, and the number of their waiters.
fn one_of_each() -> (impl Fn() + Clone + 'static, impl Fn() -> usize) {
    let (events, semaphores) = (Event::new(), Semaphore::new(0));
    let (results, queues) = (AsyncResult::<()>::new(), Queue::<u32>::unbounded());
    let (meetings, full) = (Channel::<u32>::new(), channel::bounded(1));
    full.0.send(0).unwrap();
    let (zero, asleep) = (channel::bounded::<u32>(0), spawn(|| sleep(LONG)));
    let all = Rc::new((events, semaphores, results, queues, meetings, full, zero, asleep));
    let counted = all.clone();
    let wait = move || {
        let (event, semaphore, result, queue, meeting, full, zero, asleep) = &*all;
        let soon = after(LONG);
        select! {
            recv(event) -> () => (),
            recv(semaphore) -> () => (),
            recv(result) -> _value => (),
            recv(queue) -> _item => (),
            recv(meeting) -> _item => (),
            send(full.0, 1) -> _sent => (),
            recv(zero.1) -> _message => (),
            recv(asleep) -> _value => (),
            ready(soon) => (),
        }
    };
    let lines = move || {
        let (event, semaphore, result, queue, meeting, full, zero, asleep) = &*counted;
        assert!(full.0.try_send(1).is_err());
        // A line of receivers that is not empty would accept it.
        let receivers = usize::from(zero.0.is_ready());
        event.linkcount()
            + semaphore.linkcount()
            + result.linkcount()
            + queue.waiting().1
            + meeting.balance().unsigned_abs()
            + receivers
            + asleep.has_links()
    };
    (wait, lines)
}

#[test]
fn a_selection_that_is_ended_leaves_every_line() {
    within(LIMIT, || {
        let (wait, lines) = one_of_each();
        yield_now();
        let before = get_hub().stats().timers;
        let selection = wait.clone();
        let g = spawn(selection);
        yield_now();
        assert_eq!(lines(), 7);
        g.kill();
        assert!(g.dead() && g.successful());
        assert_eq!(lines(), 0);
        assert_eq!(with_timeout(SHORT, wait.clone()), Err(TimedOut));
        assert_eq!((lines(), get_hub().stats().timers), (0, before));
        let g = spawn(wait);
        yield_now();
        g.throw("enough");
        assert_eq!((lines(), get_hub().stats().timers), (0, before));
    });
}

/// An arm that becomes ready when a kill is on its way to the first selection goes to the second;
/// what was there before the kill is the first one's.
#[test]
fn a_selection_that_is_killed_takes_only_what_came_before() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let (sender, receiver) = channel::unbounded();
        let queue = Queue::unbounded();
        let selection = {
            let (semaphore, receiver, queue) = (semaphore.clone(), receiver.clone(), queue.clone());
            move || {
                select! {
                    recv(semaphore) -> () => "permit".to_owned(),
                    recv(receiver) -> message => format!("{message:?}"),
                    recv(queue) -> item => format!("{item:?}"),
                }
            }
        };
        let (permits, items) = (semaphore.clone(), queue.clone());
        let acts: [Act; 3] = [
            ("permit", Box::new(move || assert_eq!(permits.release(), 1))),
            ("Ok(1)", Box::new(move || sender.send(1).unwrap())),
            ("Ok(2)", Box::new(move || items.put(2).unwrap())),
        ];
        for (word, act) in &acts {
            for kill_first in [true, false] {
                let victim = spawn(selection.clone());
                let follower = spawn(selection.clone());
                yield_now();
                if kill_first {
                    victim.kill_nowait();
                    act();
                } else {
                    act();
                    victim.kill_nowait();
                }
                yield_now();
                assert!(victim.ready(), "{word}");
                assert_eq!((victim.value().is_some(), follower.ready()), (!kill_first, kill_first), "{word}");
                let got = if kill_first { &follower } else { &victim };
                assert_eq!(got.get().unwrap(), *word);
                follower.kill();
                assert_eq!((semaphore.linkcount(), queue.waiting(), receiver.len()), (0, (0, 0), 0));
            }
        }
    });
}

// --- sockets --------------------------------------------------------------------------------------------------------

#[test]
fn a_listener_is_selected_beside_a_channel() {
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = channel::bounded::<()>(1);
        let server = spawn(move || {
            let served = RefCell::new(Vec::new());
            loop {
                select! {
                    recv(listener) -> accepted => served.borrow_mut().push(accepted.unwrap().1),
                    recv(stopped) -> _end => return served.into_inner(),
                }
            }
        });
        yield_now();
        let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        sleep(SHORT);
        stop.send(()).unwrap();
        let served = server.get().unwrap();
        assert!(clients.iter().all(|client| served.contains(&client.local_addr().unwrap())));
        assert_eq!(served.len(), 3);
    });
}
