//! From a request to what answers it. Synchronous: what has to wait is said, not awaited.

use crate::hls;
use crate::live::LiveWanted;
use crate::page;
use crate::playlist::Playlist;
use crate::response::{Keep, Piece, Response};
use crate::route::{Object, Rendition, Route, Span, route};
use crate::server::{PlaylistKey, Server};
use crate::ts::{Failure, Wanted};
use crate::waiters::Place;
use bytes::Bytes;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tracing::{debug, warn};
use weir_http::encoding::Encoding;
use weir_http::origin::Origins;
use weir_http::target::{Path, Query};
use weir_http::{Method, Request, Status, websocket};
use weir_media::{StreamName, TrackId};
use weir_net::Refused;
use weir_store::{Body, Broadcast, BroadcastId, StreamEntry};

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
            Some(Route::Multivariant { id }) => self.multivariant(id, (request, client), &hints),
            Some(Route::Media {
                id,
                broadcast,
                span,
                rendition,
            }) => self.media(id, broadcast, span, rendition, request).into(),
            Some(Route::Shared { key, object }) => self.shared(key, object, hints),
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

    fn multivariant(
        &self,
        id: &str,
        (request, client): (&Request<'_>, IpAddr),
        hints: &Hints,
    ) -> Resolved {
        let Ok(format) = Query::new(request.query).first("format") else {
            let why = "the query is not well encoded";
            return Response::error(Status::BadRequest, why).into();
        };
        let ts = match format.as_deref() {
            None | Some("cmaf") => false,
            Some("ts") => true,
            Some(_) => {
                let why = "format is neither cmaf nor ts";
                return Response::error(Status::BadRequest, why).into();
            }
        };
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
            && let Some(held) = self.hold(entry.name(), client)
        {
            return held;
        }
        let Some(broadcast) = current else {
            return not_found("nothing is live or recorded under this name").into();
        };
        let view = broadcast.view();
        if ts && let Some(codec) = hls::not_for_ts(&view) {
            let why = format!("MPEG-TS cannot carry {codec}; ask without format=ts");
            return not_found(&why).into();
        }
        let key = PlaylistKey::Multivariant(broadcast.id(), ts);
        let render = || hls::multivariant(&broadcast, &view, ts);
        if let Some(playlist) = self.playlist(key, hls::stamp(&view), render) {
            let kind = if ts { "mt" } else { "m" };
            return playlist_answer(&playlist, kind, broadcast, request).into();
        }
        let held = match view.ended || hints.no_wait {
            true => None,
            false => self.hold(broadcast.name(), client),
        };
        held.unwrap_or_else(|| not_found("the stream has no content yet").into())
    }

    /// Has a request wait, unless too many do already, or says that its client has too many.
    fn hold(&self, name: &StreamName, client: IpAddr) -> Option<Resolved> {
        match self.waiters().place(name, client) {
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
            (None, Some(e)) => {
                warn!(stream = %broadcast.name(), "cannot write a playlist: {e}");
                let why = "the playlist cannot be written";
                Response::error(Status::InternalServerError, why)
            }
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

    fn shared(&self, key: &str, object: Object, hints: Hints) -> Resolved {
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
    playlist: &Playlist,
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

fn segment(view: &weir_store::View, tag: &str, track: TrackId, media_sequence: u64) -> Response {
    let Some(track) = view.track(track) else {
        return not_found("no such track");
    };
    let segment = track.segment(media_sequence).filter(|s| !s.info.gap);
    let Some(segment) = segment else {
        return not_found("no such segment");
    };
    let body = match segment.body() {
        Body::File { file, offset, len } => vec![Piece::File { file, offset, len }],
        Body::Memory(parts) => parts.into_iter().map(Piece::Memory).collect(),
        Body::Mixed(pieces) => pieces.into_iter().map(Piece::from).collect(),
    };
    let began = u64::try_from(segment.info.program_date_time.0 / 1_000_000).ok();
    let ticks = u64::from(segment.info.duration) / u64::from(track.timescale.max(1));
    Response::ok(hls::media_type(track.kind), Keep::Forever, body)
        .with_etag(format_args!("{tag}-{}-{media_sequence}", track.id.0))
        .modified(began.map(|began| began + ticks))
}

impl From<weir_store::Piece> for Piece {
    fn from(piece: weir_store::Piece) -> Self {
        match piece {
            weir_store::Piece::File { file, offset, len } => Self::File { file, offset, len },
            weir_store::Piece::Memory(bytes) => Self::Memory(bytes),
        }
    }
}

pub(crate) fn not_found(why: &str) -> Response {
    Response::error(Status::NotFound, why)
}
