//! Tests of stacks in real mappings. A test that dies, or changes a whole process, has its own
//! process.

#![expect(unsafe_code, reason = "writes to stacks and asks the system about their pages")]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr;
use std::rc::Rc;

use super::fault;
use super::overflow::{self, OverflowInfo};
use super::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, Stack, StackPool, mmap};

const CHILD: &str = "RAMIE_STACK_TEST_CHILD";

/// Runs `test` again in a process of its own, in which `in_child` returns `true`.
fn run_again(test: &str) -> Output {
    run_variant(test, 0)
}

fn run_variant(test: &str, variant: usize) -> Output {
    let module = module_path!().split_once("::").expect("a crate and a module").1;
    Command::new(env::current_exe().expect("a test has a file"))
        .args(["--exact", "--nocapture", "--test-threads=1", &format!("{module}::{test}")])
        .env(CHILD, variant.to_string())
        .output()
        .expect("the test binary can be started again")
}

fn in_child() -> bool {
    env::var_os(CHILD).is_some()
}

fn variant() -> usize {
    env::var(CHILD).ok().and_then(|variant| variant.parse().ok()).expect("set by run_variant")
}

fn assert_passed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the child has run no test");
}

fn write_byte(address: usize) {
    // SAFETY: every caller passes an address on a stack that it has taken, or an address that must
    // fault, in a process made for that.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
}

fn fill(stack: &Stack, depth: usize) {
    for address in (stack.top() - depth..stack.top()).step_by(64) {
        write_byte(address);
    }
}

fn resident_pages(stack: &Stack) -> usize {
    let page = mmap::page_size();
    let start = stack.guard().end;
    let len = stack.top().next_multiple_of(page) - start;
    let mut pages = vec![0_u8; len / page];
    let range = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    // SAFETY: the range is mapped, starts at a page, and the vector has a byte for each of its
    // pages.
    let answer = unsafe { libc::mincore(range.cast(), len, pages.as_mut_ptr().cast()) };
    assert_eq!(answer, 0);
    pages.iter().filter(|&&page| page & 1 != 0).count()
}

fn is_mapped(address: usize) -> bool {
    let mut page = 0_u8;
    let start = ptr::with_exposed_provenance_mut::<libc::c_void>(address & !(mmap::page_size() - 1));
    // SAFETY: one page is asked about and there is a byte for it; an unmapped page is an error, not
    // a fault.
    unsafe { libc::mincore(start.cast(), 1, (&raw mut page).cast()) == 0 }
}

#[test]
fn the_last_stack_back_is_the_first_out() {
    let mut pool = StackPool::new();
    let stacks: Vec<Stack> = (0..40).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    let tops: Vec<usize> = stacks.iter().map(Stack::top).collect();
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    let again: Vec<usize> = (0..40).map(|_| pool.take(200_000).expect("a stack").top()).collect();
    assert!(tops.iter().rev().eq(&again));
}

#[test]
fn sizes_are_rounded_up_and_classes_do_not_mix() {
    let mut pool = StackPool::new();
    for (asked, got) in [
        (0, MIN_STACK_SIZE),
        (MIN_STACK_SIZE + 1, 2 * MIN_STACK_SIZE),
        (DEFAULT_STACK_SIZE, DEFAULT_STACK_SIZE),
        (300 << 10, 512 << 10),
        (64 << 20, 64 << 20),
        ((64 << 20) + 1, 65 << 20),
    ] {
        let stack = pool.take(asked).expect("a stack");
        assert_eq!(stack.size(), got.max(mmap::page_size()));
        assert!(stack.top() - stack.guard().end >= stack.size(), "all of the size is usable");
        assert_eq!(stack.limit(), stack.guard().start);
        assert_eq!(stack.top() % 16, 0);
        write_byte(stack.guard().end);
        write_byte(stack.top() - 1);
        pool.give_back(stack);
    }
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.idle), (0, 5));
}

#[test]
fn tops_have_different_colours() {
    let mut pool = StackPool::new();
    let offsets: Vec<usize> =
        (0..16).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack").top() % mmap::page_size()).collect();
    let mut unique = offsets.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), offsets.len());
}

