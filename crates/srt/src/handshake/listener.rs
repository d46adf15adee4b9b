//! The end that waits for callers (§4.3.1). It holds nothing per peer.
//!
//! An induction is answered with a cookie. A conclusion that brings the cookie back becomes a
//! [`Request`], which the owner accepts or refuses. A caller that did not hear the answer
//! repeats its conclusion: the owner finds the connection made of it by address and
//! [`Request::socket_id`], or before that by [`crate::packet::peek`], and gives it the packet.

use crate::config::Config;
use crate::connection::Connection;
use crate::crypto::{Entropy, KeyLength, Seed};
use crate::error::Error;
use crate::group::GroupKind;
use crate::handshake::agreement::{
    Agreement, agree_filter, agree_latency, check_peer, filter_text, latency_ms, respond_keys,
};
use crate::handshake::cookie::CookieKey;
use crate::handshake::hs_extension;
use crate::limits::MTU_BYTES;
use crate::packet::extension::{Extensions, GroupExtension, KmExtension};
use crate::packet::handshake::{HandshakeType, MAGIC, Reason, peer_ip_field};
use crate::packet::key_material::KeyMaterial;
use crate::packet::{Control, HEADER_BYTES, Handshake, Packet, SocketId};
use crate::seq::Seq;
use crate::stream_id::StreamId;
use crate::transmit::Transmit;
use bytes::Bytes;
use std::net::SocketAddr;
use weir_media::Mono;

/// What a listener makes of a datagram.
#[derive(Debug)]
pub enum Incoming {
    /// The first packet of a caller: to be answered with this.
    Induction(Transmit),
    /// A caller that is who it says: to be accepted or refused.
    Request(Box<Request>),
    /// A caller that cannot be talked to: to be answered with this.
    Refused(Transmit, Reason),
    /// Nothing is to be done.
    Ignored(Ignored),
}

/// Why a datagram was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// It cannot be read.
    Malformed(Error),
    /// It is not the start of a connection.
    NotHandshake,
    /// Its cookie was not given to this address, or too long ago.
    Cookie,
}

/// A port that waits for callers.
#[derive(Debug, Clone)]
pub struct Listener {
    key: CookieKey,
}

impl Listener {
    /// A listener. All sockets of a port need the same key.
    #[must_use]
    pub fn new(key: CookieKey) -> Self {
        Self { key }
    }

    /// A datagram for socket 0 has come from `peer`.
    #[must_use]
    pub fn handle(&self, datagram: Bytes, peer: SocketAddr, now: Mono) -> Incoming {
        // Nothing else of a conclusion is looked at before its cookie.
        let kind = Handshake::peek(&datagram);
        if let Some((HandshakeType::CONCLUSION, cookie)) = kind
            && !self.key.verify(peer, cookie, now)
        {
            return Incoming::Ignored(Ignored::Cookie);
        }
        let packet = match Packet::parse(datagram.clone()) {
            Ok(packet) => packet,
            // Who can be told is told.
            Err(_) if matches!(kind, Some((HandshakeType::CONCLUSION, _))) => {
                return refuse_malformed(&datagram, peer, now);
            }
            Err(error) => return Incoming::Ignored(Ignored::Malformed(error)),
        };
        let Packet::Control(packet) = packet else {
            return Incoming::Ignored(Ignored::NotHandshake);
        };
        let Control::Handshake(handshake) = packet.body else {
            return Incoming::Ignored(Ignored::NotHandshake);
        };
        match handshake.kind {
            HandshakeType::INDUCTION => self.induction(&handshake, peer, now),
            HandshakeType::CONCLUSION => {
                let request = Request {
                    handshake: *handshake,
                    timestamp: packet.timestamp,
                    peer,
                    received_at: now,
                };
                match check_peer(&request.handshake) {
                    Ok(_) => Incoming::Request(Box::new(request)),
                    Err(reason) => Incoming::Refused(request.refuse(reason), reason),
                }
            }
            _ => Incoming::Ignored(Ignored::NotHandshake),
        }
    }

    fn induction(&self, request: &Handshake, peer: SocketAddr, now: Mono) -> Incoming {
        let answer = Handshake {
            version: 5,
            encryption: 0,
            extension: MAGIC,
            kind: HandshakeType::INDUCTION,
            cookie: self.key.cookie(peer, now),
            peer_ip: peer_ip_field(peer.ip()),
            extensions: Extensions::default(),
            ..request.clone()
        };
        let body = Control::Handshake(Box::new(answer));
        Incoming::Induction(Transmit::control(&body, now.0 as u32, request.socket_id))
    }
}

/// Refuses a conclusion of which only the fixed part can be read.
fn refuse_malformed(datagram: &[u8], peer: SocketAddr, now: Mono) -> Incoming {
    let fixed = datagram.get(HEADER_BYTES..).unwrap_or_default();
    match Handshake::parse_fixed(fixed) {
        Ok(handshake) => {
            let request = Request {
                handshake,
                timestamp: 0,
                peer,
                received_at: now,
            };
            Incoming::Refused(request.refuse(Reason::ROGUE), Reason::ROGUE)
        }
        Err(error) => Incoming::Ignored(Ignored::Malformed(error)),
    }
}

