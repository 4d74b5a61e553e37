//! Arguments that hold several objects: anything that can be iterated over, and tuples.
//!
//! A tuple may hold objects of different types, but it is no iterator, and a trait cannot be
//! implemented for all iterators and for tuples too, because a tuple might become an iterator one
//! day. The parameter of the traits keeps the two implementations apart; the compiler infers it.

use crate::task::AnyGreenlet;
use crate::wait::waitable::Waitable;

/// The parameter of [`IntoWaitables`] and [`IntoGreenlets`] for what can be iterated over.
#[derive(Debug)]
pub enum Iterated {}

/// The parameter of [`IntoWaitables`] and [`IntoGreenlets`] for tuples.
#[derive(Debug)]
pub enum Listed {}

/// Several objects for [`wait`](crate::wait()), [`wait_timeout`](crate::wait_timeout) and
/// [`iwait`](crate::iwait): anything that can be iterated over, or a tuple of references to objects
/// of different types.
///
/// | argument | item |
/// |---|---|
/// | `&vec`, `&array`, a slice of `W` | `&W` |
/// | a `Vec`, an array, an iterator of `W` | `W` |
/// | `(&a, &b)`, `&(a, b)`, up to twelve | `&dyn Waitable` |
///
/// `Kind` is inferred. The items of an iterator are collected before anything is waited for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::sync::Event;
/// use ramie::{iwait, sleep, spawn, wait};
///
/// let naps = [2, 1].map(|ms| spawn(move || sleep(Duration::from_millis(ms))));
/// assert_eq!(wait(&naps).len(), 2);
/// assert_eq!(wait(naps.iter().filter(|g| g.dead())).len(), 2);
///
/// let (event, number, word) = (Event::new(), spawn(|| 5), spawn(|| "five"));
/// let mut ready = iwait((&event, &number, &word));
/// ready.next();
/// assert_eq!(ready.last_index(), Some(1));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold waitable objects",
    note = "pass `&vec`, `&array`, a slice or an iterator, or for mixed types a tuple of references: `(&event, &greenlet)`"
)]
pub trait IntoWaitables<Kind> {
    /// The form in which an object is returned.
    type Item: Waitable;

    /// Returns the objects, in order.
    fn into_waitables(self) -> impl Iterator<Item = Self::Item>;
}

/// Several greenlets for [`joinall`](crate::joinall), [`killall`](crate::killall) and their
/// variants: anything that can be iterated over, or a tuple of references to greenlets of different
/// result types.
///
/// | argument | item |
/// |---|---|
/// | `&vec`, `&array`, a slice of `G` | `&G` |
/// | a `Vec`, an array, an iterator of `G` | `G` |
/// | `(&a, &b)`, `&(a, b)`, up to twelve | `&AnyGreenlet` |
///
/// `Kind` is inferred. The items of an iterator are collected before anything is waited for or
/// killed.
///
/// # Examples
///
/// ```
/// use ramie::{Group, joinall, killall, spawn, yield_now};
///
/// let (number, word) = (spawn(|| 5), spawn(|| "five"));
/// joinall((&number, &word));
/// assert_eq!((number.get().unwrap(), word.get().unwrap()), (5, "five"));
///
/// let group = Group::new();
/// let members = [group.spawn(yield_now).as_any().clone(), group.spawn(|| 5).as_any().clone()];
/// killall(group.iter());
/// assert_eq!(joinall(&members).len(), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold greenlets",
    note = "pass `&vec`, `&array`, a slice or an iterator, or for mixed types a tuple of references: `(&first, &second)`"
)]
pub trait IntoGreenlets<Kind> {
    /// The form in which a greenlet is returned.
    type Item: AsRef<AnyGreenlet>;

    /// Returns the greenlets, in order.
    fn into_greenlets(self) -> impl Iterator<Item = Self::Item>;
}

impl<I: IntoIterator<Item: Waitable>> IntoWaitables<Iterated> for I {
    type Item = I::Item;

    fn into_waitables(self) -> impl Iterator<Item = I::Item> {
        self.into_iter()
    }
}

impl<I: IntoIterator<Item: AsRef<AnyGreenlet>>> IntoGreenlets<Iterated> for I {
    type Item = I::Item;

    fn into_greenlets(self) -> impl Iterator<Item = I::Item> {
        self.into_iter()
    }
}

/// Implements both traits for tuples of one length.
macro_rules! tuple {
    ($($element:ident)+) => {
        impl<'a, $($element: Waitable),+> IntoWaitables<Listed> for ($(&'a $element,)+) {
            type Item = &'a dyn Waitable;

            fn into_waitables(self) -> impl Iterator<Item = &'a dyn Waitable> {
                #[expect(non_snake_case, reason = "an element has the name of its type")]
                let ($($element,)+) = self;
                [$($element as &dyn Waitable),+].into_iter()
            }
        }

        impl<'a, $($element: Waitable),+> IntoWaitables<Listed> for &'a ($($element,)+) {
            type Item = &'a dyn Waitable;

            fn into_waitables(self) -> impl Iterator<Item = &'a dyn Waitable> {
                #[expect(non_snake_case, reason = "an element has the name of its type")]
                let ($($element,)+) = self;
                [$($element as &dyn Waitable),+].into_iter()
            }
        }

        impl<'a, $($element: AsRef<AnyGreenlet>),+> IntoGreenlets<Listed> for ($(&'a $element,)+) {
            type Item = &'a AnyGreenlet;

            fn into_greenlets(self) -> impl Iterator<Item = &'a AnyGreenlet> {
                #[expect(non_snake_case, reason = "an element has the name of its type")]
                let ($($element,)+) = self;
                [$($element.as_ref()),+].into_iter()
            }
        }

        impl<'a, $($element: AsRef<AnyGreenlet>),+> IntoGreenlets<Listed> for &'a ($($element,)+) {
            type Item = &'a AnyGreenlet;

            fn into_greenlets(self) -> impl Iterator<Item = &'a AnyGreenlet> {
                #[expect(non_snake_case, reason = "an element has the name of its type")]
                let ($($element,)+) = self;
                [$($element.as_ref()),+].into_iter()
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
