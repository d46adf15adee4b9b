//! A rendered playlist, and its compressed forms: each made once per version, when first asked for.
//!
//! What takes little time is compressed at once; a longer one, such as that of a whole week, by a task
//! in steps between which the worker does other things. Until it is done the plain form is the answer.

use crate::limits::{
    COMPRESS_AT_ONCE_BYTES_MAX, COMPRESS_BYTES_MAX, COMPRESS_BYTES_MIN, COMPRESS_STEP_BYTES,
    COMPRESS_TASKS_MAX,
};
use bytes::Bytes;
use std::cell::{Cell, OnceCell};
use std::io::{self, Write};
use std::rc::Rc;
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
    /// A task makes, or could not make, the form at the same place.
    is_begun: [Cell<bool>; AVAILABLE.len()],
}

thread_local! {
    /// Tasks of this worker that compress.
    static TASKS: Cell<usize> = const { Cell::new(0) };
}

impl Playlist {
    pub(crate) fn new(stamp: u64, text: String) -> Self {
        Self {
            stamp,
            text: text.into(),
            compressed: Default::default(),
            is_begun: Default::default(),
        }
    }

    /// Bytes that it may take with all its forms.
    pub(crate) fn weight(&self) -> usize {
        self.text.len() * 2
    }

    /// The form that a request asks for. Of a long playlist it may not be there yet.
    pub(crate) fn form(self: &Rc<Self>, request: &Request<'_>) -> (Encoding, Bytes) {
        let plain = (Encoding::Identity, self.text.clone());
        if !(COMPRESS_BYTES_MIN..=COMPRESS_BYTES_MAX).contains(&self.text.len()) {
            return plain;
        }
        let wanted = encoding::choose(request.headers.values("accept-encoding"), &AVAILABLE);
        let place = AVAILABLE.iter().position(|e| *e == wanted);
        let Some((place, cell)) = place.and_then(|n| Some((n, self.compressed.get(n)?))) else {
            return plain;
        };
        let bytes = match cell.get() {
            Some(bytes) => bytes,
            None if self.text.len() > COMPRESS_AT_ONCE_BYTES_MAX => {
                self.begin(place);
                return plain;
            }
            // Writing to memory does not fail; if it did, an empty form would say so.
            None => cell.get_or_init(|| compress(wanted, &self.text).unwrap_or_default().into()),
        };
        if bytes.is_empty() {
            return plain;
        }
        (wanted, bytes.clone())
    }

    /// Has a task make the form at a place of [`AVAILABLE`], unless one does or there are too many.
    fn begin(self: &Rc<Self>, place: usize) {
        let (Some(&encoding), Some(is_begun)) = (AVAILABLE.get(place), self.is_begun.get(place))
        else {
            return;
        };
        if is_begun.get() || TASKS.get() >= COMPRESS_TASKS_MAX {
            return;
        }
        is_begun.set(true);
        let counted = Counted::new();
        let playlist = Rc::clone(self);
        weir_ring::spawn(async move {
            let _counted = counted;
            let Ok(mut compressor) = Compressor::new(encoding) else {
                return;
            };
            for step in playlist.text.chunks(COMPRESS_STEP_BYTES) {
                // Nobody else has it any more: there is a newer version.
                if Rc::strong_count(&playlist) == 1 || compressor.write_all(step).is_err() {
                    return;
                }
                weir_ring::yield_now().await;
            }
            if let (Ok(bytes), Some(cell)) = (compressor.finish(), playlist.compressed.get(place)) {
                let _ = cell.set(bytes.into());
            }
        });
    }
}

/// One of the tasks that compress.
struct Counted(());

impl Counted {
    fn new() -> Self {
        TASKS.set(TASKS.get() + 1);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        TASKS.set(TASKS.get() - 1);
    }
}

fn compress(encoding: Encoding, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = Compressor::new(encoding)?;
    compressor.write_all(text)?;
    compressor.finish()
}

/// Text on its way into one encoding.
enum Compressor {
    Identity(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    fn new(encoding: Encoding) -> io::Result<Self> {
        let out = Vec::new();
        Ok(match encoding {
            Encoding::Identity => Self::Identity(out),
            Encoding::Gzip => {
                let level = flate2::Compression::default();
                Self::Gzip(flate2::write::GzEncoder::new(out, level))
            }
            Encoding::Br => {
                let writer = brotli::CompressorWriter::new(out, 4096, BR_QUALITY, BR_WINDOW);
                Self::Br(Box::new(writer))
            }
            Encoding::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                Self::Zstd(zstd::stream::write::Encoder::new(out, level)?)
            }
        })
    }

    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(out) => out.write_all(text),
            Self::Gzip(writer) => writer.write_all(text),
            Self::Br(writer) => writer.write_all(text),
            Self::Zstd(writer) => writer.write_all(text),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity(out) => Ok(out),
            Self::Gzip(writer) => writer.finish(),
            Self::Br(writer) => Ok(writer.into_inner()),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use weir_http::{Parsed, request};

