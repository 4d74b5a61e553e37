//! Tests of the verbs, the same for every implementation.

#![expect(unsafe_code, reason = "resuming and suspending have conditions, which the tests keep")]

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output};
use std::rc::{Rc, Weak};

use super::{Fiber, HANDS_OVER, Home};
use crate::stack::{DEFAULT_STACK_SIZE, Stack, StackPool};

fn stack() -> Stack {
    StackPool::new().take(DEFAULT_STACK_SIZE).expect("a stack")
}

fn resume(fiber: &Fiber) -> bool {
    resume_with(&Home::default(), fiber)
}

fn resume_with(home: &Home, fiber: &Fiber) -> bool {
    assert!(!fiber.done());
    // SAFETY: every test resumes from its own thread's stack, and never a fiber that is done.
    unsafe { fiber.resume(home) };
    fiber.done()
}

/// Creates a fiber with a body that has a reference to the fiber, as the hub's record gives a
/// greenlet a reference to its own.
fn fiber(body: impl FnOnce(&Fiber) + 'static) -> Rc<Fiber> {
    Rc::new_cyclic(|this: &Weak<Fiber>| {
        let this = Weak::clone(this);
        Fiber::new(stack(), move || {
            let this = this.upgrade().expect("the resuming code holds it");
            // The count must be released before the last suspend, or an abandoned fiber would hold
            // itself.
            let fiber: *const Fiber = Rc::as_ptr(&this);
            drop(this);
            // SAFETY: the resuming code holds the fiber.
            body(unsafe { &*fiber });
        })
    })
}

fn suspend(fiber: &Fiber) {
    // SAFETY: every body suspends the fiber it was given, which is its own.
    unsafe { fiber.suspend() };
}

fn hand_over(fiber: &Fiber, to: &Fiber) {
    // SAFETY: every body passes the fiber it was given, and one that is suspended.
    unsafe { fiber.hand_over(to) };
}

#[test]
fn runs_at_the_first_resume_and_stops_at_each_suspend() {
    let steps = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&steps);
    let fiber = fiber(move |fiber| {
        for step in 0..3 {
            seen.borrow_mut().push(step);
            suspend(fiber);
        }
    });
    assert!(steps.borrow().is_empty());
    for step in 0..3 {
        assert!(!resume(&fiber));
        assert_eq!(steps.borrow().len(), step + 1);
        assert!(!fiber.done());
    }
    assert!(resume(&fiber));
    assert!(fiber.done());
    assert_eq!(*steps.borrow(), [0, 1, 2]);
    assert_eq!(Rc::strong_count(&steps), 1, "the body is dropped when it has run");
}

#[test]
fn a_fiber_may_move_until_it_runs() {
    let place = Rc::new(Cell::new(std::ptr::null::<Fiber>()));
    let own = Rc::clone(&place);
    let body = move || {
        for _ in 0..2 {
            // SAFETY: the test sets it to the fiber before it is resumed.
            let fiber = unsafe { &*own.get() };
            suspend(fiber);
        }
    };
    let fiber = Box::new(Fiber::new(stack(), body));
    place.set(&raw const *fiber);
    assert!(!resume(&fiber));
    assert!(!resume(&fiber));
    assert!(resume(&fiber));
    assert!(fiber.done());
    let _stack = Fiber::take_stack(&mut Some(*fiber));
}

#[test]
fn many_fibers_take_turns() {
    let total = Rc::new(Cell::new(0));
    let rounds = if cfg!(miri) { 3 } else { 50 };
    let fibers: Vec<_> = (0..20)
        .map(|number| {
            let total = Rc::clone(&total);
            fiber(move |fiber| {
                for _ in 0..rounds {
                    total.set(total.get() + number);
                    suspend(fiber);
                }
            })
        })
        .collect();
    for _ in 0..rounds {
        assert!(fibers.iter().all(|fiber| !resume(fiber)));
    }
    assert!(fibers.iter().all(|fiber| resume(fiber)));
    assert_eq!(total.get(), 190 * rounds);
}

