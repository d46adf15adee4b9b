//! From a request to what answers it. Synchronous: what has to wait is said, not awaited.

use crate::dash;
use crate::hls::{self, Form};
use crate::limits::HOLD_WAIT;
use crate::live::LiveWanted;
use crate::low_latency::{self, Awaited, Directives, Edge};
use crate::page;
use crate::playlist::Playlist;
use crate::response::{Keep, Piece, Response};
use crate::route::{Object, Rendition, Route, Span, route};
use crate::server::{PlaylistKey, Server};
use crate::ts::{Failure, Wanted};
use crate::waiters::Place;
use bytes::Bytes;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{debug, warn};
use weir_http::encoding::Encoding;
use weir_http::origin::Origins;
use weir_http::target::{Path, Query};
use weir_http::{Method, Request, Status, websocket};
use weir_media::{StreamName, TrackId, TrackKind, Utc};
use weir_net::Refused;
use weir_store::{Body, Broadcast, BroadcastId, StreamEntry, View};

/// What is known from an earlier attempt at the same request.
#[derive(Default)]
pub(crate) struct Hints {
    /// Content did not come in time: do not wait again.
    pub(crate) no_wait: bool,
    /// The TS segment that was asked for.
    pub(crate) ts: Option<Result<Bytes, Failure>>,
}

/// How a request goes on.
pub(crate) enum Resolved {
    /// With this answer.
    Answer(Response),
    /// Once the stream has news.
    Wait(Place),
    /// Once this segment is muxed.
    Mux(Wanted),
    /// With frames as they come, on a connection of HTTP/1.1 that ends with them.
    Live(LiveWanted),
}

impl From<Response> for Resolved {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

const DESCRIPTION: &str = "application/dash+xml";

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

impl Server {
    /// Resolves a request of `client`.
    pub(crate) fn resolve(&self, request: &Request<'_>, client: IpAddr, hints: Hints) -> Resolved {
        if request.path == "*" {
            // Only OPTIONS asks for the server as a whole.
            return self.resolve_route((request, client), None, hints);
        }
        let path = match Path::parse(request.path) {
            Ok(path) => path,
            Err(e) => return Response::error(e.status(), &e.to_string()).into(),
        };
        let route = route(&path);
        let id = route.and_then(Route::id);
        if id.is_some_and(|id| !self.options().players.admit(id, client)) {
            let why = "this stream may not be played from there";
            return Response::error(Status::Forbidden, why).into();
        }
        let Some(origins) = id.and_then(|id| self.origins(id)) else {
            return self.resolve_route((request, client), route, hints);
        };
        let resolved = match is_from_elsewhere(request, &origins) {
            true => {
                let why = "this stream may not be played from that site";
                Response::error(Status::Forbidden, why).into()
            }
            false => self.resolve_route((request, client), route, hints),
        };
        match resolved {
            Resolved::Answer(mut response) => {
                response.origins = Some(origins);
                response.into()
            }
            Resolved::Live(mut wanted) => {
                wanted.origins = Some(origins);
                Resolved::Live(wanted)
            }
            later => later,
        }
    }

    /// The sites that may play a stream, where not all may.
    fn origins(&self, id: &str) -> Option<Arc<Origins>> {
        let restricted = &self.options().origins;
        if restricted.is_empty() {
            return None;
        }
        restricted.get(id).cloned()
    }

