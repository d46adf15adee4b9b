//! The end that calls (§4.3.1).

use crate::config::Config;
use crate::crypto::{Crypto, Entropy, Seed};
use crate::handshake::agreement::{
    Agreement, agree_filter, agree_latency, check_key_answer, check_peer, filter_text, latency_ms,
};
use crate::handshake::hs_extension;
use crate::limits::MTU_BYTES;
use crate::packet::extension::{Extensions, KmExtension};
use crate::packet::handshake::{DATAGRAM, HandshakeType, MAGIC, Reason, peer_ip_field};
use crate::packet::{Handshake, SocketId};
use crate::seq::Seq;
use crate::timing::HANDSHAKE_REPEAT;
use bytes::Bytes;
use std::net::IpAddr;
use weir_media::Mono;

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Caller {
    id: SocketId,
    peer_ip: IpAddr,
    stream_id: Option<Bytes>,
    initial_seq: Seq,
    crypto: Option<(Crypto, Bytes)>,
    /// The listener's cookie, once it has answered.
    cookie: Option<u32>,
    repeat_at: Mono,
    give_up_at: Mono,
}

impl Caller {
    pub(crate) fn new(
        config: &Config,
        id: SocketId,
        peer_ip: IpAddr,
        stream_id: Option<&str>,
        seed: &Seed,
        now: Mono,
    ) -> Self {
        let mut entropy = Entropy::new(seed);
        let initial_seq = Seq::new(entropy.u32());
        let crypto = config
            .passphrase
            .as_ref()
            .map(|p| Crypto::initiate(p, config.key_length, config.refresh, entropy));
        Self {
            id,
            peer_ip,
            stream_id: stream_id.map(|text| Bytes::copy_from_slice(text.as_bytes())),
            initial_seq,
            crypto,
            cookie: None,
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

    /// The packet to be sent now, if one is due.
    pub(crate) fn poll(&mut self, config: &Config, now: Mono) -> Option<Handshake> {
        if now < self.repeat_at {
            return None;
        }
        self.repeat_at = now + HANDSHAKE_REPEAT;
        Some(match self.cookie {
            None => self.induction(config),
            Some(cookie) => self.conclusion(config, cookie),
        })
    }

    fn induction(&self, config: &Config) -> Handshake {
        Handshake {
            version: 4,
            encryption: 0,
            extension: DATAGRAM,
            initial_seq: self.initial_seq,
            mtu: MTU_BYTES,
            flow_window: config.receive_capacity(),
            kind: HandshakeType::INDUCTION,
            socket_id: self.id,
            cookie: 0,
            peer_ip: peer_ip_field(self.peer_ip),
            extensions: Extensions::default(),
        }
    }

    fn conclusion(&self, config: &Config, cookie: u32) -> Handshake {
        let extensions = Extensions {
            hs: Some(hs_extension(
                true,
                latency_ms(config.latency),
                latency_ms(config.peer_latency),
            )),
            km: self.crypto.as_ref().map(|(_, content)| KmExtension {
                request: true,
                content: content.clone(),
            }),
            stream_id: self.stream_id.clone(),
            filter: config.filter.map(filter_text),
            ..Extensions::default()
        };
        Handshake {
            version: 5,
            encryption: self.crypto.as_ref().map_or(0, |(c, _)| c.length().field()),
            extension: extensions.field(),
            kind: HandshakeType::CONCLUSION,
            cookie,
            extensions,
            ..self.induction(config)
        }
    }

    /// A handshake has come from the listener. `None` while there is more to do.
    pub(crate) fn handle(
        &mut self,
        config: &Config,
        answer: &Handshake,
        timestamp: u32,
        now: Mono,
    ) -> Option<Result<Agreement, Refusal>> {
        if let Some(reason) = answer.kind.rejected() {
            return Some(Err(Refusal::ByPeer(reason)));
        }
        match (answer.kind, self.cookie) {
            (HandshakeType::INDUCTION, None) => {
                if answer.version < 5 || answer.extension != MAGIC {
                    return Some(Err(Refusal::ByUs(Reason::VERSION)));
                }
                self.cookie = Some(answer.cookie);
                self.repeat_at = now;
                None
            }
            (HandshakeType::CONCLUSION, Some(_)) => Some(
                self.conclude(config, answer, timestamp)
                    .map_err(Refusal::ByUs),
            ),
            // A repeated answer.
            _ => None,
        }
    }

    fn conclude(
        &mut self,
        config: &Config,
        answer: &Handshake,
        timestamp: u32,
    ) -> Result<Agreement, Reason> {
        let hs = check_peer(answer)?;
        let filter = agree_filter(config.filter, answer.extensions.filter.as_ref())?;
        let km = answer.extensions.km.as_ref();
        match &self.crypto {
            Some((_, sent)) => check_key_answer(sent, km)?,
            None if km.is_some() => return Err(Reason::UNSECURE),
            None => {}
        }
        Ok(Agreement {
            peer_id: answer.socket_id,
            peer_version: hs.version,
            send_first: self.initial_seq,
            receive_first: answer.initial_seq,
            flow_window: answer.flow_window,
            mtu: answer.mtu,
            receive_latency: agree_latency(config.latency, hs.send_delay_ms),
            send_latency: agree_latency(config.peer_latency, hs.receive_delay_ms),
            peer_timestamp: timestamp,
            crypto: self.crypto.take().map(|(crypto, _)| crypto),
            filter,
        })
    }
}

/// Who gave up a handshake, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    ByPeer(Reason),
    ByUs(Reason),
}