#[test]
fn a_finished_fiber_gives_its_stack() {
    let mut pool = StackPool::new();
    for _ in 0..3 {
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        let fiber = Fiber::new(stack, || ());
        assert!(resume(&fiber));
        assert_eq!(pool.stats().in_use, 1);
        pool.give_back(Fiber::take_stack(&mut Some(fiber)));
        assert_eq!(pool.stats().in_use, 0);
    }
    assert!(pool.stats().idle <= 1, "the same stack each time");
}

#[test]
fn a_fiber_that_never_ran_drops_its_body() {
    let token = Rc::new(());
    let held = Rc::clone(&token);
    drop(Fiber::new(stack(), move || drop(held)));
    assert_eq!(Rc::strong_count(&token), 1);

    let mut pool = StackPool::new();
    let held = Rc::clone(&token);
    let fiber = Fiber::new(pool.take(DEFAULT_STACK_SIZE).expect("a stack"), move || drop(held));
    pool.give_back(Fiber::take_stack(&mut Some(fiber)));
    assert_eq!(Rc::strong_count(&token), 1);
    assert_eq!(pool.stats().in_use, 0);
}

struct PanicOnDrop(Rc<Cell<u32>>);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        resume_unwind(Box::new("dropped"));
    }
}

#[test]
fn a_body_that_panics_when_dropped_is_dropped_once() {
    let drops = Rc::new(Cell::new(0));
    let (one, other) = (PanicOnDrop(Rc::clone(&drops)), PanicOnDrop(Rc::clone(&drops)));
    let fiber = Fiber::new(stack(), move || drop(one));
    catch_unwind(AssertUnwindSafe(move || drop(fiber))).expect_err("the drop panics");
    assert_eq!(drops.get(), 1);
    let fiber = Fiber::new(stack(), move || drop(other));
    catch_unwind(AssertUnwindSafe(move || Fiber::take_stack(&mut Some(fiber)))).expect_err("the drop panics");
    assert_eq!(drops.get(), 2);
}

#[test]
fn large_and_aligned_bodies_arrive_whole() {
    #[repr(align(64))]
    struct Aligned([u8; 128]);
    let large = [7_u8; 20_000];
    let aligned = Aligned([9; 128]);
    let fiber = fiber(move |fiber| {
        assert!(large.iter().all(|&byte| byte == 7));
        suspend(fiber);
        assert_eq!((&raw const aligned).addr() % 64, 0);
        assert!(aligned.0.iter().all(|&byte| byte == 9));
    });
    assert!(!resume(&fiber));
    assert!(resume(&fiber));
}

#[test]
fn panics_are_caught_on_the_fiber() {
    let fiber = fiber(|fiber| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            suspend(fiber);
            resume_unwind(Box::new(5));
        }));
        assert_eq!(caught.expect_err("it was raised").downcast_ref(), Some(&5));
        suspend(fiber);
    });
    assert!(!resume(&fiber));
    assert!(!resume(&fiber));
    assert!(resume(&fiber));
}

#[test]
#[cfg_attr(miri, ignore = "an abandoned fiber is a thread that never ends, which Miri reports")]
fn an_abandoned_fiber_is_leaked_and_not_unwound() {
    let token = Rc::new(());
    let held = Rc::clone(&token);
    let mut pool = StackPool::new();
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    let own: Rc<Cell<*const Fiber>> = Rc::new(Cell::new(std::ptr::null()));
    let place = Rc::clone(&own);
    let fiber = Fiber::new(stack, move || {
        let _held = held;
        // SAFETY: set to the fiber before it is resumed.
        suspend(unsafe { &*place.get() });
    });
    own.set(&raw const fiber);
    assert!(!resume(&fiber));
    drop(fiber);
    assert_eq!(Rc::strong_count(&token), 2);
    assert_eq!(pool.stats().in_use, 1);
}

