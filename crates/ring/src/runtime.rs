//! The runtime: its turn, its start and its end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use io_uring::{opcode, types};

use crate::driver::{Driver, Effect};
use crate::error::Unavailable;
use crate::executor::{Executor, TaskHandle};
use crate::local::Local;
use crate::net::TcpStream;
use crate::op::Tag;
use crate::queue::Wait;
use crate::slab::Key;
use crate::stats::Stats;
use crate::time::Timers;
use crate::wake::{MAIN, Remote, TaskId};
use crate::{Config, limits};

/// A single-threaded executor over one ring. It belongs to the thread that made it.
///
/// Dropping it drops all tasks and parked streams, cancels what is in flight, and waits for it, at
/// most [`limits::REAP_WAIT`], before any memory is freed.
pub struct Runtime {
    local: Rc<Local>,
    effects: Vec<Effect>,
}

impl Runtime {
    /// Sets up a ring for the calling thread.
    ///
    /// # Errors
    /// [`Unavailable`], whose text says what is wrong and what to change.
    pub fn new(config: Config) -> Result<Self, Unavailable> {
        let config = checked(config)?;
        if let Some(cpu) = config.cpu {
            pin_thread(cpu)?;
        }
        let remote = Remote::register()?;
        let made = Driver::new(&config, remote.event())
            .and_then(|driver| pin_workers(&driver, config.cpu).map(|()| driver));
        let driver = made.inspect_err(|_| remote.unregister())?;
        let now = Instant::now();
        let local = Local {
            driver: RefCell::new(driver),
            executor: RefCell::new(Executor::new()),
            timers: RefCell::new(Timers::new()),
            now: Cell::new(now),
            main_woken: Cell::new(false),
            remote,
        };
        Ok(Self {
            local: Rc::new(local),
            effects: Vec::new(),
        })
    }

    /// Runs `future`, and the tasks beside it, until it is ready. Tasks that are left stay, and go
    /// on with the next call; what they submitted is in the kernel.
    ///
    /// # Panics
    /// When `future` panics, or when the kernel refuses to run the ring, which is a fault of weir.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let _entered = self.local.enter();
        let mut future = pin!(future);
        let id = TaskId {
            runtime: self.local.remote.id,
            index: MAIN,
            generation: 0,
        };
        let waker = id.waker();
        let mut cx = Context::from_waker(&waker);
        self.local.now.set(Instant::now());
        self.local.main_woken.set(true);
        loop {
            self.local.run_tasks();
            self.local.run_ready();
            if self.local.main_woken.replace(false)
                && let Poll::Ready(output) = future.as_mut().poll(&mut cx)
            {
                self.local.driver.borrow_mut().before_enter();
                self.enter(Wait::Poll);
                return output;
            }
            self.turn();
        }
    }

    /// Starts a task, which runs during the next [`Runtime::block_on`]. See [`crate::spawn`].
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskHandle {
        self.local.spawn(Box::pin(future))
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.local.stats()
    }

    /// One visit to the kernel, and what came of it.
    fn turn(&mut self) {
        let local = self.local.clone();
        local.remote.drain(|index| local.wake(index, None));
        local.driver.borrow_mut().before_enter();
        let wait = self.wait();
        self.enter(wait);
        local.remote.awake();
        local.now.set(Instant::now());
        local
            .driver
            .borrow_mut()
            .handle_completions(&mut self.effects);
        local.apply(&mut self.effects);
        self.expire();
        local.remote.drain(|index| local.wake(index, None));
    }

    /// How long the ring may sleep now.
    fn wait(&self) -> Wait {
        let local = &self.local;
        let driver = local.driver.borrow();
        let busy = local.main_woken.get()
            || !local.executor.borrow().is_idle()
            || !driver.ready.is_empty();
        if busy || !local.remote.fall_asleep() {
            return Wait::Poll;
        }
        let next = [local.timers.borrow().next(), driver.wheel.next()];
        match next.into_iter().flatten().min() {
            None => Wait::Forever,
            Some(deadline) => match deadline.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Wait::Poll,
                duration => Wait::For(duration),
            },
        }
    }

    fn enter(&self, wait: Wait) {
        let mut driver = self.local.driver.borrow_mut();
        let Some(queue) = &mut driver.queue else {
            return;
        };
        if let Err(error) = queue.enter(wait) {
            // Bad address, bad descriptor, wrong thread: nothing a caller could do about.
            panic!("io_uring_enter: {error}");
        }
    }

    /// Fires the timers and idle deadlines that are due.
    fn expire(&self) {
        let now = self.local.now.get();
        loop {
            let waker = self.local.timers.borrow_mut().expire(now);
            let Some(waker) = waker else { break };
            waker.wake();
        }
        self.local.driver.borrow_mut().expire_parked(now);
    }

    /// Drops parked streams with what waits for them.
    fn drop_parked(&self) {
        let keys = self.local.driver.borrow().streams.keys();
        for key in keys {
            let parked = self.local.driver.borrow_mut().unpark(key);
            if let Some(parked) = parked {
                drop(TcpStream::from_parts(self.local.clone(), key));
                let _ = catch_unwind(AssertUnwindSafe(|| drop(parked)));
            }
        }
    }

    /// Cancels everything and waits for its end; true when nothing is left in flight.
    fn reap(&mut self) -> bool {
        let local = self.local.clone();
        let give_up = Instant::now() + limits::REAP_WAIT;
        let mut next_cancel = Instant::now();
        loop {
            let mut driver = local.driver.borrow_mut();
            let Some(queue) = &mut driver.queue else {
                return true;
            };
            if queue.in_flight == 0 {
                return true;
            }
            let now = Instant::now();
            if now >= give_up {
                return false;
            }
            // Repeated, because completions handled meanwhile may start what they must end.
            if now >= next_cancel {
                next_cancel = now + Duration::from_millis(100);
                let any = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
                let user_data = Tag::Ignore.with(Key {
                    index: 0,
                    generation: 0,
                });
                // SAFETY: the entry points to no memory.
                unsafe { queue.push(any.user_data(user_data)) };
            }
            if queue.enter(Wait::For(Duration::from_millis(10))).is_err() {
                return false;
            }
            driver.handle_completions(&mut self.effects);
            drop(driver);
            local.apply(&mut self.effects);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _entered = self.local.enter();
        self.local.drop_tasks();
        self.drop_parked();
        let reaped = self.reap();
        // From here on, handles that outlive the runtime find no queue. The ring is closed before
        // the memory it may write to: that goes with the last handle.
        let queue = self.local.driver.borrow_mut().queue.take();
        if reaped {
            drop(queue);
        } else {
            // The kernel may still write to what is in flight: leaked, rather than freed under it.
            std::mem::forget(queue);
            std::mem::forget(self.local.clone());
        }
        self.local.remote.unregister();
    }
}

