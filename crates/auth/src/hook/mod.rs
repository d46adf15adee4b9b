//! The authorisation hook: somebody else's program is asked whether a session may publish or
//! play, and told when it is over.
//!
//! Calls, fields and answers are those of nginx-rtmp's `notify` directives, so that programs
//! written for them go on working: see [`encode`] for what is sent and [`Answer::of`] for what
//! an answer means. This module decides and keeps count; whoever makes the [`Hooks`] carries the
//! questions to an HTTP client and brings the answers back. A session asks once, on the worker
//! that accepted it, and takes its [`Permit`] along wherever it moves. The permit's end tells the
//! program that the session is over.
//!
//! It fails closed: a question that cannot be carried, is lost or comes back without a sense is
//! a refusal.

pub mod encode;
mod wait;

use crate::hook::wait::{Reply, Waiting, waiting};
use crate::limits::{HOOK_LOCATION_BYTES_MAX, HOOK_TEXT_BYTES_MAX};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_media::StreamName;

/// What a session wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Publish a stream.
    Publish,
    /// Play one.
    Play,
}

/// The calls that a program can have, by nginx-rtmp's names with `on_` before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// May this be published?
    Publish,
    /// May this be played?
    Play,
    /// A publish session is over.
    PublishDone,
    /// A play session is over.
    PlayDone,
    /// A session of either kind is over; comes beside the other.
    Done,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Publish,
        Self::Play,
        Self::PublishDone,
        Self::PlayDone,
        Self::Done,
    ];

    /// The value of the field `call`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
            Self::PublishDone => "publish_done",
            Self::PlayDone => "play_done",
            Self::Done => "done",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a client said of itself when it connected. Texts are the peer's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Application.
    pub app: String,
    /// The peer's program and version.
    pub flash_ver: String,
    /// Where the peer was loaded from, in the days of Flash.
    pub swf_url: String,
    /// The URL that the peer connected to.
    pub tc_url: String,
    /// The page around it.
    pub page_url: String,
}

impl Client {
    /// The same with each text cut to what is kept and passed on.
    #[must_use]
    pub fn cut(self) -> Self {
        Self {
            app: cut(self.app),
            flash_ver: cut(self.flash_ver),
            swf_url: cut(self.swf_url),
            tc_url: cut(self.tc_url),
            page_url: cut(self.page_url),
        }
    }
}

/// What is told of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The stream's name, as the session asked for it.
    pub name: String,
    /// The session's address.
    pub address: IpAddr,
    /// Number of the connection.
    pub connection: u64,
    /// Who it is.
    pub client: Client,
    /// `live`, `record` or `append`, of a publish session.
    pub kind: String,
    /// The query of the stream key and URL, without `?`, still encoded.
    pub query: String,
}

impl Facts {
    /// Facts of a session that said nothing but what it wants.
    #[must_use]
    pub fn new(name: &StreamName, address: IpAddr, connection: u64) -> Self {
        Self {
            name: name.to_string(),
            address,
            connection,
            client: Client::default(),
            kind: String::new(),
            query: String::new(),
        }
    }

    /// Takes out the secrets that opened an input: they are nobody else's business. Other
    /// arguments stay; those of the application and URL are in the query as well.
    pub fn without_secrets(&mut self) {
        let pairs = self.query.split('&');
        let kept = pairs.filter(|pair| !encode::is_secret(pair));
        self.query = kept.collect::<Vec<_>>().join("&");
        for url in [&mut self.client.tc_url, &mut self.client.app] {
            if let Some(at) = url.find('?') {
                url.truncate(at);
            }
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > HOOK_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(HOOK_TEXT_BYTES_MAX));
        text.shrink_to_fit();
    }
    text
}

/// What a program answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Allow,
    /// It may, as another stream.
    Rename(StreamName),
    /// It may not: the program said so.
    Refuse,
    /// Nobody could be asked, or the answer makes no sense. The reason is for the log.
    Fail(String),
}