#[test]
#[should_panic(expected = "the stack of a suspended fiber is in use")]
#[cfg_attr(miri, ignore = "an abandoned fiber is a thread that never ends, which Miri reports")]
fn a_suspended_fiber_keeps_its_stack() {
    let fiber = fiber(suspend);
    assert!(!resume(&fiber));
    let fiber = Rc::into_inner(fiber).expect("the body holds none");
    let _stack = Fiber::take_stack(&mut Some(fiber));
}

#[test]
fn a_fiber_uses_its_stack_to_the_depth() {
    fn deep(bytes_left: usize) -> usize {
        let frame = std::hint::black_box([1_u8; 4096]);
        if bytes_left < 3 * frame.len() { frame[0].into() } else { deep(bytes_left - 2 * frame.len()) + 1 }
    }
    let mut pool = StackPool::new();
    for _ in 0..2 {
        let fiber = Fiber::new(pool.take(DEFAULT_STACK_SIZE).expect("a stack"), || {
            std::hint::black_box(deep(DEFAULT_STACK_SIZE / 2));
        });
        assert!(resume(&fiber));
        pool.give_back(Fiber::take_stack(&mut Some(fiber)));
    }
}

/// Computes with more values of both kinds than there are registers, with `pause` in the middle of
/// each round.
fn juggle(seed: u64, pause: impl Fn()) -> (u64, f64) {
    let mut whole: [u64; 20] = std::array::from_fn(|place| seed.wrapping_mul(place as u64 + 3));
    let mut broken: [f64; 20] = std::array::from_fn(|place| 1.0 + (seed % 97) as f64 / (place as f64 + 2.0));
    for round in 1..=40_u64 {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = whole;
        let [xa, xb, xc, xd, xe, xf, xg, xh, xi, xj, xk, xl, xm, xn, xo, xp, xq, xr, xs, xt] = broken;
        pause();
        let step = round.rotate_left(17);
        whole = [b ^ a, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, a.wrapping_add(step ^ t)];
        broken =
            [xb, xc, xd, xe, xf, xg, xh, xi, xj, xk, xl, xm, xn, xo, xp, xq, xr, xs, xt, (xa + xt).sqrt()];
    }
    (whole.iter().fold(0, |all, one| all.rotate_left(7) ^ one), broken.iter().sum())
}

#[test]
fn both_sides_keep_their_values() {
    let seeds = [5, 77, 123_456_789, u64::MAX / 3];
    let alone = seeds.map(|seed| juggle(seed, || ()));
    let results = Rc::new(RefCell::new(Vec::new()));
    let fibers = [0, 1, 2].map(|number| {
        let results = Rc::clone(&results);
        fiber(move |fiber| {
            let result = juggle(seeds[number], || suspend(fiber));
            results.borrow_mut().push(result);
        })
    });
    let own = juggle(seeds[3], || fibers.iter().for_each(|fiber| _ = resume(fiber)));
    assert!(fibers.iter().all(|fiber| resume(fiber)));
    assert_eq!(*results.borrow(), alone[..3]);
    assert_eq!(own, alone[3]);
}

