//! Timers.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Random, run, until};
use weir_ring::{Elapsed, now, sleep, sleep_until, spawn, stats, timeout, yield_now};

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    run(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = Instant::now();
        let registered = Rc::new(Cell::new(start));
        let mut random = Random(42);
        for _ in 0..300 {
            let deadline = start + Duration::from_micros(random.next() % 40_000);
            let (order, registered) = (order.clone(), registered.clone());
            spawn(async move {
                registered.set(Instant::now());
                sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
                order.borrow_mut().push(deadline);
            });
        }
        until(|| order.borrow().len() == 300).await;
        // Those that were due before the last of them began to wait had no order to keep.
        let mut order = order.take();
        order.retain(|deadline| *deadline > registered.get());
        assert!(order.is_sorted());
        assert_eq!(stats().panics, 0);
    });
}

#[test]
fn sleeping_costs_one_kernel_wait() {
    run(async {
        sleep(Duration::from_millis(1)).await;
        let before = stats();
        for _ in 0..100 {
            spawn(sleep(Duration::from_millis(20)));
        }
        sleep(Duration::from_millis(25)).await;
        let after = stats();
        assert_eq!(after.submissions, before.submissions);
        assert!(after.enters - before.enters < 120);
    });
}

#[test]
fn a_timeout_gives_the_output_or_elapses() {
    run(async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        let never = std::future::pending::<()>();
        assert_eq!(timeout(Duration::from_millis(2), never).await, Err(Elapsed));
        let nested = timeout(
            Duration::from_secs(5),
            timeout(Duration::from_millis(2), sleep(Duration::MAX)),
        );
        assert_eq!(nested.await, Ok(Err(Elapsed)));
    });
}

#[test]
fn the_past_is_over_at_once() {
    run(async {
        let before = stats().enters;
        sleep_until(now() - Duration::from_secs(1)).await;
        assert_eq!(stats().enters, before);
    });
}

#[test]
fn now_stands_still_within_a_turn() {
    run(async {
        let first = now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(now(), first);
        yield_now().await;
        assert!(now() >= first + Duration::from_millis(2));
    });
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    run(async {
        for _ in 0..10_000 {
            let mut sleeping = std::pin::pin!(sleep(Duration::from_secs(3600)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(Future::poll(sleeping.as_mut(), &mut context).is_pending());
        }
        // Were they kept, the ring would still sleep no longer than the first of them.
        sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn an_alarm_strikes_at_the_deadline_it_was_last_given() {
    run(async {
        let mut alarm = weir_ring::Alarm::default();
        let start = now();
        // Moved on again and again, it does not strike at the first.
        for i in 1..10 {
            let deadline = start + Duration::from_millis(20 * i);
            let guarded = alarm.guard(deadline, sleep(Duration::from_millis(2)));
            assert_eq!(guarded.await, Ok(()));
        }
        let never = std::future::pending::<()>();
        let deadline = now() + Duration::from_millis(30);
        let guarded = alarm.guard(deadline, never).await;
        assert_eq!(guarded, Err(Elapsed));
        assert!(now() >= deadline);
        // An earlier one than before is kept as well.
        let far = now() + Duration::from_secs(3600);
        let guarded = alarm.guard(far, yield_now());
        assert_eq!(guarded.await, Ok(()));
        let near = now() + Duration::from_millis(5);
        let never = std::future::pending::<()>();
        assert!(alarm.guard(near, never).await.is_err());
    });
}