    fn resolve_route(
        &self,
        (request, client): (&Request<'_>, IpAddr),
        route: Option<Route<'_>>,
        hints: Hints,
    ) -> Resolved {
        match request.method {
            Method::Options => {
                let mut response = Response::ok("", Keep::Not, Vec::new());
                response.status = Status::NoContent;
                return response.into();
            }
            Method::Get | Method::Head => {}
            _ => {
                let why = "only GET, HEAD and OPTIONS are served here";
                return Response::error(Status::MethodNotAllowed, why).into();
            }
        }
        match route {
            Some(Route::Multivariant { id }) => match form(request.query) {
                Ok(form) => self.entrance((id, form), (request, client), &hints),
                Err(why) => Response::error(Status::BadRequest, why).into(),
            },
            Some(Route::Mpd { id }) => self.entrance((id, Form::Dash), (request, client), &hints),
            Some(Route::Time { .. }) => {
                let now = Piece::Memory(utc_now().to_rfc3339().into());
                Response::ok("text/plain", Keep::Never, vec![now]).into()
            }
            Some(Route::Media {
                id,
                broadcast,
                span,
                rendition,
            }) => match (span, rendition) {
                (Span::LowLatency, Rendition::Track(track)) => {
                    self.low_latency(id, broadcast, track, (request, client), &hints)
                }
                (Span::LowLatency, Rendition::Ts) => not_found("parts are CMAF only").into(),
                _ => self.media(id, broadcast, span, rendition, request).into(),
            },
            Some(Route::Shared { key, object }) => self.shared(key, object, client, hints),
            Some(Route::Live { id }) => live_frames(id, request),
            Some(Route::Watch { id }) => match StreamName::parse(id) {
                Ok(name) => {
                    let page = Piece::Memory(page::watch(&name).into());
                    Response::ok("text/html; charset=utf-8", Keep::Not, vec![page]).into()
                }
                Err(_) => not_found("no such page").into(),
            },
            Some(Route::Asset { name }) => match page::asset(name) {
                Some((bytes, media_type)) => {
                    let body = vec![Piece::Memory(Bytes::from_static(bytes))];
                    let response = Response::ok(media_type, Keep::Forever, body);
                    response.with_etag(format_args!("{name}")).into()
                }
                None => not_found("no such file").into(),
            },
            None => not_found("no such path").into(),
        }
    }

    /// The entrance to a stream: its multivariant playlist or description.
    fn entrance(
        &self,
        (id, form): (&str, Form),
        (request, client): (&Request<'_>, IpAddr),
        hints: &Hints,
    ) -> Resolved {
        let comes = self.options().wanted.ask(id);
        let Some(entry) = self.entry(id, comes) else {
            return not_found("nothing is live or recorded under this name").into();
        };
        // Marked before looking, so that news between the two is not missed.
        entry.wait_mark(self.worker());
        let current = entry.current();
        let is_over = current.as_ref().is_none_or(|b| b.view().ended);
        if comes
            && is_over
            && !hints.no_wait
            && let Some(held) = self.hold(entry.name(), client, HOLD_WAIT)
        {
            return held;
        }
        let Some(broadcast) = current else {
            return not_found("nothing is live or recorded under this name").into();
        };
        let view = broadcast.view();
        if form == Form::Ts
            && let Some(codec) = hls::not_for_ts(&view)
        {
            let why = format!("MPEG-TS cannot carry {codec}; ask without format=ts");
            return not_found(&why).into();
        }
        let key = PlaylistKey::Multivariant(broadcast.id(), form);
        let render = || match form {
            Form::Dash => dash::description(&broadcast, &view, utc_now()),
            _ => hls::multivariant(&broadcast, &view, form),
        };
        if let Some(playlist) = self.playlist(key, hls::stamp(&view), render) {
            let mut answer = playlist_answer(&playlist, form.tag(), broadcast, request);
            if form == Form::Dash {
                answer.media_type = DESCRIPTION;
            }
            return answer.into();
        }
        let held = match view.ended || hints.no_wait {
            true => None,
            false => self.hold(broadcast.name(), client, HOLD_WAIT),
        };
        held.unwrap_or_else(|| not_found("the stream has no content yet").into())
    }

    /// Has a request wait, unless too many do already, or says that its client has too many.
    fn hold(&self, name: &StreamName, client: IpAddr, longest: Duration) -> Option<Resolved> {
        match self.waiters().place(name, client, longest) {
            Ok(place) => Some(Resolved::Wait(place)),
            Err(Refused::Address) => {
                let why = "this address waits for too much already";
                Some(self.too_many(why).into())
            }
            Err(_) => None,
        }
    }

    /// What stands for a name; made if it is to come.
    fn entry(&self, id: &str, comes: bool) -> Option<Arc<StreamEntry>> {
        let known = self.library().stream(id);
        let name = || StreamName::parse(id).ok().filter(|_| comes);
        known.or_else(|| Some(self.library().expect(&name()?)))
    }

    fn media(
        &self,
        id: &str,
        broadcast: &str,
        span: Span,
        rendition: Rendition,
        request: &Request<'_>,
    ) -> Response {
        // Whoever plays on goes on asking.
        self.options().wanted.ask(id);
        let Some(broadcast) = self.broadcast(id, broadcast) else {
            return not_found("no such broadcast");
        };
        let view = broadcast.view();
        if span == Span::Vod && !view.ended {
            return not_found("the broadcast has not ended");
        }
        let key = PlaylistKey::Media(broadcast.id(), span, rendition);
        let mut failed = None;
        let playlist = self.playlist(key, hls::stamp(&view), || {
            let rendered = hls::media(&broadcast, &view, span, rendition);
            rendered.unwrap_or_else(|e| {
                failed = Some(e);
                None
            })
        });
        match (playlist, failed) {
            (Some(playlist), _) => playlist_answer(&playlist, "", broadcast, request),
            (None, None) => not_found("no such rendition, or nothing in it yet"),
            (None, Some(e)) => cannot_write(&broadcast, &e),
        }
    }

    /// A low-latency playlist, once it lists what the request waits for.
    fn low_latency(
        &self,
        id: &str,
        broadcast: &str,
        track: TrackId,
        (request, client): (&Request<'_>, IpAddr),
        hints: &Hints,
    ) -> Resolved {
        let directives = match Directives::parse(request.query) {
            Ok(directives) => directives,
            Err(why) => return Response::error(Status::BadRequest, why).into(),
        };
        // Whoever plays on goes on asking.
        self.options().wanted.ask(id);
        let entry = self.library().stream(id);
        let broadcast = BroadcastId::parse(broadcast).zip(entry.as_ref());
        let Some((broadcast, entry)) = broadcast.and_then(|(b, e)| Some((e.broadcast(b)?, e)))
        else {
            return not_found("no such broadcast").into();
        };
        if directives.from.is_some() {
            // Marked before looking, so that news between the two is not missed.
            entry.wait_mark(self.worker());
        }
        let view = broadcast.view();
        let nothing = "no such rendition, or nothing in it yet";
        let Some(track) = view.track(track) else {
            return not_found(nothing).into();
        };
        let mut keep = Keep::OneSecond;
        if !view.ended {
            entry.want_parts(utc_now());
            let target = view.target_duration.unwrap_or(1);
            if let Some(from) = directives.from {
                match low_latency::awaited(track, from, self.options().part) {
                    Awaited::Listed => keep = Keep::Seconds(6 * target),
                    Awaited::Soon => return self.hold_for_parts(&broadcast, target, client, hints),
                    Awaited::Far => {
                        let why = "_HLS_msn or _HLS_part is too far ahead";
                        return Response::error(Status::BadRequest, why).into();
                    }
                }
            }
        }
        let (key, kind) = match directives.skip {
            true => (PlaylistKey::Delta(broadcast.id(), track.id), "d"),
            false => {
                let rendition = Rendition::Track(track.id);
                let key = PlaylistKey::Media(broadcast.id(), Span::LowLatency, rendition);
                (key, "l")
            }
        };
        let part = self.options().part;
        let mut failed = None;
        let playlist = self.playlist(key, hls::low_latency_stamp(&view), || {
            let media = low_latency::media(&broadcast, &view, track, part, directives.skip);
            media.unwrap_or_else(|e| {
                failed = Some(e);
                None
            })
        });
        match (playlist, failed) {
            (Some(playlist), _) => {
                let mut answer = playlist_answer(&playlist, kind, broadcast, request);
                answer.keep = keep;
                answer.into()
            }
            (None, None) => not_found(nothing).into(),
            (None, Some(e)) => cannot_write(&broadcast, &e).into(),
        }
    }

    /// Has a request wait for the next part, three target durations at most (rfc8216bis §6.2.5.2).
    fn hold_for_parts(
        &self,
        broadcast: &Broadcast,
        target: u32,
        client: IpAddr,
        hints: &Hints,
    ) -> Resolved {
        let longest = HOLD_WAIT.min(Duration::from_secs(3 * u64::from(target)));
        let held = match hints.no_wait {
            true => None,
            false => self.hold(broadcast.name(), client, longest),
        };
        held.unwrap_or_else(|| {
            let why = "no part came in time";
            let mut response = Response::error(Status::ServiceUnavailable, why);
            response.retry_after = Some(1);
            response.into()
        })
    }

    /// A part, once it is there if it is the next one.
    fn part(
        &self,
        (broadcast, tag): (Arc<Broadcast>, &str),
        (track, media_sequence, part): (TrackId, u64, u32),
        client: IpAddr,
        hints: &Hints,
    ) -> Resolved {
        let mut view = broadcast.view();
        let is_next = |view: &View| {
            let track = view.track(track).filter(|_| !view.ended);
            let edge = track.and_then(|t| Edge::of(t));
            edge.is_some_and(|edge| edge.is_next(media_sequence, part))
        };
        if is_next(&view)
            && let Some(entry) = self.library().stream(broadcast.name().as_str())
        {
            entry.want_parts(utc_now());
            entry.wait_mark(self.worker());
            view = broadcast.view();
        }
        let track_view = view.track(track);
        if let Some(chunk) = track_view.and_then(|t| t.chunk(media_sequence, part)) {
            let kind = track_view.map_or(TrackKind::Video, |t| t.kind);
            return media(kind, chunk.body())
                .with_etag(format_args!("{tag}-{}-{media_sequence}.{part}", track.0))
                .of(broadcast)
                .into();
        }
        match is_next(&view) {
            true => {
                let target = view.target_duration.unwrap_or(1);
                self.hold_for_parts(&broadcast, target, client, hints)
            }
            false => not_found("no such part").into(),
        }
    }

    /// The playlist with a key, rendered if the one at hand is of another version.
    fn playlist(
        &self,
        key: PlaylistKey,
        stamp: u64,
        render: impl FnOnce() -> Option<String>,
    ) -> Option<Rc<Playlist>> {
        let mut playlists = self.playlists().borrow_mut();
        if let Some(known) = playlists.get(&key).filter(|known| known.stamp == stamp) {
            return Some(known);
        }
        let playlist = Rc::new(Playlist::new(stamp, render()?));
        playlists.put(key, Rc::clone(&playlist), playlist.weight());
        Some(playlist)
    }

    /// The broadcast of a stream by its id, the current one or an earlier one.
    fn broadcast(&self, id: &str, broadcast: &str) -> Option<Arc<Broadcast>> {
        self.library()
            .stream(id)?
            .broadcast(BroadcastId::parse(broadcast)?)
    }

    fn shared(&self, key: &str, object: Object, client: IpAddr, hints: Hints) -> Resolved {
        let Some(broadcast) = self.library().by_key(key) else {
            return not_found("no such media").into();
        };
        let view = broadcast.view();
        let tag = &key[..8];
        match object {
            Object::Init(track, number) => {
                let init = view.track(track).and_then(|t| t.init(number).cloned());
                let Some(init) = init else {
                    return not_found("no such init section").into();
                };
                let body = vec![Piece::Memory(init.data)];
                let media_type = hls::media_type(init.config.kind());
                Response::ok(media_type, Keep::Forever, body)
                    .with_etag(format_args!("{tag}-{}-i{number}", track.0))
                    .of(broadcast)
                    .into()
            }
            Object::Segment(track, media_sequence) => {
                let response = segment(&view, tag, track, media_sequence);
                response.of(broadcast).into()
            }
            Object::Part(track, media_sequence, part) => {
                let part = (track, media_sequence, part);
                self.part((broadcast, tag), part, client, &hints)
            }
            Object::Ts(media_sequence) => {
                let cache_key = (broadcast.id(), media_sequence);
                let known = self.ts_cache().borrow_mut().get(&cache_key);
                let muxed = match (hints.ts, known) {
                    (_, Some(muxed)) => {
                        self.counters().ts_cached.inc();
                        muxed
                    }
                    (Some(Ok(muxed)), None) => muxed,
                    (Some(Err(why)), None) => {
                        debug!(stream = %broadcast.name(), media_sequence, "no TS segment: {why}");
                        return not_found("the segment cannot be muxed").into();
                    }
                    (None, None) => {
                        if !hls::has_ts(&view, media_sequence) {
                            return not_found("no such segment").into();
                        }
                        return Resolved::Mux(Wanted {
                            broadcast,
                            view,
                            media_sequence,
                        });
                    }
                };
                let body = vec![Piece::Memory(muxed)];
                Response::ok("video/mp2t", Keep::Forever, body)
                    .with_etag(format_args!("{tag}-ts-{media_sequence}"))
                    .of(broadcast)
                    .into()
            }
        }
    }
}

/// Frames of a stream as they come, over HTTP or a `WebSocket`.
fn live_frames(id: &str, request: &Request<'_>) -> Resolved {
    let accept = match websocket::is_upgrade(request) {
        true => match websocket::accept(request) {
            Ok(accept) => Some(accept),
            Err(e) => return Response::error(e.status(), &e.to_string()).into(),
        },
        false => None,
    };
    Resolved::Live(LiveWanted {
        id: id.to_owned(),
        query: request.query.map(str::to_owned),
        is_head: request.method == Method::Head,
        accept,
        origins: None,
    })
}

/// A page of another site asks, or a script of one, that may not.
fn is_from_elsewhere(request: &Request<'_>, origins: &Origins) -> bool {
    if let Some(origin) = request.headers.first("origin") {
        return !origins.allows_origin(origin) && !is_own(origin, request.host);
    }
    // Native players, and those who keep it to themselves, send none.
    let referer = request.headers.first("referer");
    referer.is_some_and(|r| !origins.allows_referer(r) && !is_own(r, request.host))
}

/// Whether an origin or URI is of the host that the request asks: our own player page.
fn is_own(uri: &[u8], host: Option<&str>) -> bool {
    let (Ok(uri), Some(host)) = (std::str::from_utf8(uri), host) else {
        return false;
    };
    let authority = uri.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// A playlist in the form that the request asks for. Each form has a tag of its own.
fn playlist_answer(
    playlist: &Rc<Playlist>,
    kind: &str,
    broadcast: Arc<Broadcast>,
    request: &Request<'_>,
) -> Response {
    let (encoding, text) = playlist.form(request);
    let form = match encoding {
        Encoding::Identity => "",
        encoding => encoding.as_str(),
    };
    let (key, stamp) = (&broadcast.key()[..8], playlist.stamp);
    let mut response = Response::ok(PLAYLIST, Keep::OneSecond, vec![Piece::Memory(text)])
        .with_etag(format_args!("{key}-{stamp:x}{kind}{form}"));
    response.encoding = Some(encoding);
    response.of(broadcast)
}

fn segment(view: &View, tag: &str, track: TrackId, media_sequence: u64) -> Response {
    let Some(track) = view.track(track) else {
        return not_found("no such track");
    };
    let segment = track.segment(media_sequence).filter(|s| !s.info.gap);
    let Some(segment) = segment else {
        return not_found("no such segment");
    };
    let began = u64::try_from(segment.info.program_date_time.0 / 1_000_000).ok();
    let ticks = u64::from(segment.info.duration) / u64::from(track.timescale.max(1));
    media(track.kind, segment.body())
        .with_etag(format_args!("{tag}-{}-{media_sequence}", track.id.0))
        .modified(began.map(|began| began + ticks))
}

/// A segment or part, or why it cannot be sent.
fn media(kind: TrackKind, body: Body) -> Response {
    let body = match body {
        Body::File { file, offset, len } => vec![Piece::File { file, offset, len }],
        Body::Memory(parts) => parts.into_iter().map(Piece::Memory).collect(),
        Body::Mixed(pieces) => pieces.into_iter().map(Piece::from).collect(),
    };
    for piece in &body {
        if let Piece::File { file, .. } = piece
            && let Err(e) = file.data()
        {
            return unopened(&e);
        }
    }
    Response::ok(hls::media_type(kind), Keep::Forever, body)
}

/// What a multivariant playlist's query asks for.
fn form(query: Option<&str>) -> Result<Form, &'static str> {
    let query = Query::new(query);
    let value = |name| {
        query
            .first(name)
            .map_err(|_| "the query is not well encoded")
    };
    match (value("format")?.as_deref(), value("protocol")?.as_deref()) {
        (None | Some("cmaf"), None | Some("hls")) => Ok(Form::Cmaf),
        (None | Some("cmaf"), Some("llhls")) => Ok(Form::LowLatency),
        (Some("ts"), None | Some("hls")) => Ok(Form::Ts),
        (Some("ts"), Some("llhls")) => Err("low latency is CMAF: format=ts has no parts"),
        (_, None | Some("hls" | "llhls")) => Err("format is neither cmaf nor ts"),
        _ => Err("protocol is neither hls nor llhls"),
    }
}

/// The wall clock.
fn utc_now() -> Utc {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Utc(now.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
}

/// A playlist that is none is a fault of ours.
fn cannot_write(broadcast: &Broadcast, error: &weir_manifest::Error) -> Response {
    warn!(stream = %broadcast.name(), "cannot write a playlist: {error}");
    let why = "the playlist cannot be written";
    Response::error(Status::InternalServerError, why)
}

impl From<weir_store::Piece> for Piece {
    fn from(piece: weir_store::Piece) -> Self {
        match piece {
            weir_store::Piece::File { file, offset, len } => Self::File { file, offset, len },
            weir_store::Piece::Memory(bytes) => Self::Memory(bytes),
        }
    }
}

/// The answer where a log cannot be opened. It is looked for before the head is written: after a
/// promised length nothing could be said any more.
fn unopened(error: &weir_store::Error) -> Response {
    if let weir_store::Error::Io { source, .. } = error
        && source.kind() == io::ErrorKind::NotFound
    {
        return not_found("no such segment");
    }
    // For each request, so no warning: the metrics count the status.
    debug!("a segment cannot be served: {error}");
    let mut response = Response::error(Status::ServiceUnavailable, "the segment cannot be opened");
    response.retry_after = Some(1);
    response
}

pub(crate) fn not_found(why: &str) -> Response {
    Response::error(Status::NotFound, why)
}