#[test]
fn slots_do_not_overlap() {
    let mut pool = StackPool::new();
    let mut ranges: Vec<(usize, usize)> = (0..200)
        .map(|_| pool.take(MIN_STACK_SIZE).expect("a stack"))
        .map(|stack| (stack.limit(), stack.top()))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
}

#[test]
#[should_panic(expected = "a stack must be returned to its own pool")]
fn a_foreign_stack_is_refused() {
    let (mut one, mut other) = (StackPool::new(), StackPool::new());
    let stack = one.take(DEFAULT_STACK_SIZE).expect("a stack");
    let _same_numbers = other.take(DEFAULT_STACK_SIZE).expect("a stack");
    other.give_back(stack);
}

#[test]
fn stats_count_what_is_out_idle_and_leaked() {
    let mut pool = StackPool::new();
    assert_eq!(pool.stats(), super::StackStats::default());
    let leaked = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    let idle = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    let large = pool.take(100 << 20).expect("a stack");
    {
        let _leaked = leaked;
    }
    pool.give_back(idle);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.idle), (2, 1));
    assert!(stats.reserved_bytes >= (100 << 20) + 16 * DEFAULT_STACK_SIZE);
    pool.give_back(large);
    assert_eq!(pool.stats().in_use, 1);
}

#[test]
fn deep_use_gives_pages_back() {
    if super::pool::under_valgrind() {
        return;
    }
    let mut pool = StackPool::new();
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    fill(&stack, 200 << 10);
    assert!(resident_pages(&stack) * mmap::page_size() >= 200 << 10);
    pool.give_back(stack);
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    assert!(resident_pages(&stack) * mmap::page_size() <= 32 << 10);
    // The canary has been reset: shallow use leaves the pages alone, deep use is detected again.
    fill(&stack, 8 << 10);
    pool.give_back(stack);
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    assert!(resident_pages(&stack) >= 2);
    fill(&stack, 100 << 10);
    pool.give_back(stack);
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    assert!(resident_pages(&stack) * mmap::page_size() <= 32 << 10);
}

#[test]
fn small_use_touches_one_page_and_a_return_none() {
    if super::pool::under_valgrind() {
        return;
    }
    let mut pool = StackPool::new();
    // More than there are colours. The mark of a stack that was cut lately is in memory.
    let stacks: Vec<Stack> = (0..30).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    stacks.iter().for_each(|stack| fill(stack, 1 << 10));
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    for _ in 0..30 {
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        assert_eq!(resident_pages(&stack), 1);
    }
}

#[test]
fn deep_use_is_noticed_on_each_colour_and_behind_zeroes() {
    if super::pool::under_valgrind() {
        return;
    }
    let mut pool = StackPool::new();
    for _ in 0..2 {
        let stacks: Vec<Stack> = (0..30).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
        for stack in &stacks {
            fill(stack, 100 << 10);
            // A buffer of zeroes where the mark was.
            for address in stack.top() - (8 << 10)..stack.top() {
                // SAFETY: the stack was taken, and nothing runs on it.
                unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(0) };
            }
        }
        stacks.into_iter().for_each(|stack| pool.give_back(stack));
        let stacks: Vec<Stack> = (0..30).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
        for stack in &stacks {
            assert!(resident_pages(stack) * mmap::page_size() <= 32 << 10);
        }
        stacks.into_iter().for_each(|stack| pool.give_back(stack));
    }
}

