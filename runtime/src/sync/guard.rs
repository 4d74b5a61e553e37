//! The traits that all guards of values have.

/// Implements `Deref`, `Debug` and `Display` for a guard with a field `value` that leads to the value.
macro_rules! guard {
    ([$($generics:tt)*] $Guard:ty) => {
        impl<$($generics)*> std::ops::Deref for $Guard {
            type Target = T;

            fn deref(&self) -> &T {
                &self.value
            }
        }

        impl<$($generics)*> std::fmt::Debug for $Guard
        where
            T: std::fmt::Debug,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)*> std::fmt::Display for $Guard
        where
            T: std::fmt::Display,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// Implements what every lock around a value has: `Default`, `From`, and a `Debug` that shows the
/// value if `try_read` locks it without a wait.
macro_rules! lock {
    ([$($generics:tt)*] $Lock:ty, $name:literal, $try_read:ident $(, $($bound:tt)*)?) => {
        impl<T: Default, $($generics)*> Default for $Lock $(where $($bound)*)? {
            fn default() -> Self {
                Self::new(T::default())
            }
        }

        impl<T, $($generics)*> From<T> for $Lock $(where $($bound)*)? {
            fn from(value: T) -> Self {
                Self::new(value)
            }
        }

        impl<T: ?Sized + std::fmt::Debug, $($generics)*> std::fmt::Debug for $Lock {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut debug = f.debug_struct($name);
                match self.$try_read() {
                    Some(value) => debug.field("value", &&*value),
                    None => debug.field("value", &format_args!("<locked>")),
                };
                debug.finish()
            }
        }
    };
}

pub(super) use {guard, lock};
