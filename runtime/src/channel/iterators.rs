//! The iterators of a channel's receiving end, which are the same for both kinds of channels.

/// Declares `Iter`, `TryIter` and `IntoIter` for the `Receiver` of the module it stands in.
macro_rules! iterators {
    () => {
        /// An iterator that receives until every sender is gone. Made by [`Receiver::iter`].
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

        /// An iterator over what is there. Made by [`Receiver::try_iter`].
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

        /// An iterator that owns its end of the channel.
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