#[test]
fn a_closed_pool_unmaps_what_is_unused_and_still_works() {
    if !in_child() {
        return assert_passed(&run_again("a_closed_pool_unmaps_what_is_unused_and_still_works"));
    }
    let mut pool = StackPool::new();
    let mut stacks: Vec<Stack> = (0..60).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    // The first chunk has 16 stacks, the second has 32. One of the second stays out.
    let out = stacks.swap_remove(20);
    let neighbour = stacks.iter().map(Stack::top).find(|top| top.abs_diff(out.top()) < 1 << 20);
    let neighbour = neighbour.expect("chunks are not one slot apart") - 1;
    let (first, third) = (stacks[0].top() - 1, stacks[55].top() - 1);
    stacks.iter().for_each(|stack| fill(stack, 1 << 10));
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    pool.close();
    assert!(!is_mapped(first) && !is_mapped(third) && is_mapped(neighbour));
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.idle), (1, 31));
    let taken: Vec<Stack> = (0..40).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    assert!(taken.iter().take(31).all(|stack| resident_pages(stack) == 0));
    taken.iter().for_each(|stack| fill(stack, 1 << 10));
    taken.into_iter().for_each(|stack| pool.give_back(stack));
    pool.give_back(out);
    pool.close();
    assert!(!is_mapped(neighbour));
    assert_eq!(pool.stats(), super::StackStats::default());
}

#[test]
fn trim_gives_all_idle_pages_back_and_keeps_the_guard() {
    if in_child() {
        let mut pool = StackPool::new();
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        pool.give_back(stack);
        pool.trim();
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        write_byte(stack.guard().start);
        return;
    }
    let mut pool = StackPool::new();
    let stacks: Vec<Stack> = (0..20).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    stacks.iter().for_each(|stack| fill(stack, 16 << 10));
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    pool.trim();
    let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
    assert_eq!(resident_pages(&stack), 0);
    fill(&stack, 16 << 10);
    pool.give_back(stack);
    pool.trim();
    for _ in 0..20 {
        assert_eq!(resident_pages(&pool.take(DEFAULT_STACK_SIZE).expect("a stack")), 0);
    }
    let output = run_again("trim_gives_all_idle_pages_back_and_keeps_the_guard");
    assert!(matches!(output.status.signal(), Some(libc::SIGSEGV | libc::SIGBUS)), "{output:?}");
}

#[test]
fn guards_fault_at_both_ends_and_their_neighbours_do_not() {
    if in_child() {
        let mut pool = StackPool::new();
        let sizes = [MIN_STACK_SIZE, DEFAULT_STACK_SIZE, 70 << 20];
        let stacks = sizes.map(|size| pool.take(size).expect("a stack"));
        let stack = &stacks[variant() / 2];
        write_byte(stack.guard().end);
        write_byte(if variant() % 2 == 0 { stack.guard().start } else { stack.guard().end - 1 });
        return;
    }
    for which in 0..6 {
        let output = run_variant("guards_fault_at_both_ends_and_their_neighbours_do_not", which);
        assert!(matches!(output.status.signal(), Some(libc::SIGSEGV | libc::SIGBUS)), "{which}: {output:?}");
    }
}

#[test]
fn a_leaked_stack_keeps_its_chunk_and_others_are_unmapped() {
    if !in_child() {
        return assert_passed(&run_again("a_leaked_stack_keeps_its_chunk_and_others_are_unmapped"));
    }
    let mut pool = StackPool::new();
    let mut stacks: Vec<Stack> = (0..17).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    let in_second_chunk = stacks.pop().expect("seventeen");
    let leaked = stacks.pop().expect("sixteen");
    let (kept, gone) = (leaked.top() - 1, in_second_chunk.top() - 1);
    let large = pool.take(100 << 20).expect("a stack");
    let large_top = large.top() - 1;
    pool.give_back(in_second_chunk);
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    {
        let _leaked = (leaked, large);
    }
    drop(pool);
    assert!(is_mapped(kept) && is_mapped(large_top));
    write_byte(kept);
    write_byte(large_top);
    assert!(!is_mapped(gone));
}

