//! Panics of drivers, as errors.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

/// Runs `work`, which panics where a driver is missing, and keeps the panic's message off standard error. The error is
/// the first line of the first panic in any thread: the calling thread's own panic often says only that the driver's
/// thread is gone.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let first = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&first);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if let Ok(mut first) = seen.lock() {
            first.get_or_insert_with(|| first_line(panic.payload()));
        }
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.map_err(|payload| {
        let first = first.lock().ok().and_then(|mut first| first.take());
        first.unwrap_or_else(|| first_line(payload.as_ref()))
    })
}

fn first_line(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("unknown failure");
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_of_any_thread_is_the_reason() {
        let result = catch(|| {
            let driver = std::thread::spawn(|| panic!("no adapter\nand a page of advice"));
            assert!(driver.join().is_ok(), "the driver's thread is gone");
        });
        assert_eq!(result, Err("no adapter".to_owned()));
        assert_eq!(catch(|| 1), Ok(1));
    }
}
