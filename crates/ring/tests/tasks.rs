//! Tasks, wakers, permits and notices.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{join, run, until};
use weir_ring::{
    Config, Notify, Permits, Runtime, TaskHandle, select, sleep, spawn, stats, yield_now,
};

/// Tells when it is dropped.
struct Dropped(Rc<Cell<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn ten_thousand_tasks_run() {
    run(async {
        let count = Rc::new(Cell::new(0));
        for n in 0..10_000 {
            let count = count.clone();
            spawn(async move {
                if n % 3 == 0 {
                    yield_now().await;
                }
                count.set(count.get() + 1);
            });
        }
        while count.get() < 10_000 {
            yield_now().await;
        }
        assert_eq!(stats().spawned, 10_000);
    });
}

#[test]
fn an_aborted_task_is_dropped_at_once() {
    run(async {
        let drops = Rc::new(Cell::new(0));
        let guard = Dropped(drops.clone());
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert_eq!(drops.get(), 1);
        assert!(task.is_finished());
        task.abort();
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn a_task_can_abort_itself() {
    run(async {
        let drops = Rc::new(Cell::new(0));
        let guard = Dropped(drops.clone());
        let handle: Rc<RefCell<Option<TaskHandle>>> = Rc::default();
        let own = handle.clone();
        *handle.borrow_mut() = Some(spawn(async move {
            let _guard = guard;
            own.borrow().as_ref().unwrap().abort();
            pending::<()>().await;
        }));
        yield_now().await;
        yield_now().await;
        assert_eq!(drops.get(), 1);
        assert!(handle.borrow().as_ref().unwrap().is_finished());
    });
}

#[test]
fn a_detached_task_goes_on() {
    run(async {
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        drop(spawn(async move {
            sleep(Duration::from_millis(1)).await;
            flag.set(true);
        }));
        until(|| done.get()).await;
    });
}

#[test]
fn a_panicking_task_takes_nobody_with_it() {
    run(async {
        let drops = Rc::new(Cell::new(0));
        let guard = Dropped(drops.clone());
        let task = spawn(async move {
            let _guard = guard;
            panic!("on purpose");
        });
        until(|| task.is_finished()).await;
        assert_eq!((drops.get(), stats().panics), (1, 1));
    });
}

#[test]
fn a_busy_task_does_not_starve_the_others() {
    run(async {
        let spinner = spawn(async {
            loop {
                yield_now().await;
            }
        });
        for _ in 0..20 {
            sleep(Duration::from_micros(100)).await;
        }
        spinner.abort();
    });
}

#[test]
fn tasks_survive_between_two_calls_of_block_on() {
    let mut runtime = Runtime::new(Config::default()).unwrap();
    let done = Rc::new(Cell::new(0));
    let flag = done.clone();
    let task = runtime.spawn(async move {
        loop {
            sleep(Duration::from_millis(1)).await;
            flag.set(flag.get() + 1);
        }
    });
    runtime.block_on(until(|| done.get() > 0));
    let first = done.get();
    runtime.block_on(until(|| done.get() > first));
    assert!(!task.is_finished());
    drop(runtime);
    assert!(task.is_finished());
}

#[test]
fn tasks_spawned_while_the_runtime_ends_are_dropped() {
    struct Spawner(Rc<Cell<u32>>);
    impl Drop for Spawner {
        fn drop(&mut self) {
            let guard = Dropped(self.0.clone());
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
    }
    let drops = Rc::new(Cell::new(0));
    let spawner = Spawner(drops.clone());
    let mut runtime = Runtime::new(Config::default()).unwrap();
    runtime.spawn(async move {
        let _spawner = spawner;
        pending::<()>().await;
    });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_waker_works_from_another_thread_and_after_its_task() {
    run(async {
        for _ in 0..500 {
            let mut thread = None;
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return Poll::Ready(());
                }
                let waker: Waker = cx.waker().clone();
                thread = Some(std::thread::spawn(move || {
                    waker.wake_by_ref();
                    waker
                }));
                Poll::Pending
            })
            .await;
            thread.unwrap().join().unwrap().wake();
        }
        let late: Rc<RefCell<Option<Waker>>> = Rc::default();
        let slot = late.clone();
        spawn(poll_fn(move |cx| {
            *slot.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        yield_now().await;
        yield_now().await;
        late.take().unwrap().wake();
    });
}

#[test]
fn many_threads_wake_many_tasks() {
    run(async {
        let done = Rc::new(Cell::new(0));
        let (send, mut wakers) = weir_ring::channel::<Waker>(256);
        for _ in 0..200 {
            let (done, send) = (done.clone(), send.clone());
            spawn(async move {
                for _ in 0..20 {
                    let mut asked = false;
                    poll_fn(|cx| {
                        if asked {
                            return Poll::Ready(());
                        }
                        asked = true;
                        send.try_send(cx.waker().clone()).unwrap();
                        Poll::Pending
                    })
                    .await;
                }
                done.set(done.get() + 1);
            });
        }
        let (forward, jobs) = std::sync::mpsc::channel::<Waker>();
        let jobs = std::sync::Arc::new(std::sync::Mutex::new(jobs));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let jobs = jobs.clone();
                std::thread::spawn(move || {
                    loop {
                        let Ok(waker) = jobs.lock().unwrap().recv() else {
                            return;
                        };
                        waker.wake();
                    }
                })
            })
            .collect();
        drop(send);
        while let Some(waker) = wakers.recv().await {
            forward.send(waker).unwrap();
        }
        assert_eq!(done.get(), 200);
        drop(forward);
        for thread in threads {
            join(thread).await;
        }
    });
}

#[test]
fn permits_bound_and_serve_in_order() {
    run(async {
        let permits = Permits::new(2);
        let order = Rc::new(RefCell::new(Vec::new()));
        let (first, second) = (permits.acquire().await, permits.try_acquire().unwrap());
        assert!(permits.try_acquire().is_none());
        for n in 0..4 {
            let (permits, order) = (permits.clone(), order.clone());
            spawn(async move {
                let _permit = permits.acquire().await;
                order.borrow_mut().push(n);
                yield_now().await;
            });
        }
        yield_now().await;
        // One that gives up loses no permit and holds up nobody.
        assert!(
            weir_ring::timeout(Duration::ZERO, permits.acquire())
                .await
                .is_err()
        );
        drop((first, second));
        until(|| order.borrow().len() == 4 && permits.available() == 2).await;
        assert_eq!(*order.borrow(), [0, 1, 2, 3]);
        assert_eq!(permits.available(), 2);
    });
}

#[test]
fn a_permit_granted_to_a_dropped_waiter_goes_on() {
    run(async {
        let permits = Permits::new(1);
        let held = permits.acquire().await;
        let granted = spawn({
            let permits = permits.clone();
            async move {
                let _permit = permits.acquire().await;
                unreachable!("aborted after the grant, before the poll");
            }
        });
        yield_now().await;
        drop(held);
        granted.abort();
        assert_eq!(permits.available(), 1);
    });
}

#[test]
fn a_notice_reaches_all_that_waited_and_none_that_came_later() {
    run(async {
        let notify = Notify::new();
        let woken = Rc::new(Cell::new(0));
        for _ in 0..1000 {
            let (notify, woken) = (notify.clone(), woken.clone());
            spawn(async move {
                notify.notified().await;
                woken.set(woken.get() + 1);
            });
        }
        let unpolled = notify.notified();
        // A turn polls a quarter of them.
        for _ in 0..10 {
            yield_now().await;
        }
        let dropped = weir_ring::timeout(Duration::ZERO, notify.notified()).await;
        assert!(dropped.is_err());
        notify.notify_all();
        unpolled.await;
        let later = select(notify.notified(), until(|| woken.get() == 1000)).await;
        assert_eq!(later, weir_ring::Either::Right(()));
    });
}