#[test]
fn forty_thousand_stacks_live_under_default_limits() {
    if !mmap::guards_by_advice() {
        // Each guard takes two of 65,530 mappings then, and 32,000 stacks are the limit.
        return;
    }
    let mut pool = StackPool::new();
    let stacks: Vec<Stack> = (0..40_000).map(|_| pool.take(DEFAULT_STACK_SIZE).expect("a stack")).collect();
    for stack in &stacks {
        write_byte(stack.top() - 1);
    }
    assert_eq!(pool.stats().in_use, 40_000);
    stacks.into_iter().for_each(|stack| pool.give_back(stack));
    assert_eq!(pool.stats().idle, 40_000);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn take_until_refused(pool: &mut StackPool, most: usize) -> (Vec<Stack>, super::StackError) {
    let mut stacks = Vec::with_capacity(most);
    loop {
        match pool.take(DEFAULT_STACK_SIZE) {
            Ok(stack) => stacks.push(stack),
            Err(error) => return (stacks, error),
        }
        assert!(stacks.len() < most, "the limit has no effect");
    }
}

/// Locked memory refuses guards by advice, so the fallback is used, and runs out of mappings.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn out_of_mappings_is_an_error_that_names_the_limit() {
    if !in_child() {
        return assert_passed(&run_again("out_of_mappings_is_an_error_that_names_the_limit"));
    }
    // SAFETY: takes no pointer.
    if unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) } != 0 {
        return;
    }
    let mut pool = StackPool::new();
    // The test's own vectors must not need a mapping when there is none left.
    let (stacks, error) = take_until_refused(&mut pool, 1_000_000);
    let taken = stacks.len();
    // With one stack returned there is one to take, and its guard still exists.
    let mut stacks = stacks;
    pool.give_back(stacks.pop().expect("thousands"));
    assert!(pool.take(DEFAULT_STACK_SIZE).is_ok());
    drop(pool);
    // SAFETY: takes no pointer.
    unsafe { libc::munlockall() };
    let message = error.to_string();
    eprintln!("{taken} stacks, then: {message}");
    if taken < 10_000 {
        // The limit on locked memory came first.
        return;
    }
    assert!(message.starts_with("cannot guard 256 KiB of stack: out of mappings"), "{message}");
    assert!(message.contains("/proc/sys/vm/max_map_count"), "{message}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn under_a_limit_chunks_shrink_before_the_error() {
    if !in_child() {
        return assert_passed(&run_again("under_a_limit_chunks_shrink_before_the_error"));
    }
    let pages = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: libc::rlim_t = pages.split(' ').next().expect("a field").parse().expect("a number");
    let page = libc::rlim_t::try_from(mmap::page_size()).expect("small");
    let most = pages * page + (8 << 20);
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the pointer is to a limit of our own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    let mut pool = StackPool::new();
    let (stacks, error) = take_until_refused(&mut pool, 1000);
    // 16, then 8, 4, 2 or so: nearly all of 8 MiB.
    assert!((20..32).contains(&stacks.len()), "{} stacks", stacks.len());
    let message = error.to_string();
    assert!(message.starts_with("cannot reserve 256 KiB of stack: "), "{message}");
    assert!(message.contains("RLIMIT_AS"), "{message}");
    let error = pool.take(usize::MAX).expect_err("too large for any machine");
    assert!(error.to_string().starts_with("cannot reserve "), "{error}");
}

