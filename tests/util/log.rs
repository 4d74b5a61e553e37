//! A log that greenlets, links and callbacks of one test write to, and that the test compares with
//! what it promises.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

/// Words in the order in which they were added. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A log of the errors that the hub of this thread reports, which are no longer printed.
    pub(crate) fn of_errors() -> Self {
        let log = Self::new();
        let seen = log.clone();
        let handler = move |_: &ramie::hub::ErrorContext, failure: &ramie::Failure| seen.add(failure);
        ramie::get_hub().set_error_handler(Some(Rc::new(handler)));
        log
    }

    pub(crate) fn add(&self, word: impl Display) {
        self.0.borrow_mut().push(word.to_string());
    }

    /// A body or callback that adds one word.
    pub(crate) fn adder<D: Display + 'static>(&self, word: D) -> impl FnOnce() + use<D> {
        let log = self.clone();
        move || log.add(word)
    }

    /// A link that adds one word.
    pub(crate) fn linker<D: Display + 'static, G>(&self, word: D) -> impl FnOnce(&G) + use<D, G> {
        let log = self.clone();
        move |_| log.add(word)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn words(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Returns the words since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// Compares the whole log, its words separated by blanks.
    #[track_caller]
    pub(crate) fn expect(&self, words: &str) {
        assert_eq!(self.words().join(" "), words);
    }
}
