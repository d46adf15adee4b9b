//! From a request to what answers it. Synchronous: what has to wait is said, not awaited.

use crate::hls;
use crate::page;
use crate::response::{Keep, Piece, Response};
use crate::route::{Object, Rendition, Route, Span, route};
use crate::server::Server;
use crate::ts::{Failure, Wanted};
use crate::waiters::Place;
use bytes::Bytes;
use std::sync::Arc;
use tracing::{debug, warn};
use weir_http::target::{Path, Query};
use weir_http::{Method, Request, Status};
use weir_media::{StreamName, TrackId};
use weir_store::{Body, Broadcast, BroadcastId};

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
}

impl From<Response> for Resolved {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

impl Server {
    /// Resolves a request.
    pub(crate) fn resolve(&self, request: &Request<'_>, hints: Hints) -> Resolved {
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
        let path = match Path::parse(request.path) {
            Ok(path) => path,
            Err(e) => return Response::error(e.status(), &e.to_string()).into(),
        };
        match route(&path) {
            Some(Route::Multivariant { id }) => self.multivariant(id, request.query, &hints),
            Some(Route::Media {
                id,
                broadcast,
                span,
                rendition,
            }) => self.media(id, broadcast, span, rendition).into(),
            Some(Route::Shared { key, object }) => self.shared(key, object, hints),
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

    fn multivariant(&self, id: &str, query: Option<&str>, hints: &Hints) -> Resolved {
        let Ok(format) = Query::new(query).first("format") else {
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
        let Some(entry) = self.library().stream(id) else {
            return not_found("nothing is live or recorded under this name").into();
        };
        // Marked before looking, so that news between the two is not missed.
        entry.wait_mark(self.worker());
        let Some(broadcast) = entry.current() else {
            return not_found("nothing is live or recorded under this name").into();
        };
        let view = broadcast.view();
        if let Some(text) = hls::multivariant(&broadcast, &view, ts) {
            let stamp = hls::stamp(&view);
            let body = vec![Piece::Memory(text.into())];
            return Response::ok(PLAYLIST, Keep::OneSecond, body)
                .with_etag(format_args!("{}-{stamp:x}-{ts}", &broadcast.key()[..8]))
                .of(broadcast)
                .into();
        }
        if !view.ended
            && !hints.no_wait
            && let Some(place) = self.waiters().place(broadcast.name())
        {
            return Resolved::Wait(place);
        }
        not_found("the stream has no content yet").into()
    }

    fn media(&self, id: &str, broadcast: &str, span: Span, rendition: Rendition) -> Response {
        let Some(broadcast) = self.broadcast(id, broadcast) else {
            return not_found("no such broadcast");
        };
        let view = broadcast.view();
        if span == Span::Vod && !view.ended {
            return not_found("the broadcast has not ended");
        }
        let key = (broadcast.id(), span, rendition);
        let stamp = hls::stamp(&view);
        let cached = self.playlists().borrow_mut().get(&key);
        let text = match cached.filter(|(of, _)| *of == stamp) {
            Some((_, text)) => text,
            None => match hls::media(&broadcast, &view, span, rendition) {
                Ok(Some(text)) => {
                    let text = Bytes::from(text);
                    let entry = (stamp, text.clone());
                    self.playlists().borrow_mut().put(key, entry, text.len());
                    text
                }
                Ok(None) => return not_found("no such rendition, or nothing in it yet"),
                Err(e) => {
                    warn!(stream = %broadcast.name(), "cannot write a playlist: {e}");
                    let why = "the playlist cannot be written";
                    return Response::error(Status::InternalServerError, why);
                }
            },
        };
        let body = vec![Piece::Memory(text)];
        Response::ok(PLAYLIST, Keep::OneSecond, body)
            .with_etag(format_args!("{}-{stamp:x}", &broadcast.key()[..8]))
            .of(broadcast)
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

fn not_found(why: &str) -> Response {
    Response::error(Status::NotFound, why)
}
