//! The parts of the two ends that are the same for both kinds of channels.

/// Declares the constructors, the methods of `Sender` and `Receiver` that every channel has, and
/// the iterators, for the module that invokes it. It has the two types, its `State`, and their
/// `send_for`, `recv_for` and `try_recv`.
macro_rules! ends {
    () => {
        /// Creates a channel for at most `room` messages. With zero, a sender waits until its
        /// message is received.
        pub fn bounded<T: 'static>(room: usize) -> (Sender<T>, Receiver<T>) {
            channel(Some(room))
        }

        /// Creates a channel without limit: sending never waits.
        pub fn unbounded<T: 'static>() -> (Sender<T>, Receiver<T>) {
            channel(None)
        }

        impl<T: 'static> Sender<T> {
            /// Sends a message, waiting for room if there is none. Lets other greenlets run only if
            /// it waits.
            ///
            /// # Errors
            ///
            /// Returns [`SendError`] with the message if every receiver is dropped before or during
            /// the wait.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout during the wait sends nothing and drops the message, unless the
            /// capacity is zero and the message was received at that very moment.
            pub fn send(&self, message: T) -> Result<(), SendError<T>> {
                self.send_for(message, Limit::Never).map_err(|error| SendError(error.into_inner()))
            }

            /// Sends a message, waiting at most `timeout` for room.
            ///
            /// # Errors
            ///
            /// Returns [`SendTimeoutError`] with the message.
            ///
            /// # Cancellation
            ///
            /// Same as for [`send`](Sender::send).
            pub fn send_timeout(
                &self,
                message: T,
                timeout: impl Into<Limit>,
            ) -> Result<(), SendTimeoutError<T>> {
                self.send_for(message, timeout.into())
            }

            /// Returns the number of messages that are stored or offered.
            pub fn len(&self) -> usize {
                self.queue.with(State::len)
            }

            /// Returns `true` if no message is stored or offered.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns the capacity; `None` means no limit.
            pub fn capacity(&self) -> Option<usize> {
                self.queue.with(|state| state.room)
            }

            /// Returns `true` if both send into the same channel.
            pub fn same_channel(&self, other: &Sender<T>) -> bool {
                self.queue.is(&other.queue)
            }
        }

        impl<T: 'static> Receiver<T> {
            /// Receives a message, waiting for one if there is none. Lets other greenlets run only
            /// if it waits.
            ///
            /// # Errors
            ///
            /// Returns [`RecvError`] if every sender is dropped and no message is left.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout during the wait receives nothing.
            pub fn recv(&self) -> Result<T, RecvError> {
                self.recv_for(Limit::Never).map_err(|_| RecvError)
            }

            /// Receives a message, waiting at most `timeout` for one.
            ///
            /// # Errors
            ///
            /// Returns [`RecvTimeoutError`].
            ///
            /// # Cancellation
            ///
            /// Same as for [`recv`](Receiver::recv).
            pub fn recv_timeout(&self, timeout: impl Into<Limit>) -> Result<T, RecvTimeoutError> {
                self.recv_for(timeout.into())
            }

            /// Iterates over messages until every sender is dropped. Waits for each message. Lets
            /// other greenlets run only if it waits.
            ///
            /// # Cancellation
            ///
            /// Same as for [`recv`](Receiver::recv).
            pub fn iter(&self) -> Iter<'_, T> {
                Iter { receiver: self }
            }

            /// Iterates over the messages that are available. Does not wait.
            pub fn try_iter(&self) -> TryIter<'_, T> {
                TryIter { receiver: self }
            }

            /// Returns the number of messages that are stored or offered.
            pub fn len(&self) -> usize {
                self.queue.with(State::len)
            }

            /// Returns `true` if no message is stored or offered.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns the capacity; `None` means no limit.
            pub fn capacity(&self) -> Option<usize> {
                self.queue.with(|state| state.room)
            }

            /// Returns `true` if both receive from the same channel.
            pub fn same_channel(&self, other: &Receiver<T>) -> bool {
                self.queue.is(&other.queue)
            }
        }

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

        impl<T> fmt::Debug for Sender<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
            }
        }

        impl<T> fmt::Debug for Receiver<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use ends;
