//! The progress on stderr, when that is a terminal.

use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ramie::Greenlet;

use crate::crawler::Crawler;

const INTERVAL: Duration = Duration::from_millis(80);

/// A bar that a greenlet of its own keeps up to date.
pub(crate) struct Progress {
    bar: ProgressBar,
    painter: Option<Greenlet<()>>,
}

impl Progress {
    /// Shows the progress of a crawl. Starts nothing if the output is no terminal.
    pub(crate) fn start(crawler: &Rc<Crawler>) -> Self {
        let bar = ProgressBar::new(0);
        if bar.is_hidden() {
            return Progress { bar, painter: None };
        }
        let style = "{elapsed:>4} [{bar:30}] {human_pos} of {human_len} pages, {msg}";
        bar.set_style(
            ProgressStyle::with_template(style).expect("the template is correct").progress_chars("=> "),
        );
        let painter = ramie::spawn({
            let (bar, crawler) = (bar.clone(), crawler.clone());
            move || loop {
                paint(&bar, &crawler);
                ramie::sleep(INTERVAL);
            }
        });
        Progress { bar, painter: Some(painter) }
    }

    /// Takes the bar away again.
    pub(crate) fn finish(self) {
        if let Some(painter) = self.painter {
            painter.kill();
        }
        self.bar.finish_and_clear();
    }
}

fn paint(bar: &ProgressBar, crawler: &Crawler) {
    let (tally, active) = (crawler.tally(), crawler.active());
    let greenlets = ramie::get_hub().stats().greenlets;
    bar.set_message(format!("{active} in progress, {} failed, {greenlets} greenlets", tally.failures()));
    bar.update(|state| {
        state.set_len(crawler.known() as u64);
        state.set_pos(tally.total());
    });
}
