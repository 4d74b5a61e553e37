//! Measurements beside the crawl, the table at the end, and the comparison with the counts of the
//! site.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use crate::crawler::Crawler;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::site::Site;

/// The length to which the first failure of a kind is shown: a server may have made up any address.
const LONGEST_SAMPLE: usize = 100;

/// Keeps the largest number of greenlets that were alive at once.
pub(crate) fn watch_greenlets() -> Rc<Cell<usize>> {
    let most = Rc::new(Cell::new(0));
    ramie::hub::add_spawn_callback({
        let most = most.clone();
        move |_| most.set(most.get().max(ramie::get_hub().stats().greenlets))
    });
    most
}

/// Says so when the system will not let so many connections be open at once, as far as it tells.
pub(crate) fn check_open_files(options: &Options) -> Result<(), String> {
    let Some(limit) = open_files() else { return Ok(()) };
    let sides = if options.url.is_some() { 1 } else { 2 };
    let spare = 30;
    let needed = sides * u64::from(options.concurrency.min(options.pages)) + spare;
    if needed <= limit {
        return Ok(());
    }
    Err(format!(
        "{} pages at once need {needed} open files, and the limit is {limit}: \
         lower --concurrency, or raise the limit with `ulimit -n`",
        options.concurrency
    ))
}

fn open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// The table in the end.
pub(crate) fn table(crawler: &Crawler, time: Duration, alive: usize) -> String {
    let tally = crawler.tally();
    let mut table = String::new();
    let mut row = |label: &str, value: String, note: &str| {
        let line = format!("{label:<24} {value:>12}  {note}");
        let _ = writeln!(table, "{}", line.trim_end());
    };
    let count = |number: u64| HumanCount(number).to_string();

    row("pages", count(tally.total()), "");
    for outcome in [Outcome::Html, Outcome::Other, Outcome::Redirect] {
        row(&format!("  {}", outcome.label()), count(tally.of(outcome)), "");
    }
    row("failures", count(tally.failures()), "");
    for outcome in Outcome::ALL.into_iter().filter(|outcome| outcome.is_failure() && tally.of(*outcome) > 0) {
        let sample = crawler.sample(outcome).map(|sample| format!("as {sample:.LONGEST_SAMPLE$}"));
        row(&format!("  {}", outcome.label()), count(tally.of(outcome)), &sample.unwrap_or_default());
    }
    let (links, elsewhere) = crawler.links();
    row("links", count(links), "");
    row("  leading elsewhere", count(elsewhere), "");
    row("bytes", count(crawler.bytes()), "");
    row("requests", count(crawler.requests()), "");
    row("  killed for slowness", count(crawler.kills()), "");
    let rate = crawler.requests() as f64 / time.as_secs_f64().max(1e-9);
    row("requests per second", count(rate as u64), "");
    row("greenlets alive at most", count(alive as u64), "");
    let memory = peak_memory().map_or_else(|| "unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
    row("peak memory", memory, "");
    row("time", format!("{:.2} s", time.as_secs_f64()), "");
    table
}

/// Compares what the crawler has counted with what the site knows. An error is a message that names
/// each difference.
pub(crate) fn compare(site: &Site, crawler: &Crawler) -> Result<(), String> {
    let (expected, counted) = (site.expected(), crawler.tally());
    let mut differences = String::new();
    let mut check = |what: &str, expected: u64, counted: u64| {
        if expected != counted {
            let _ = write!(differences, "\n  {what}: {expected} expected, {counted} counted");
        }
    };
    check("pages", expected.total(), counted.total());
    for outcome in Outcome::ALL {
        check(outcome.label(), expected.of(outcome), counted.of(outcome));
    }
    check("bytes", site.bytes(), crawler.bytes());
    check("requests", site.requests(), crawler.requests());
    check("requests for what is no page", 0, site.strays());
    let (slow, left) = site.slow();
    check("requests for slow pages that were given up", slow, left);
    if differences.is_empty() {
        return Ok(());
    }
    let mut message = format!("the crawl and the site disagree:{differences}");
    if counted.of(Outcome::Slow) > expected.of(Outcome::Slow) {
        message.push_str(
            "\nPages that answer at once were killed: this machine needs a longer --timeout for so much",
        );
        message.push_str(" --concurrency.");
    }
    Err(message)
}
