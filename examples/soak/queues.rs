//! Channels, queues and `select!`: each item that went in comes out once, or is dropped with its
//! queue.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use ramie::queue::{Channel, PriorityQueue, Queue, SimpleQueue};
use ramie::{Greenlet, channel, joinall, select, sleep, spawn};

use super::context::{Context, Counted, Living, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let living = Living::default();
        channels(context, &living, random);
        queues(context, &living, random);
        orders(context, random);
        rendezvous(context, &living, random);
        context.equal("items", living.count(), 0);
        Ok(())
    })
}

/// The numbers of items that went in and came out.
#[derive(Clone, Default)]
struct Passed {
    sent: Rc<Cell<u64>>,
    received: Rc<Cell<u64>>,
}

fn add_one(number: &Cell<u64>) {
    number.set(number.get() + 1);
}

fn channels(context: &Context, living: &Living, random: &mut Random) {
    let passed = Passed::default();
    let room = random.below(5) as usize;
    let (sender, receiver) = channel::bounded::<Counted>(room);
    let (others, other) = channel::unbounded::<Counted>();
    let senders: Vec<_> = (0..random.size(5))
        .map(|_| {
            let (sender, others, living, sent) =
                (sender.clone(), others.clone(), living.clone(), passed.sent.clone());
            let mut random = random.fork();
            spawn(move || {
                for _ in 0..random.size(30) {
                    let into = if random.once_in(3) { &others } else { &sender };
                    let done = match random.below(3) {
                        0 => into.send_timeout(living.one(), random.pause(500)).is_ok(),
                        1 => into.try_send(living.one()).is_ok(),
                        _ => into.send(living.one()).is_ok(),
                    };
                    if done {
                        add_one(&sent);
                    }
                }
            })
        })
        .collect();
    drop((sender, others));
    let receivers: Vec<_> = (0..random.size(3))
        .map(|_| {
            let (receiver, other, received) = (receiver.clone(), other.clone(), passed.received.clone());
            let pause = random.pause(300);
            spawn(move || {
                loop {
                    let item = select! {
                        recv(receiver) -> item => item.or_else(|_| other.recv()).ok(),
                        recv(other) -> item => item.or_else(|_| receiver.recv()).ok(),
                        default(LIMIT) => None,
                    };
                    if item.is_none() {
                        break;
                    }
                    add_one(&received);
                    sleep(pause);
                }
            })
        })
        .collect();
    let kills = kill_some(&senders, random, 6);
    joinall(&senders);
    joinall(&receivers);
    let left = receiver.try_iter().count() + other.try_iter().count();
    let (arrived, sent) = (passed.received.get() + left as u64, passed.sent.get());
    // Where nothing is stored, a kill may come at the moment in which the message is received.
    let most = if room == 0 { sent + kills } else { sent };
    context
        .check((sent..=most).contains(&arrived), || format!("{arrived} of {sent} to {most} items arrived"));
    context.count("senders killed", kills);
    context.count("items through channels", passed.sent.get());
}

fn queues(context: &Context, living: &Living, random: &mut Random) {
    let passed = Passed::default();
    let queue: Rc<Queue<Counted>> =
        Rc::new(if random.once_in(3) { Queue::unbounded() } else { Queue::bounded(random.size(5)) });
    let producers: Vec<Greenlet<()>> = (0..random.size(4))
        .map(|_| {
            let (queue, living, sent) = (queue.clone(), living.clone(), passed.sent.clone());
            let mut random = random.fork();
            spawn(move || {
                for _ in 0..random.size(30) {
                    let done = if random.once_in(3) {
                        queue.put_timeout(living.one(), random.pause(500)).is_ok()
                    } else {
                        queue.put(living.one()).is_ok()
                    };
                    if done {
                        add_one(&sent);
                    }
                }
            })
        })
        .collect();
    let consumers: Vec<Greenlet<()>> = (0..random.size(4))
        .map(|_| {
            let (queue, received) = (queue.clone(), passed.received.clone());
            let pause = random.pause(300);
            let context = context.clone();
            spawn(move || {
                while let Ok(item) = queue.get() {
                    add_one(&received);
                    let done = queue.task_done();
                    context.check(done.is_ok(), || "a task that was got is not counted".to_owned());
                    drop(item);
                    sleep(pause);
                }
            })
        })
        .collect();
    context.count("producers killed", kill_some(&producers, random, 6));
    joinall(&producers);
    context.check(queue.join_timeout(LIMIT), || "a queue has unfinished tasks".to_owned());
    queue.shutdown();
    joinall(&consumers);
    context.equal("items received of a queue", passed.received.get(), passed.sent.get());
    context.equal("greenlets that wait for a queue", queue.waiting(), (0, 0));
    context.count("items through queues", passed.sent.get());
}

fn orders(context: &Context, random: &mut Random) {
    let numbers: Vec<_> = (0..random.size(50)).map(|_| random.below(1_000)).collect();
    let smallest = PriorityQueue::with_maxsize(None, []);
    for number in &numbers {
        let put = smallest.put(*number);
        context.check(put.is_ok(), || "an open queue refuses an item".to_owned());
    }
    smallest.shutdown();
    let (got, mut sorted): (Vec<_>, _) = (smallest.iter().collect(), numbers);
    sorted.sort_unstable();
    context.check(got == sorted, || "a priority queue is out of order".to_owned());
}

fn rendezvous(context: &Context, living: &Living, random: &mut Random) {
    let (meeting, simple) = (Rc::new(Channel::new()), Rc::new(SimpleQueue::bounded(2)));
    let number = random.size(30);
    let received = Rc::new(RefCell::new(Vec::new()));
    let first = spawn({
        let (meeting, living) = (meeting.clone(), living.clone());
        move || (0..number).for_each(|index| meeting.put((index, living.one())))
    });
    let second = spawn({
        let (meeting, simple) = (meeting.clone(), simple.clone());
        move || (0..number).for_each(|_| simple.put(meeting.get()))
    });
    let third = spawn({
        let received = received.clone();
        move || (0..number).for_each(|_| received.borrow_mut().push(simple.get()))
    });
    joinall(&[first, second, third]);
    let order: Vec<_> = received.borrow_mut().drain(..).map(|item: (usize, Counted)| item.0).collect();
    context.check(order.iter().copied().eq(0..number), || "items changed places on their way".to_owned());
    context.equal("balance of a rendezvous", meeting.balance(), 0);
}