#[test]
fn an_overflow_names_the_greenlet() {
    if in_child() {
        let mut pool = StackPool::new();
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        let info = OverflowInfo::new(std::panic::Location::caller());
        info.set_stack(stack.guard(), stack.size());
        info.set_name(&Rc::from("parser"));
        fault::install();
        // SAFETY: `info` lives until the end of the process, which is near.
        unsafe { overflow::set_running(&raw const info) };
        write_byte(stack.guard().end - 8);
        return;
    }
    let output = run_again("an_overflow_names_the_greenlet");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.starts_with("ramie: ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.starts_with("ramie: greenlet 'parser' (spawned at "), "{line}");
    assert!(line.contains("tests.rs:"), "{line}");
    assert!(
        line.ends_with(" has overflowed its stack of 256 KiB; raise it with Builder::stack_size"),
        "{line}"
    );
}

#[test]
fn another_fault_takes_its_usual_course() {
    if in_child() {
        let mut pool = StackPool::new();
        let stack = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        let info = OverflowInfo::new(std::panic::Location::caller());
        info.set_stack(stack.guard(), stack.size());
        fault::install();
        // SAFETY: `info` lives until the end of the process, which is near.
        unsafe { overflow::set_running(&raw const info) };
        let other = pool.take(DEFAULT_STACK_SIZE).expect("a stack");
        write_byte(other.guard().start);
        return;
    }
    let output = run_again("another_fault_takes_its_usual_course");
    assert!(matches!(output.status.signal(), Some(libc::SIGSEGV | libc::SIGBUS)), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("ramie: "), "{output:?}");
}

/// std's handler consumes a signal that it does not recognise as a fault of a thread, so this test
/// uses no handler at all.
#[test]
fn a_signal_that_somebody_sent_takes_its_usual_course() {
    if in_child() {
        // SAFETY: ignoring needs no handler.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_IGN) };
        // SAFETY: the default action needs no handler.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
        fault::install();
        // SAFETY: is ignored, as it was before.
        unsafe { libc::raise(libc::SIGBUS) };
        eprintln!("still here");
        // SAFETY: the process dies of the signal, as it would have before.
        unsafe { libc::raise(libc::SIGSEGV) };
        return;
    }
    let output = run_again("a_signal_that_somebody_sent_takes_its_usual_course");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("still here"), "{output:?}");
}

#[test]
#[expect(unconditional_recursion, reason = "overflows the stack of a thread")]
fn an_overflow_of_a_thread_is_left_to_std() {
    fn deeper(depth: u64) -> u64 {
        std::hint::black_box(deeper(depth + 1)) + std::hint::black_box(depth)
    }
    if in_child() {
        fault::install();
        std::hint::black_box(deeper(0));
        return;
    }
    let output = run_again("an_overflow_of_a_thread_is_left_to_std");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("has overflowed its stack"), "{output:?}");
}

/// A handler of the program, installed before ours, with and without SA_SIGINFO.
#[test]
fn the_previous_handler_runs() {
    extern "C" fn plain(_: libc::c_int) {
        // SAFETY: ends the process, in a way that is safe in a signal handler.
        unsafe { libc::_exit(41) };
    }
    if in_child() {
        let handler: extern "C" fn(libc::c_int) = plain;
        // SAFETY: the function has the shape of a handler.
        unsafe { libc::signal(libc::SIGSEGV, handler as libc::sighandler_t) };
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGBUS, handler as libc::sighandler_t) };
        fault::install();
        fault::install();
        write_byte(8);
        return;
    }
    let output = run_again("the_previous_handler_runs");
    assert_eq!(output.status.code(), Some(41), "{output:?}");
}

#[test]
fn threads_without_a_stack_for_signals_get_one() {
    // std's threads have one, and keep it.
    assert!(fault::ensure_alt_stack().is_none());
    extern "C" fn on_thread(_: *mut libc::c_void) -> *mut libc::c_void {
        let first = fault::ensure_alt_stack();
        let second = fault::ensure_alt_stack();
        let again = first.is_some() && second.is_none();
        drop(first);
        let third = fault::ensure_alt_stack();
        ptr::without_provenance_mut(usize::from(again && third.is_some()))
    }
    let mut thread = std::mem::MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: the handle has room, and the function has the shape of a thread's start.
    let made = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), on_thread, ptr::null_mut()) };
    assert_eq!(made, 0);
    // SAFETY: the call has succeeded, and so has filled it.
    let thread = unsafe { thread.assume_init() };
    let mut result = ptr::null_mut();
    // SAFETY: the thread was made just now and is joined once.
    assert_eq!(unsafe { libc::pthread_join(thread, &raw mut result) }, 0);
    assert_eq!(result.addr(), 1);
}

#[test]
fn long_names_and_small_buffers_do_not_break_the_message() {
    let info = OverflowInfo::new(std::panic::Location::caller());
    info.set_name(&Rc::from("n".repeat(5000)));
    let mut buffer = [0; 1024];
    let len = info.describe(&mut buffer);
    assert!(len < 1024 && buffer[..len].ends_with(b"Builder::stack_size\n"));
    let mut small = [0; 30];
    assert_eq!(info.describe(&mut small), 30);
}
