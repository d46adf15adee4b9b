//! Requests that wait until a stream has content.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use weir_media::StreamName;
use weir_net::{ConnectionGuard, ConnectionLimits, Refused};
use weir_ring::{Notified, Notify};

use crate::limits::{HELD_MAX, HELD_PER_ADDRESS_MAX};

/// The waiting requests of one worker, by stream.
pub(crate) struct Waiters {
    by_stream: RefCell<HashMap<StreamName, Rc<Notify>>>,
    /// Requests count here as connections do elsewhere: in all, and by who sent them.
    limits: ConnectionLimits,
}

impl Waiters {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            by_stream: RefCell::default(),
            limits: ConnectionLimits::new(HELD_MAX, HELD_PER_ADDRESS_MAX),
        })
    }

    /// The place where a client's request waits, `longest` at most. The place counts while it is
    /// kept.
    ///
    /// # Errors
    /// Too many wait already, in all or of this client.
    pub(crate) fn place(
        self: &Rc<Self>,
        name: &StreamName,
        client: IpAddr,
        longest: Duration,
    ) -> Result<Place, Refused> {
        let guard = self.limits.admit(client)?;
        let mut by_stream = self.by_stream.borrow_mut();
        let notify = by_stream.entry(name.clone()).or_default().clone();
        Ok(Place {
            waiters: self.clone(),
            name: name.clone(),
            news: notify.notified(),
            notify,
            longest,
            _guard: guard,
        })
    }

    /// Wakes all that wait for a stream.
    pub(crate) fn wake(&self, name: &StreamName) {
        if let Some(notify) = self.by_stream.borrow().get(name) {
            notify.notify_all();
        }
    }
}

/// One waiting request.
pub(crate) struct Place {
    waiters: Rc<Waiters>,
    name: StreamName,
    notify: Rc<Notify>,
    /// Begun where the place was taken: what is told before the first poll is not missed.
    news: Notified,
    /// How long the request waits, from its arrival on.
    pub(crate) longest: Duration,
    _guard: ConnectionGuard,
}

impl Place {
    /// Waits for the next news of the stream since the place was taken.
    pub(crate) fn news(&mut self) -> &mut Notified {
        &mut self.news
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Two references are the table's and this one: nobody else waits.
        if Rc::strong_count(&self.notify) == 2 {
            self.waiters.by_stream.borrow_mut().remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_before_the_first_poll_are_not_missed() {
        let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
        let waiters = Waiters::new();
        let name = StreamName::parse("cam").unwrap();
        let client = IpAddr::from([192, 0, 2, 1]);
        let longest = Duration::from_secs(1);
        let mut place = waiters.place(&name, client, longest).ok().unwrap();
        waiters.wake(&name);
        let told = runtime.block_on(weir_ring::timeout(longest, place.news()));
        assert!(told.is_ok());
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let waiters = Waiters::new();
        let place = |name: &StreamName, client| waiters.place(name, client, Duration::from_secs(1));
        let name = |n: usize| StreamName::parse(&format!("s{}", n % 3)).unwrap();
        let greedy = IpAddr::from([192, 0, 2, 1]);
        let mut places: Vec<_> = (0..HELD_PER_ADDRESS_MAX)
            .map(|n| place(&name(n), greedy).ok().unwrap())
            .collect();
        assert_eq!(place(&name(0), greedy).err(), Some(Refused::Address));
        let other = place(&name(0), IpAddr::from([192, 0, 2, 2]));
        assert!(other.is_ok());
        places.pop();
        places.push(place(&name(0), greedy).ok().unwrap());
        // In all there are more, and not without end.
        let more = (1..).map(|n: u32| place(&name(0), n.to_be_bytes().into()));
        places.extend(more.take(HELD_MAX).map_while(Result::ok));
        assert_eq!(places.len() + 1, HELD_MAX);
        assert_eq!(place(&name(0), greedy).err(), Some(Refused::Total));
        drop((places, other));
        assert_eq!(waiters.limits.open(), 0);
        assert!(waiters.by_stream.borrow().is_empty());
    }
}
