//! What one request costs before and after its body: reading a head, writing a head.
//!
//! On a Xeon at 2.8 GHz (2 vCPU guest), best of 200 rounds: 0.44 us for the head of hls.js,
//! of which httparse takes 0.27; 0.13 us for a short one.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use weir_http::conditional::{Validators, evaluate};
use weir_http::target::{Path, Query};
use weir_http::{Head, HttpDate, Parsed, Status, range, request};

/// A media request of hls.js in Chromium across origins.
const HLS_JS: &[u8] = b"GET /s/3f9a1c77e2b84d0f/v0/1842.m4s HTTP/1.1\r\n\
    Host: media.example:8080\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/126.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"126\", \"Not)A;Brand\";v=\"8\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Accept: */*\r\n\
    Origin: http://site.example\r\n\
    Sec-Fetch-Site: cross-site\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: http://site.example/\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    \r\n";

/// What wrk and other load tools send.
const SHORT: &[u8] = b"GET /s/3f9a1c77e2b84d0f/v0/1842.m4s HTTP/1.1\r\nHost: h:8080\r\n\r\n";

fn heads(c: &mut Criterion) {
    for (name, bytes) in [("hls.js", HLS_JS), ("short", SHORT)] {
        c.bench_function(&format!("parse {name} ({} bytes)", bytes.len()), |b| {
            b.iter(|| request::parse(black_box(bytes)));
        });
    }
    let Ok(Parsed::Head { head, .. }) = request::parse(HLS_JS) else {
        return;
    };
    let validators = Validators {
        etag: Some("\"a1\""),
        last_modified: None,
    };
    c.bench_function("path, query, conditions, range", |b| {
        b.iter(|| {
            let request = black_box(&head);
            let segments = Path::parse(request.path).map(|path| path.segments().count());
            let wanted = Query::new(request.query).first("protocol").is_ok();
            let range = range::requested(request, validators.etag);
            (segments, wanted, evaluate(request, &validators), range)
        });
    });

    let date = HttpDate::from_unix(784_111_777);
    let mut out = Vec::with_capacity(1024);
    c.bench_function("write a segment's head", |b| {
        b.iter(|| {
            out.clear();
            Head::start(&mut out, Status::Ok, black_box(&date))
                .content_type("video/mp4")
                .content_length(black_box(1_234_567))
                .cache_control("public, max-age=31536000, immutable")
                .etag(black_box("\"a1b2c3d4\""))
                .accept_ranges()
                .cors()
                .end();
            out.len()
        });
    });
    c.bench_function("make a date", |b| {
        b.iter(|| HttpDate::from_unix(black_box(784_111_777)))
    });
}

// The macro makes an undocumented public function.
#[allow(missing_docs)]
mod group {
    use super::*;
    criterion_group!(benches, heads);
}
criterion_main!(group::benches);