#[test]
fn fibers_suspend_in_calls_of_any_depth() {
    fn descend(fiber: &Fiber, depth: u64) -> u64 {
        if depth == 0 {
            suspend(fiber);
            return 1;
        }
        let below = descend(fiber, std::hint::black_box(depth - 1));
        suspend(fiber);
        below + depth
    }
    let depths = if cfg!(miri) { 3 } else { 60 };
    let sums = Rc::new(Cell::new(0));
    let fibers: Vec<_> = (0..depths)
        .map(|depth| {
            let sums = Rc::clone(&sums);
            fiber(move |fiber| {
                let sum = descend(fiber, depth);
                sums.set(sums.get() + sum);
            })
        })
        .collect();
    for round in 0..=depths {
        for (depth, fiber) in (0..depths).zip(&fibers).filter(|(depth, _)| *depth + 1 >= round) {
            assert_eq!(resume(fiber), depth + 1 == round);
        }
    }
    assert_eq!(sums.get(), (0..depths).map(|depth| 1 + depth * (depth + 1) / 2).sum());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such names of functions")]
fn a_backtrace_on_a_fiber_ends() {
    #[inline(never)]
    fn capture_it_here() -> String {
        Backtrace::force_capture().to_string()
    }
    let text = Rc::new(RefCell::new(String::new()));
    let seen = Rc::clone(&text);
    let fiber = fiber(move |fiber| {
        suspend(fiber);
        *seen.borrow_mut() = capture_it_here();
    });
    assert!(!resume(&fiber));
    assert!(resume(&fiber));
    let text = text.borrow();
    assert!(text.contains("capture_it_here"), "{text}");
    assert!(text.contains("run_body"), "down to the first function: {text}");
    if NATIVE {
        assert!(!text.contains("__rust_begin_short_backtrace"), "not the frames of the thread: {text}");
    }
}

/// `true` if `native` is tested.
const NATIVE: bool = cfg!(all(
    unix,
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(any(miri, ramie_fiber = "thread", ramie_fiber = "corosensei"))
));

/// The rounding mode belongs to the thread: a switch neither changes it nor takes it along.
#[test]
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, ramie_fiber = "thread"))))]
fn rounding_belongs_to_the_thread() {
    let seen = Rc::new(Cell::new([0; 2]));
    let fiber = fiber({
        let seen = Rc::clone(&seen);
        move |fiber| {
            let first = rounding::get();
            rounding::set(rounding::UP);
            suspend(fiber);
            seen.set([first, rounding::get()]);
        }
    });
    let usual = rounding::get();
    rounding::set(rounding::DOWN);
    let first = resume(&fiber);
    let after_first = rounding::get();
    rounding::set(usual);
    let second = resume(&fiber);
    assert!(!first && second);
    assert_eq!(after_first, rounding::UP);
    assert_eq!(seen.get(), [rounding::DOWN, usual]);
}

#[cfg(all(target_arch = "x86_64", not(any(miri, ramie_fiber = "thread"))))]
mod rounding {
    use std::arch::asm;

    pub(super) const DOWN: u64 = 1 << 13;
    pub(super) const UP: u64 = 1 << 14;

    pub(super) fn get() -> u64 {
        let mut word = 0_u32;
        // SAFETY: it writes MXCSR to a word of our own.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word) };
        u64::from(word & (3 << 13))
    }

    pub(super) fn set(rounding: u64) {
        let mut word = 0_u32;
        // SAFETY: it writes MXCSR to a word of our own.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word) };
        let word = word & !(3 << 13) | u32::try_from(rounding).expect("two bits");
        // SAFETY: only the rounding mode differs from the old value, and no code calculates until
        // the usual mode is back.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word) };
    }
}

#[cfg(all(target_arch = "aarch64", not(any(miri, ramie_fiber = "thread"))))]
mod rounding {
    use std::arch::asm;

    pub(super) const UP: u64 = 1 << 22;
    pub(super) const DOWN: u64 = 1 << 23;

    pub(super) fn get() -> u64 {
        let word: u64;
        // SAFETY: it reads the register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word) };
        word & (3 << 22)
    }

    pub(super) fn set(rounding: u64) {
        let word: u64;
        // SAFETY: it reads the register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word) };
        let word = word & !(3 << 22) | rounding;
        // SAFETY: only the rounding mode differs from the old value, and no code calculates until
        // the usual mode is back.
        unsafe { asm!("msr fpcr, {}", in(reg) word) };
    }
}

const CHILD: &str = "RAMIE_FIBER_TEST_CHILD";