    fn form(playlist: &Rc<Playlist>, accept: &str) -> (Encoding, Bytes) {
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
        let playlist = Rc::new(Playlist::new(1, text.clone()));
        for (accept, wanted) in [
            ("gzip", Encoding::Gzip),
            ("br, gzip", Encoding::Br),
            ("zstd;q=1, gzip;q=0.5", Encoding::Zstd),
            ("identity", Encoding::Identity),
            ("compress", Encoding::Identity),
        ] {
            let (encoding, bytes) = form(&playlist, accept);
            assert_eq!(encoding, wanted, "{accept}");
            assert_eq!(read(encoding, &bytes), text, "{accept}");
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

    /// What a compressed form says.
    fn read(encoding: Encoding, bytes: &[u8]) -> String {
        let mut text = String::new();
        match encoding {
            Encoding::Identity => text = String::from_utf8(bytes.to_vec()).unwrap(),
            Encoding::Gzip => {
                let mut reader = flate2::read::GzDecoder::new(bytes);
                reader.read_to_string(&mut text).unwrap();
            }
            Encoding::Br => {
                let mut reader = brotli::Decompressor::new(bytes, 4096);
                reader.read_to_string(&mut text).unwrap();
            }
            Encoding::Zstd => {
                let plain = zstd::stream::decode_all(bytes).unwrap();
                text = String::from_utf8(plain).unwrap();
            }
        }
        text
    }

    #[test]
    fn the_short_and_the_huge_stay_plain() {
        let short = Rc::new(Playlist::new(1, "x".repeat(COMPRESS_BYTES_MIN - 1)));
        assert_eq!(form(&short, "gzip").0, Encoding::Identity);
        let huge = Rc::new(Playlist::new(1, "x".repeat(COMPRESS_BYTES_MAX + 1)));
        assert_eq!(form(&huge, "gzip").0, Encoding::Identity);
    }

    /// As a week's playlist.
    fn long() -> String {
        let line = |i: usize| format!("#EXTINF:4,\n../s/k/{i}.m4s\n");
        (0..COMPRESS_AT_ONCE_BYTES_MAX / 20).map(line).collect()
    }

    #[test]
    fn a_long_one_is_compressed_beside_other_work() {
        let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
        runtime.block_on(async {
            let text = long();
            assert!(text.len() > COMPRESS_AT_ONCE_BYTES_MAX);
            let playlist = Rc::new(Playlist::new(1, text.clone()));
            for wanted in AVAILABLE {
                let accept = wanted.as_str();
                assert_eq!(form(&playlist, accept).0, Encoding::Identity);
                assert_eq!(form(&playlist, accept).0, Encoding::Identity);
                assert_eq!(TASKS.get(), 1, "one task for all who ask");
                let steps = text.len().div_ceil(COMPRESS_STEP_BYTES);
                for step in 0..=steps {
                    assert!(
                        TASKS.get() == 1 || step > 1,
                        "it lets others have their turn"
                    );
                    weir_ring::yield_now().await;
                }
                while TASKS.get() > 0 {
                    weir_ring::yield_now().await;
                }
                let (encoding, bytes) = form(&playlist, accept);
                assert_eq!(encoding, wanted);
                assert!(bytes.len() < text.len() / 2);
                assert_eq!(read(encoding, &bytes), text);
            }
        });
    }

    #[test]
    fn what_nobody_has_is_compressed_no_more_and_tasks_are_few() {
        let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
        runtime.block_on(async {
            let all: Vec<_> = (0..COMPRESS_TASKS_MAX + 1)
                .map(|_| Rc::new(Playlist::new(1, long())))
                .collect();
            for playlist in &all {
                assert_eq!(form(playlist, "br").0, Encoding::Identity);
            }
            assert_eq!(TASKS.get(), COMPRESS_TASKS_MAX);
            drop(all);
            // One turn to see it.
            weir_ring::yield_now().await;
            weir_ring::yield_now().await;
            assert_eq!(TASKS.get(), 0);
        });
    }
}
