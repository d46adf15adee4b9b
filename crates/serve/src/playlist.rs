//! A rendered playlist, and its compressed forms: each made once per version, when first asked for.

use crate::limits::{COMPRESS_BYTES_MAX, COMPRESS_BYTES_MIN};
use bytes::Bytes;
use std::cell::OnceCell;
use std::io::{self, Write};
use weir_http::Request;
use weir_http::encoding::{self, Encoding};

/// What weir can make, the smallest result for a playlist first.
const AVAILABLE: [Encoding; 3] = [Encoding::Br, Encoding::Zstd, Encoding::Gzip];

/// Brotli's quality and window: a playlist of 4 KiB takes some 100 us.
const BR_QUALITY: u32 = 5;
const BR_WINDOW: u32 = 18;

/// One version of a playlist, shared by all viewers of a worker.
pub(crate) struct Playlist {
    /// Stamp of the view that it was rendered from.
    pub(crate) stamp: u64,
    text: Bytes,
    compressed: [OnceCell<Bytes>; AVAILABLE.len()],
}

impl Playlist {
    pub(crate) fn new(stamp: u64, text: String) -> Self {
        Self {
            stamp,
            text: text.into(),
            compressed: Default::default(),
        }
    }

    /// Bytes that it may take with all its forms.
    pub(crate) fn weight(&self) -> usize {
        self.text.len() * 2
    }

    /// The form that a request asks for.
    pub(crate) fn form(&self, request: &Request<'_>) -> (Encoding, Bytes) {
        let plain = (Encoding::Identity, self.text.clone());
        if !(COMPRESS_BYTES_MIN..=COMPRESS_BYTES_MAX).contains(&self.text.len()) {
            return plain;
        }
        let wanted = encoding::choose(request.headers.values("accept-encoding"), &AVAILABLE);
        let place = AVAILABLE.iter().position(|e| *e == wanted);
        let Some(cell) = place.and_then(|place| self.compressed.get(place)) else {
            return plain;
        };
        // Writing to memory does not fail; if it did, an empty form would say so.
        let bytes = cell.get_or_init(|| compress(wanted, &self.text).unwrap_or_default().into());
        if bytes.is_empty() {
            return plain;
        }
        (wanted, bytes.clone())
    }
}

fn compress(encoding: Encoding, text: &[u8]) -> io::Result<Vec<u8>> {
    match encoding {
        Encoding::Identity => Ok(text.to_vec()),
        Encoding::Gzip => {
            let level = flate2::Compression::default();
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(text)?;
            writer.finish()
        }
        Encoding::Br => {
            let mut out = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut out, 4096, BR_QUALITY, BR_WINDOW);
            writer.write_all(text)?;
            drop(writer);
            Ok(out)
        }
        Encoding::Zstd => zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use weir_http::{Parsed, request};

    fn form(playlist: &Playlist, accept: &str) -> (Encoding, Bytes) {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {accept}\r\n\r\n");
        let Ok(Parsed::Head { head: request, .. }) = request::parse(head.as_bytes()) else {
            panic!("not a head: {head}")
        };
        playlist.form(&request)
    }

    #[test]
    fn each_form_reads_back_and_is_made_once() {
        let text: String = (0..60)
            .map(|i| format!("#EXTINF:4,\n../s/k/{i}.m4s\n"))
            .collect();
        let playlist = Playlist::new(1, text.clone());
        for (accept, wanted) in [
            ("gzip", Encoding::Gzip),
            ("br, gzip", Encoding::Br),
            ("zstd;q=1, gzip;q=0.5", Encoding::Zstd),
            ("identity", Encoding::Identity),
            ("compress", Encoding::Identity),
        ] {
            let (encoding, bytes) = form(&playlist, accept);
            assert_eq!(encoding, wanted, "{accept}");
            let mut read = String::new();
            match encoding {
                Encoding::Identity => read = String::from_utf8(bytes.to_vec()).unwrap(),
                Encoding::Gzip => {
                    let mut reader = flate2::read::GzDecoder::new(&bytes[..]);
                    reader.read_to_string(&mut read).unwrap();
                }
                Encoding::Br => {
                    let mut reader = brotli::Decompressor::new(&bytes[..], 4096);
                    reader.read_to_string(&mut read).unwrap();
                }
                Encoding::Zstd => {
                    let plain = zstd::bulk::decompress(&bytes, 1 << 20).unwrap();
                    read = String::from_utf8(plain).unwrap();
                }
            }
            assert_eq!(read, text, "{accept}");
            if encoding != Encoding::Identity {
                assert!(bytes.len() < text.len() / 2);
                let again = form(&playlist, accept).1;
                assert_eq!(
                    again.as_ptr(),
                    bytes.as_ptr(),
                    "the same bytes for the next viewer"
                );
            }
        }
    }

    #[test]
    fn the_short_and_the_huge_stay_plain() {
        let short = Playlist::new(1, "x".repeat(COMPRESS_BYTES_MIN - 1));
        assert_eq!(form(&short, "gzip").0, Encoding::Identity);
        let huge = Playlist::new(1, "x".repeat(COMPRESS_BYTES_MAX + 1));
        assert_eq!(form(&huge, "gzip").0, Encoding::Identity);
    }
}