/// A caller whose address is proved.
#[derive(Debug, Clone)]
pub struct Request {
    handshake: Handshake,
    timestamp: u32,
    peer: SocketAddr,
    received_at: Mono,
}

impl Request {
    /// Where it calls from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The caller's own identifier.
    #[must_use]
    pub fn socket_id(&self) -> SocketId {
        self.handshake.socket_id
    }

    /// What it wants. `None` if it does not say, or not in UTF-8.
    #[must_use]
    pub fn stream_id(&self) -> Option<StreamId> {
        let text = self.handshake.extensions.stream_id.as_ref()?;
        StreamId::parse(std::str::from_utf8(text).ok()?)
    }

    /// Whether it says what it wants in text that is not UTF-8.
    #[must_use]
    pub fn stream_id_bytes(&self) -> Option<&Bytes> {
        self.handshake.extensions.stream_id.as_ref()
    }

    /// Length of its key, if it encrypts.
    #[must_use]
    pub fn key_length(&self) -> Option<KeyLength> {
        let km = self.handshake.extensions.km.as_ref()?;
        let material = KeyMaterial::parse(&km.content).ok()?;
        KeyLength::from_bytes(material.key_bytes)
    }

    /// Its version of SRT.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.handshake.extensions.hs.map_or(0, |hs| hs.version)
    }

    /// The group that it wants to be a member of.
    #[must_use]
    pub fn group(&self) -> Option<GroupExtension> {
        self.handshake.extensions.group
    }

    /// The answer that refuses it.
    #[must_use]
    pub fn refuse(&self, reason: Reason) -> Transmit {
        let answer = Handshake {
            kind: HandshakeType::rejection(reason),
            extension: 0,
            encryption: 0,
            extensions: Extensions::default(),
            ..self.handshake.clone()
        };
        let body = Control::Handshake(Box::new(answer));
        Transmit::control(&body, self.received_at.0 as u32, self.handshake.socket_id)
    }

    /// Makes a connection, known to the peer as `id`. With a passphrase this takes about a
    /// millisecond: keep callers with a wrong one from trying at full speed.
    ///
    /// # Errors
    /// The answer that refuses the caller, and why.
    pub fn accept(
        &self,
        config: Config,
        id: SocketId,
        seed: &Seed,
        now: Mono,
    ) -> Result<Connection, (Transmit, Reason)> {
        self.try_accept(config, id, seed, now)
            .map_err(|reason| (self.refuse(reason), reason))
    }

    fn try_accept(
        &self,
        config: Config,
        id: SocketId,
        seed: &Seed,
        now: Mono,
    ) -> Result<Connection, Reason> {
        let theirs = &self.handshake;
        let hs = check_peer(theirs)?;
        let group = match (theirs.extensions.group, config.group) {
            (None, _) => None,
            (Some(theirs), Some(id)) if GroupKind::from_type(theirs.kind).is_some() => {
                Some(GroupExtension { id, ..theirs })
            }
            (Some(_), _) => return Err(Reason::GROUP),
        };
        let filter = agree_filter(config.filter, theirs.extensions.filter.as_ref())?;
        let km = theirs.extensions.km.as_ref();
        let mut entropy = Entropy::new(seed);
        let own_first = Seq::new(entropy.u32());
        let (crypto, key_answer) = respond_keys(&config, km, entropy, now)?.unzip();
        // Both ends begin with the same key, and a number under it is enciphered always alike:
        // ours must not be the caller's. The members of a group keep theirs.
        let send_first = if crypto.is_some() && group.is_none() {
            own_first
        } else {
            theirs.initial_seq
        };
        let receive_latency = agree_latency(config.latency, hs.send_delay_ms);
        let send_latency = agree_latency(config.peer_latency, hs.receive_delay_ms);
        let extensions = Extensions {
            hs: Some(hs_extension(
                false,
                latency_ms(receive_latency),
                latency_ms(send_latency),
            )),
            km: key_answer.map(|content| KmExtension {
                request: false,
                content,
            }),
            filter: filter.map(|fec| filter_text(fec.spec())),
            group,
            ..Extensions::default()
        };
        let answer = Handshake {
            version: 5,
            encryption: crypto.as_ref().map_or(0, |c| c.length().field()),
            extension: extensions.field(),
            initial_seq: send_first,
            mtu: theirs.mtu.min(MTU_BYTES),
            flow_window: config.receive_capacity(),
            kind: HandshakeType::CONCLUSION,
            socket_id: id,
            cookie: theirs.cookie,
            peer_ip: peer_ip_field(self.peer.ip()),
            extensions,
        };
        let agreement = Agreement {
            peer_id: theirs.socket_id,
            peer_version: hs.version,
            send_first,
            receive_first: theirs.initial_seq,
            flow_window: theirs.flow_window,
            receive_latency,
            send_latency,
            peer_timestamp: self.timestamp,
            crypto,
            filter,
            mtu: theirs.mtu,
        };
        Ok(Connection::accepted(
            config,
            id,
            self.peer,
            agreement,
            answer,
            self.received_at,
            now,
        ))
    }
}