impl Answer {
    /// The meaning of an HTTP answer: 2xx allows; 302, 303 and 307 allow, and a `Location` that is a
    /// stream's name renames; 301 and 308, which say that the hook itself is elsewhere, are failures;
    /// anything else refuses.
    ///
    /// A `Location` with slashes means its last segment, because many frameworks make a whole URL
    /// of whatever they are told to redirect to. `rtmp://` would make nginx-rtmp relay the
    /// stream; that is a `[[push]]` or `[[pull]]` here, so it is a failure and not a surprise.
    #[must_use]
    pub fn of(status: u16, location: Option<&[u8]>) -> Self {
        match status {
            200..=299 => Self::Allow,
            301 | 308 => Self::Fail("the hook's address has moved; name the new one".into()),
            302 | 303 | 307 => match location {
                Some(location) => Self::renamed(location),
                None => Self::Allow,
            },
            _ => Self::Refuse,
        }
    }

    fn renamed(location: &[u8]) -> Self {
        let fail = |why: &str| Self::Fail(format!("the hook's Location {why}"));
        if location.len() > HOOK_LOCATION_BYTES_MAX {
            return fail("is too long");
        }
        let Ok(location) = std::str::from_utf8(location) else {
            return fail("is not text");
        };
        let scheme = location.split_once("://").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|s| s.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("rtmp"))) {
            return fail("asks for a relay, which is not done; use push or pull");
        }
        let path = location.split(['?', '#']).next().unwrap_or_default();
        match StreamName::parse(path.rsplit('/').next().unwrap_or_default()) {
            Ok(name) => Self::Rename(name),
            Err(error) => fail(&format!("is no stream: {error}")),
        }
    }
}

/// Something for the HTTP client to do.
#[derive(Debug)]
pub struct Task {
    /// Which call.
    pub call: Call,
    /// Of which session.
    pub facts: Arc<Facts>,
    /// Number of the session's wish, for a receiver that wants to see repetitions.
    pub session: u64,
    /// Where the answer goes; dropped, it is a failure. Calls that only tell have none.
    pub reply: Option<Reply>,
}

/// Takes a task for the HTTP client, or gives it back when there is no room.
type Carry = Box<dyn Fn(Task) -> Result<(), Task> + Send + Sync>;

/// The calls that are configured, and the way to who makes them. One per program.
pub struct Hooks {
    calls: u8,
    carry: Carry,
    sessions: AtomicU64,
    lost: AtomicU64,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = Call::ALL.iter().filter(|call| self.has(**call));
        f.debug_list().entries(calls).finish()
    }
}

