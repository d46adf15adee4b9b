//! Two ends that call each other (§4.3.2).
//!
//! Each waves until it hears the other. The one with the greater cookie is the initiator: it
//! behaves like a caller from there on, and the other like a listener.

use crate::config::Config;
use crate::crypto::{Crypto, Entropy, Seed};
use crate::handshake::agreement::{
    Agreement, agree_filter, agree_latency, check_key_answer, check_peer, filter_text, latency_ms,
    respond_keys,
};
use crate::handshake::caller::Refusal;
use crate::handshake::hs_extension;
use crate::limits::MTU_BYTES;
use crate::packet::extension::{Extensions, KmExtension};
use crate::packet::handshake::{HandshakeType, Reason, peer_ip_field};
use crate::packet::{Handshake, SocketId};
use crate::seq::Seq;
use crate::timing::HANDSHAKE_REPEAT;
use bytes::Bytes;
use std::net::IpAddr;
use weir_media::Mono;

/// Which part an end plays once the cookies are compared.
#[derive(Debug)]
enum Role {
    Undecided,
    Initiator(Option<Box<(Crypto, Bytes)>>),
    Responder,
}

/// A rendezvous in progress.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    id: SocketId,
    peer_ip: IpAddr,
    stream_id: Option<Bytes>,
    initial_seq: Seq,
    cookie: u32,
    entropy: Option<Entropy>,
    role: Role,
    peer_id: SocketId,
    repeat_at: Mono,
    give_up_at: Mono,
}

/// A rendezvous that has come about: what was agreed on, and what the peer is to be told when
/// it repeats itself.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) agreement: Agreement,
    pub(crate) answer: Handshake,
    pub(crate) peer_cookie: u32,
}

