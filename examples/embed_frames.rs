//! Runs greenlets inside the frame loop of a game or a window system: sixty times in a second the
//! loop runs the hub for a part of the frame, then draws.
//!
//! The window system is played by a plain loop. A real one (winit, SDL, GTK) calls the body of this
//! loop from its own, with `Next::At` as the time to wake up for.
//!
//! ```text
//! cargo run --example embed_frames
//! ```
//!
//! Ends by itself: yes

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::Next;
use ramie::{blocking, get_hub, sleep, spawn};

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// The part of a frame that greenlets get.
const BUDGET: Duration = Duration::from_millis(4);

/// The things to be drawn.
#[derive(Default)]
struct Scene {
    position: u32,
    texture: Option<usize>,
}

fn main() {
    let hub = get_hub();
    // A greenlet that runs longer than this lets the loop poll, and the frame go on.
    hub.set_switch_interval(BUDGET / 4);
    let scene = Rc::new(RefCell::new(Scene::default()));

    // An animation is straight code with sleeps in it.
    let animated = scene.clone();
    let animation = spawn(move || {
        for step in 1..=20 {
            sleep(Duration::from_millis(25));
            animated.borrow_mut().position = step;
        }
    });
    // Work for another thread, and its result in the scene.
    let loaded = scene.clone();
    spawn(move || {
        let bytes = blocking(|| {
            thread::sleep(Duration::from_millis(100));
            4096
        });
        loaded.borrow_mut().texture = Some(bytes);
    });

    let start = Instant::now();
    let (mut frames, mut iterations) = (0, 0);
    while !animation.ready() {
        // Greenlets, until nothing is queued or the budget is used up.
        let begin = Instant::now();
        loop {
            iterations += 1;
            if hub.poll_once() != Next::Now || begin.elapsed() > BUDGET {
                break;
            }
        }
        draw(frames, &scene.borrow());
        frames += 1;
        // The vertical blank. What happens meanwhile waits for the next frame; a loop that must not
        // wait that long takes the earlier of this time and `Next::At`.
        thread::sleep((start + FRAME * frames).saturating_duration_since(Instant::now()));
    }
    assert_eq!(scene.borrow().position, 20);
    println!("{frames} frames, {iterations} iterations of the hub, texture {:?}", scene.borrow().texture);
}

fn draw(frame: u32, scene: &Scene) {
    if frame.is_multiple_of(6) {
        println!("frame {frame:>3}: position {:>2}, texture {:?}", scene.position, scene.texture);
    }
}