/// The configuration with its values brought into range.
fn checked(mut config: Config) -> Result<Config, Unavailable> {
    let bad = |field| Err(Unavailable::BadConfig { field });
    if !config.sq_entries.is_power_of_two() || config.sq_entries > 32_768 {
        return bad("sq_entries");
    }
    if !config.cq_entries.is_power_of_two()
        || config.cq_entries < config.sq_entries
        || config.cq_entries > 65_536
    {
        return bad("cq_entries");
    }
    if config.recv_buffers == 0 || config.recv_buffers > limits::RECV_BUFFERS_MAX {
        return bad("recv_buffers");
    }
    config.recv_buffers = config.recv_buffers.next_power_of_two();
    if config.udp_buffers == 0 || config.udp_buffers > limits::RECV_BUFFERS_MAX {
        return bad("udp_buffers");
    }
    config.udp_buffers = config.udp_buffers.next_power_of_two();
    if !(64..=limits::RECV_BUFFER_LEN_MAX).contains(&config.recv_buffer_len) {
        return bad("recv_buffer_len");
    }
    if config
        .cpu
        .is_some_and(|cpu| cpu >= libc::CPU_SETSIZE as usize)
    {
        return bad("cpu");
    }
    Ok(config)
}

fn cpu_set(cpu: usize) -> libc::cpu_set_t {
    // SAFETY: a processor set is plain bits, for which zero is the empty set; `checked` has bounded
    // the processor's number.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        set
    }
}

fn pin_thread(cpu: usize) -> Result<(), Unavailable> {
    let set = cpu_set(cpu);
    // SAFETY: the set is valid for its size; 0 names the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(Unavailable::Other {
            call: "sched_setaffinity",
            source: io::Error::last_os_error(),
        }),
    }
}

fn pin_workers(driver: &Driver, cpu: Option<usize>) -> Result<(), Unavailable> {
    let (Some(cpu), Some(queue)) = (cpu, &driver.queue) else {
        return Ok(());
    };
    queue
        .ring()
        .submitter()
        .register_iowq_aff(&cpu_set(cpu))
        .map_err(|e| Unavailable::from_os("IORING_REGISTER_IOWQ_AFF", e))
}
