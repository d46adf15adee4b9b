//! What one request costs before and after its body: reading a head, writing a head.
//!
//! On a Xeon at 2.8 GHz (2 vCPU guest), best of 200 rounds: 0.44 us for the head of hls.js,
//! of which httparse takes 0.27; 0.13 us for a short one.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::IpAddr;
use weir_http::conditional::{Validators, evaluate};
use weir_http::forwarded::{self, Field};
use weir_http::log::{Entry, Line};
use weir_http::target::{Path, Query};
use weir_http::{Encoding, Head, HttpDate, Parsed, Request, Status, encoding, range, request};

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

    c.bench_function("choose a coding", |b| {
        let available = [Encoding::Zstd, Encoding::Br, Encoding::Gzip];
        b.iter(|| {
            encoding::choose(
                black_box(&head).headers.values("accept-encoding"),
                &available,
            )
        });
    });
    let proxied = [
        &HLS_JS[..HLS_JS.len() - 2],
        b"X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\n\r\n",
    ]
    .concat();
    if let (Ok(Parsed::Head { head, .. }), Ok(trusted)) =
        (request::parse(&proxied), "10.0.0.0/8".parse())
    {
        let peer = IpAddr::from([10, 0, 0, 1]);
        c.bench_function("find the client behind two proxies", |b| {
            b.iter(|| {
                forwarded::client(
                    black_box(&head).headers,
                    Field::XForwardedFor,
                    peer,
                    &[trusted],
                )
            });
        });
    }
    log_lines(c, &head);

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

/// What a log line costs that is written.
fn log_lines(c: &mut Criterion, head: &Request<'_>) {
    let entry = Entry {
        client: IpAddr::from([192, 0, 2, 1]),
        time_ms: 784_111_777_000,
        line: Some(Line {
            method: head.method.as_str(),
            path: head.path,
            query: head.query,
            protocol: "HTTP/1.1",
            host: head.host,
        }),
        status: 200,
        body_bytes: 1_234_567,
        duration_us: 120,
        referer: head.headers.first("referer"),
        user_agent: head.headers.first("user-agent"),
        tls: false,
    };
    let mut line = String::with_capacity(1024);
    c.bench_function("write a combined log line", |b| {
        b.iter(|| {
            line.clear();
            black_box(&entry).write_combined(&mut line);
            line.len()
        });
    });
    c.bench_function("write a JSON log line", |b| {
        b.iter(|| {
            line.clear();
            black_box(&entry).write_json(&mut line);
            line.len()
        });
    });
}

// The macro makes an undocumented public function.
#[allow(missing_docs)]
mod group {
    use super::*;
    criterion_group!(benches, heads);
}
criterion_main!(group::benches);
