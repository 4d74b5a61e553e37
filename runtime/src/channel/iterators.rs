//! The iterators of a receiver, which are the same for both kinds of channels.

/// Declares `Iter`, `TryIter` and `IntoIter` for the `Receiver` of the module that invokes it.
macro_rules! iterators {
    () => {
        /// An iterator that receives until every sender is dropped. Returned by [`Receiver::iter`].
        #[derive(Debug)]
        pub struct Iter<'a, T: 'static> {
            receiver: &'a Receiver<T>,
        }

        impl<T> Iterator for Iter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.receiver.recv().ok()
            }
        }

        /// An iterator over the messages that are available. Returned by [`Receiver::try_iter`].
        #[derive(Debug)]
        pub struct TryIter<'a, T: 'static> {
            receiver: &'a Receiver<T>,
        }

        impl<T> Iterator for TryIter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.receiver.try_recv().ok()
            }
        }

        /// An iterator that owns its receiver.
        #[derive(Debug)]
        pub struct IntoIter<T: 'static> {
            receiver: Receiver<T>,
        }

        impl<T> Iterator for IntoIter<T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.receiver.recv().ok()
            }
        }

        impl<T> IntoIterator for Receiver<T> {
            type Item = T;
            type IntoIter = IntoIter<T>;

            fn into_iter(self) -> IntoIter<T> {
                IntoIter { receiver: self }
            }
        }

        impl<'a, T> IntoIterator for &'a Receiver<T> {
            type Item = T;
            type IntoIter = Iter<'a, T>;

            fn into_iter(self) -> Iter<'a, T> {
                self.iter()
            }
        }
    };
}

pub(crate) use iterators;