impl Hooks {
    /// Nobody is asked and nobody is told.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::new(&[], Box::new(Err))
    }

    /// These calls are made; `carry` brings them to the HTTP client, without waiting.
    #[must_use]
    pub fn new(calls: &[Call], carry: Carry) -> Arc<Self> {
        Arc::new(Self {
            calls: calls.iter().fold(0, |bits, call| bits | call.bit()),
            carry,
            sessions: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// Whether a call is made.
    #[must_use]
    pub const fn has(&self, call: Call) -> bool {
        self.calls & call.bit() != 0
    }

    /// Whether any call is made.
    #[must_use]
    pub const fn has_any(&self) -> bool {
        self.calls != 0
    }

    /// Calls that told something and could not be carried.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Asks whether a session may do what it wishes. The answer comes at once where nobody is to
    /// be asked, and else within the client's timeout. Dropping the future before it is done
    /// forgets the question; a program that allowed it is told then that it is over.
    pub async fn permit(self: &Arc<Self>, wish: Wish, mut facts: Facts) -> Result<Permit, Answer> {
        facts.client = facts.client.cut();
        facts.kind = cut(facts.kind);
        facts.query = cut(facts.query);
        let (asked, told) = match wish {
            Wish::Publish => (Call::Publish, Call::PublishDone),
            Wish::Play => (Call::Play, Call::PlayDone),
        };
        let mut permit = Permit {
            hooks: self.clone(),
            facts: Arc::new(facts),
            session: self.sessions.fetch_add(1, Ordering::Relaxed) + 1,
            told,
            allowed: true,
            renamed: None,
        };
        if !self.has(asked) {
            return Ok(permit);
        }
        let answer = match self.ask(asked, &permit) {
            Some(waiting) => waiting.await,
            None => Answer::Fail("too many questions to the hook are waiting".into()),
        };
        match answer {
            Answer::Allow => Ok(permit),
            Answer::Rename(name) => {
                permit.renamed = Some(name);
                Ok(permit)
            }
            refused => {
                permit.allowed = false;
                Err(refused)
            }
        }
    }

    fn ask(&self, call: Call, permit: &Permit) -> Option<Waiting> {
        let (reply, answer) = waiting();
        let task = permit.task(call, Some(reply));
        (self.carry)(task).ok().map(|()| answer)
    }

    fn tell(&self, call: Call, permit: &Permit) {
        if self.has(call) && (self.carry)(permit.task(call, None)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// That a session may do what it wished. When it is dropped the session is over, and the program
/// is told so, once.
#[derive(Debug)]
pub struct Permit {
    hooks: Arc<Hooks>,
    facts: Arc<Facts>,
    session: u64,
    told: Call,
    /// False where there is nothing to be told of.
    allowed: bool,
    renamed: Option<StreamName>,
}

impl Permit {
    /// The stream that the program chose instead of the one that was asked for.
    #[must_use]
    pub const fn renamed(&self) -> Option<&StreamName> {
        self.renamed.as_ref()
    }

    fn task(&self, call: Call, reply: Option<Reply>) -> Task {
        Task {
            call,
            facts: self.facts.clone(),
            session: self.session,
            reply,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.allowed {
            self.hooks.tell(self.told, self);
            self.hooks.tell(Call::Done, self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    /// Hooks whose tasks are kept.
    fn kept(calls: &[Call]) -> (Arc<Hooks>, Arc<Mutex<Vec<Task>>>) {
        let tasks = Arc::new(Mutex::new(Vec::new()));
        let keep = tasks.clone();
        let carry = move |task| {
            keep.lock().unwrap().push(task);
            Ok(())
        };
        (Hooks::new(calls, Box::new(carry)), tasks)
    }

    fn facts() -> Facts {
        let name = StreamName::parse("cam").unwrap();
        Facts::new(&name, IpAddr::from([192, 0, 2, 7]), 5)
    }

    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn calls(tasks: &Mutex<Vec<Task>>) -> Vec<&'static str> {
        tasks
            .lock()
            .unwrap()
            .iter()
            .map(|t| t.call.as_str())
            .collect()
    }

    #[test]
    fn without_hooks_everything_is_allowed_and_nothing_told() {
        let hooks = Hooks::none();
        for wish in [Wish::Publish, Wish::Play] {
            let Poll::Ready(Ok(permit)) = now(hooks.permit(wish, facts())) else {
                panic!("no answer");
            };
            assert_eq!(permit.renamed(), None);
        }
        assert_eq!(hooks.lost(), 0);
    }

    #[test]
    fn an_allowed_session_is_asked_once_and_told_once() {
        let (hooks, tasks) = kept(&Call::ALL);
        let mut asking = pin!(hooks.permit(Wish::Publish, facts()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(asking.as_mut().poll(&mut context).is_pending());
        assert!(asking.as_mut().poll(&mut context).is_pending());
        assert_eq!(calls(&tasks), ["publish"]);
        let reply = tasks.lock().unwrap()[0].reply.take().unwrap();
        let other = StreamName::parse("other").unwrap();
        reply.send(Answer::Rename(other.clone()));
        let Poll::Ready(Ok(permit)) = asking.as_mut().poll(&mut context) else {
            panic!("no permit");
        };
        assert_eq!(permit.renamed(), Some(&other));
        assert_eq!(calls(&tasks), ["publish"]);
        drop(permit);
        assert_eq!(calls(&tasks), ["publish", "publish_done", "done"]);
        let tasks = tasks.lock().unwrap();
        assert!(
            tasks
                .iter()
                .all(|t| t.session == 1 && t.facts.name == "cam")
        );
    }

    #[test]
    fn a_refused_session_is_not_told_of() {
        let (hooks, tasks) = kept(&Call::ALL);
        for answer in [Some(Answer::Refuse), None] {
            let mut asking = pin!(hooks.permit(Wish::Play, facts()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(asking.as_mut().poll(&mut context).is_pending());
            let reply = tasks.lock().unwrap().pop().unwrap().reply.unwrap();
            match answer.clone() {
                Some(answer) => reply.send(answer),
                None => drop(reply),
            }
            let Poll::Ready(Err(refused)) = asking.as_mut().poll(&mut context) else {
                panic!("no refusal");
            };
            assert_eq!(matches!(refused, Answer::Fail(_)), answer.is_none());
            assert!(calls(&tasks).is_empty());
        }
    }

    #[test]
    fn a_session_that_leaves_while_it_waits_is_told_of() {
        let (hooks, tasks) = kept(&Call::ALL);
        assert!(now(hooks.permit(Wish::Publish, facts())).is_pending());
        assert_eq!(calls(&tasks), ["publish", "publish_done", "done"]);
    }

    #[test]
    fn what_cannot_be_carried_is_refused_or_counted() {
        let full = Hooks::new(&Call::ALL, Box::new(Err));
        let refused = now(full.permit(Wish::Play, facts()));
        assert!(matches!(refused, Poll::Ready(Err(Answer::Fail(_)))));
        let full = Hooks::new(&[Call::PlayDone], Box::new(Err));
        assert!(matches!(
            now(full.permit(Wish::Play, facts())),
            Poll::Ready(Ok(_))
        ));
        assert_eq!(full.lost(), 1);
    }

    #[test]
    fn answers_mean_what_they_mean_to_nginx_rtmp() {
        let name = |text| Answer::Rename(StreamName::parse(text).unwrap());
        for (status, location, want) in [
            (200, None, Answer::Allow),
            (204, Some("x"), Answer::Allow),
            (302, None, Answer::Allow),
            (302, Some("other"), name("other")),
            (303, Some("/live/other?x=/y"), name("other")),
            (304, None, Answer::Refuse),
            (307, Some("http://127.0.0.1:3000/other"), name("other")),
            (100, None, Answer::Refuse),
            (403, Some("other"), Answer::Refuse),
            (500, None, Answer::Refuse),
            (0, None, Answer::Refuse),
        ] {
            let got = Answer::of(status, location.map(str::as_bytes));
            assert_eq!(got, want, "{status} {location:?}");
        }
        let long = "x/".repeat(HOOK_LOCATION_BYTES_MAX);
        for bad in [
            "",
            "/",
            "..",
            "a b",
            "s",
            "rtmp://h/live/x",
            "RTMPS://h/live/x",
            &long,
        ] {
            let got = Answer::of(302, Some(bad.as_bytes()));
            assert!(matches!(got, Answer::Fail(_)), "{bad}: {got:?}");
        }
        assert!(matches!(Answer::of(302, Some(b"\xff")), Answer::Fail(_)));
    }

    #[test]
    fn secrets_that_we_checked_are_not_passed_on() {
        let mut facts = facts();
        facts.query = "key=SECRET&k%65y=SECRET&user=me&txSecret=SECRET&sig=SECRET&a".into();
        facts.client.tc_url = "rtmp://h/live?key=SECRET".into();
        facts.without_secrets();
        assert!(!format!("{facts:?}").contains("SECRET"));
        assert_eq!(facts.client.tc_url, "rtmp://h/live");
        assert_eq!(facts.query, "user=me&a");
    }
}