/// Runs `test` again in a process of its own, where CHILD is set.
fn run_again(test: &str) -> Output {
    let module = module_path!().split_once("::").expect("a crate and a module").1;
    Command::new(env::current_exe().expect("a test has a file"))
        .args(["--exact", "--nocapture", "--test-threads=1", &format!("{module}::{test}")])
        .env(CHILD, "1")
        .output()
        .expect("the test binary can be started again")
}

#[test]
#[cfg_attr(miri, ignore = "needs a second process")]
fn a_panic_that_leaves_the_body_aborts() {
    if env::var_os(CHILD).is_some() {
        resume(&Fiber::new(stack(), || panic!("not caught")));
        return;
    }
    let output = run_again("a_panic_that_leaves_the_body_aborts");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("ramie: a panic has left the body of a fiber"), "{text}");
}

#[test]
#[cfg(all(unix, not(any(miri, ramie_fiber = "thread"))))]
fn an_overflow_on_a_fiber_is_explained() {
    use crate::stack::fault;
    use crate::stack::overflow::{self, OverflowInfo};

    #[expect(unconditional_recursion, reason = "overflows the stack of a fiber")]
    fn deeper(depth: u64) -> u64 {
        std::hint::black_box(deeper(depth + 1)) + std::hint::black_box(depth)
    }
    if env::var_os(CHILD).is_some() {
        let stack = stack();
        let info = OverflowInfo::new(std::panic::Location::caller());
        info.set_stack(stack.guard(), stack.size());
        fault::install();
        // SAFETY: `info` lives until the end of the process, which is near.
        unsafe { overflow::set_running(&raw const info) };
        resume(&Fiber::new(stack, || _ = std::hint::black_box(deeper(0))));
        return;
    }
    let output = run_again("an_overflow_on_a_fiber_is_explained");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("ramie: an unnamed greenlet (spawned at "), "{text}");
    assert!(text.contains("has overflowed its stack of 256 KiB"), "{text}");
}

#[test]
fn fibers_hand_over_to_each_other_and_the_last_one_returns_to_the_hub() {
    if !HANDS_OVER {
        return;
    }
    const FIBERS: usize = 5;
    const ROUNDS: u64 = 1000;
    let alone: Vec<_> = (0..FIBERS as u64).map(|seed| juggle(seed, || ())).collect();
    let ring: Rc<RefCell<Vec<Rc<Fiber>>>> = Rc::default();
    let results = Rc::new(RefCell::new(vec![None; FIBERS]));
    let switches = Rc::new(Cell::new(0));
    for at in 0..FIBERS {
        let (ring_, results, switches) = (Rc::clone(&ring), Rc::clone(&results), Rc::clone(&switches));
        let made = fiber(move |fiber| {
            suspend(fiber);
            let next = Rc::as_ptr(&ring_.borrow()[(at + 1) % FIBERS]);
            // SAFETY: the ring holds every fiber to the end of the test.
            let next = unsafe { &*next };
            let pass = || {
                switches.set(switches.get() + 1);
                hand_over(fiber, next);
            };
            let result = juggle(at as u64, pass);
            (0..ROUNDS).for_each(|_| pass());
            results.borrow_mut()[at] = Some(result);
            drop((ring_, results.clone()));
            suspend(fiber);
        });
        ring.borrow_mut().push(made);
    }
    let home = Home::default();
    let fibers = ring.borrow().clone();
    fibers.iter().for_each(|fiber| assert!(!resume_with(&home, fiber)));
    // The first one starts the ring; each ends its rounds in turn and then returns to the hub.
    for fiber in &fibers {
        assert!(!resume_with(&home, fiber));
    }
    assert_eq!(switches.get(), FIBERS as u64 * (ROUNDS + 40));
    assert_eq!(*results.borrow(), alone.into_iter().map(Some).collect::<Vec<_>>());
    for fiber in &fibers {
        assert!(resume_with(&home, fiber), "the body returns");
    }
}