impl Rendezvous {
    pub(crate) fn new(
        config: &Config,
        id: SocketId,
        peer_ip: IpAddr,
        stream_id: Option<&str>,
        seed: &Seed,
        now: Mono,
    ) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            id,
            peer_ip,
            stream_id: stream_id.map(|text| Bytes::copy_from_slice(text.as_bytes())),
            initial_seq: Seq::new(entropy.u32()),
            cookie: entropy.u32().max(1),
            entropy: Some(entropy),
            role: Role::Undecided,
            peer_id: SocketId(0),
            repeat_at: now,
            give_up_at: now + config.connect_timeout,
        }
    }

    pub(crate) fn due(&self) -> Mono {
        self.repeat_at.min(self.give_up_at)
    }

    pub(crate) fn is_over(&self, now: Mono) -> bool {
        self.give_up_at <= now
    }

    /// Whom our handshakes are for, once it is known.
    pub(crate) fn peer_id(&self) -> SocketId {
        self.peer_id
    }

    /// The packet to be sent now, if one is due.
    pub(crate) fn poll(&mut self, config: &Config, now: Mono) -> Option<Handshake> {
        if now < self.repeat_at {
            return None;
        }
        self.repeat_at = now + HANDSHAKE_REPEAT;
        let kind = match self.role {
            Role::Undecided => HandshakeType::WAVEHAND,
            Role::Initiator(_) | Role::Responder => HandshakeType::CONCLUSION,
        };
        let extensions = match &self.role {
            Role::Initiator(keys) => Extensions {
                hs: Some(hs_extension(
                    true,
                    latency_ms(config.latency),
                    latency_ms(config.peer_latency),
                )),
                km: keys.as_ref().map(|keys| KmExtension {
                    request: true,
                    content: keys.1.clone(),
                }),
                stream_id: self.stream_id.clone(),
                filter: config.filter.map(filter_text),
                ..Extensions::default()
            },
            Role::Undecided | Role::Responder => Extensions::default(),
        };
        Some(self.packet(config, kind, extensions))
    }

    fn packet(&self, config: &Config, kind: HandshakeType, extensions: Extensions) -> Handshake {
        let encrypts = config.passphrase.is_some();
        Handshake {
            version: 5,
            encryption: if encrypts {
                config.key_length.field()
            } else {
                0
            },
            extension: extensions.field(),
            initial_seq: self.initial_seq,
            mtu: MTU_BYTES,
            flow_window: config.receive_capacity(),
            kind,
            socket_id: self.id,
            cookie: self.cookie,
            peer_ip: peer_ip_field(self.peer_ip),
            extensions,
        }
    }

    /// A handshake has come from the peer. `None` while there is more to do.
    pub(crate) fn handle(
        &mut self,
        config: &Config,
        theirs: &Handshake,
        timestamp: u32,
        now: Mono,
    ) -> Option<Result<Box<Met>, Refusal>> {
        if let Some(reason) = theirs.kind.rejected() {
            return Some(Err(Refusal::ByPeer(reason)));
        }
        if !matches!(
            theirs.kind,
            HandshakeType::WAVEHAND | HandshakeType::CONCLUSION
        ) {
            return None;
        }
        if theirs.version < 5 || theirs.socket_id.0 == 0 {
            return Some(Err(Refusal::ByUs(Reason::VERSION)));
        }
        if let Err(reason) = self.decide(config, theirs, now) {
            return Some(Err(Refusal::ByUs(reason)));
        }
        let hs = theirs.extensions.hs?;
        let met = match self.role {
            Role::Initiator(_) if !hs.request => self.conclude(config, theirs, timestamp),
            Role::Responder if hs.request => self.respond(config, theirs, timestamp, now),
            // It took the other part, by another comparison than ours.
            Role::Initiator(_) | Role::Responder => Err(Reason::ROGUE),
            Role::Undecided => return None,
        };
        Some(met.map(Box::new).map_err(Refusal::ByUs))
    }

    /// Compares cookies when the peer is heard first.
    fn decide(&mut self, config: &Config, theirs: &Handshake, now: Mono) -> Result<(), Reason> {
        if !matches!(self.role, Role::Undecided) {
            return Ok(());
        }
        // As libsrt does: the sign of the difference in 32 bits.
        let difference = self.cookie.wrapping_sub(theirs.cookie) as i32;
        self.peer_id = theirs.socket_id;
        self.repeat_at = now;
        self.role = match difference {
            0 => return Err(Reason::RENDEZVOUS_COOKIE),
            1.. => {
                let keys = config.passphrase.as_ref().zip(self.entropy.take());
                let keys = keys.map(|(passphrase, entropy)| {
                    let (length, refresh) = (config.key_length, config.refresh);
                    Box::new(Crypto::initiate(passphrase, length, refresh, entropy))
                });
                Role::Initiator(keys)
            }
            ..0 => Role::Responder,
        };
        Ok(())
    }

    /// The responder has answered.
    fn conclude(
        &mut self,
        config: &Config,
        theirs: &Handshake,
        timestamp: u32,
    ) -> Result<Met, Reason> {
        let hs = *check_peer(theirs)?;
        let filter = agree_filter(config.filter, theirs.extensions.filter.as_ref())?;
        let km = theirs.extensions.km.as_ref();
        let keys = match &mut self.role {
            Role::Initiator(keys) => keys.take(),
            Role::Undecided | Role::Responder => None,
        };
        match &keys {
            Some(keys) => check_key_answer(&keys.1, km)?,
            None if km.is_some() => return Err(Reason::UNSECURE),
            None => {}
        }
        let answer = self.packet(config, HandshakeType::AGREEMENT, Extensions::default());
        let agreement = Agreement {
            peer_id: theirs.socket_id,
            peer_version: hs.version,
            send_first: self.initial_seq,
            receive_first: theirs.initial_seq,
            flow_window: theirs.flow_window,
            mtu: theirs.mtu,
            receive_latency: agree_latency(config.latency, hs.send_delay_ms),
            send_latency: agree_latency(config.peer_latency, hs.receive_delay_ms),
            peer_timestamp: timestamp,
            crypto: keys.map(|keys| keys.0),
            filter,
        };
        Ok(Met {
            agreement,
            answer,
            peer_cookie: theirs.cookie,
        })
    }

    /// The initiator has told what it wants.
    fn respond(
        &mut self,
        config: &Config,
        theirs: &Handshake,
        timestamp: u32,
        now: Mono,
    ) -> Result<Met, Reason> {
        let hs = *check_peer(theirs)?;
        let filter = agree_filter(config.filter, theirs.extensions.filter.as_ref())?;
        let entropy = self.entropy.take().ok_or(Reason::ROGUE)?;
        let km = theirs.extensions.km.as_ref();
        let (crypto, key_answer) = respond_keys(config, km, entropy, now)?.unzip();
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
            ..Extensions::default()
        };
        let answer = self.packet(config, HandshakeType::CONCLUSION, extensions);
        let agreement = Agreement {
            peer_id: theirs.socket_id,
            peer_version: hs.version,
            send_first: self.initial_seq,
            receive_first: theirs.initial_seq,
            flow_window: theirs.flow_window,
            mtu: theirs.mtu,
            receive_latency,
            send_latency,
            peer_timestamp: timestamp,
            crypto,
            filter,
        };
        Ok(Met {
            agreement,
            answer,
            peer_cookie: theirs.cookie,
        })
    }
}
