//! Whole files, and whether weir takes what comes out.

use super::*;
use crate::config::{Flags, Settings};

/// Imports a text, and loads what came out as `weir serve` would.
fn imported(text: &str) -> (String, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("nginx.conf");
    fs::write(&from, text).unwrap();
    let made = import(&from).unwrap();
    let made = made.replace(from.to_str().unwrap(), "nginx.conf");
    (made.clone(), load(&made))
}

fn load(text: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("weir.toml");
    fs::write(&to, text).unwrap();
    let flags = Flags {
        config: Some(to),
        ..Flags::default()
    };
    let settings = Settings::load(&flags).unwrap_or_else(|e| panic!("{e}\n{text}"));
    crate::policy::policy(&settings, Vec::new()).unwrap();
    settings
}

const USUAL: &str = "\
user www-data;
worker_processes auto;
events { worker_connections 1024; }
rtmp {
    server {
        listen 1935;
        listen [::]:1935 ipv6only=on;
        chunk_size 4096;
        max_message 1M;
        application live {
            live on;
            record off;
            meta copy;
            wait_key on;
            drop_idle_publisher 10s;
            hls on;
            hls_path /var/www/hls;
            hls_fragment 3s;
            hls_playlist_length 1m;
            hls_nested on;
            allow publish 127.0.0.1;
            allow publish 10.0.0.0/8;
            deny publish all;
            allow play all;
            on_publish http://127.0.0.1:8080/auth?a=\"b c\";
            on_publish http://127.0.0.1:8080/auth;
            on_done http://127.0.0.1:8080/done;
            push rtmp://a.example/app;
            push rtmp://b.example/app name=cam;
            pull rtmp://10.1.2.3/app name=cam static;
            pull rtmp://c.example/app;
            exec ffmpeg -i rtmp://localhost/live/$name -c copy -f flv rtmp://localhost/hls/$name;
            exec_publish /usr/bin/notify $name;
            frobnicate on;
        }
    }
}
http { server { location /stat { rtmp_stat all; } } }
";

#[test]
fn the_usual_file() {
    let (text, settings) = imported(USUAL);
    assert_eq!(settings.rtmp.to_string(), "[::]:1935");
    assert_eq!(
        (settings.segment.to_string(), settings.window.to_string()),
        ("3s".into(), "1m".into())
    );
    assert!(settings.open && settings.keep.to_string() == "1h");
    assert_eq!(
        settings.access.publish_allow.to_string(),
        "127.0.0.1/32, 10.0.0.0/8"
    );
    assert!(settings.access.play_allow.0.is_empty() && settings.access.play_deny.0.is_empty());
    assert_eq!(
        settings.hooks.on_publish.as_ref().unwrap().0.to_string(),
        "http://127.0.0.1:8080/auth"
    );
    assert!(settings.hooks.on_done.is_some() && settings.hooks.on_play.is_none());
    assert_eq!(settings.pulls.len(), 1);
    assert!(!settings.pulls[0].on_demand && settings.private_targets.to_string() == "10.1.2.3/32");
    for (line, why) in [
        ("nginx.conf:8: chunk_size 4096", "not needed"),
        (
            "nginx.conf:32: exec ffmpeg",
            "refused: weir starts no programs",
        ),
        ("nginx.conf:33: exec_publish", "refused"),
        ("nginx.conf:28: push rtmp://a.example/app", "[[input]]"),
        ("nginx.conf:31: pull rtmp://c.example/app", "without a name"),
        ("nginx.conf:34: frobnicate on", "unknown"),
        ("nginx.conf:38: rtmp_stat all", "/metrics"),
    ] {
        let at = text
            .find(line)
            .unwrap_or_else(|| panic!("{line} is not in\n{text}"));
        let note: String = text[at..].lines().take(5).collect();
        assert!(note.contains(why), "{line}: {note}");
    }
    assert!(!text.contains("wait_key on\n# wait"), "{text}");
}

/// Every directive with an effect is in the result: set, or in a comment with its line.
#[test]
fn nothing_is_dropped_in_silence() {
    let (text, _) = imported(USUAL);
    let silent = [
        "user",
        "listen [::]:1935",
        "worker_processes",
        "events",
        "live",
        "record off",
        "allow",
        "deny",
        "rtmp",
        "server",
        "application",
        "http",
        "hls on",
    ];
    for (n, line) in USUAL.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('}') || silent.iter().any(|s| line.starts_with(s)) {
            continue;
        }
        let place = format!("nginx.conf:{}:", n + 1);
        assert!(text.contains(&place), "{place} {line} is not in\n{text}");
    }
}

#[test]
fn two_applications_and_their_rules() {
    let (text, settings) = imported(
        "rtmp { server { listen 127.0.0.1:1936; deny play 10.9.0.0/16;\n\
         application a { live on; record all; deny publish all; }\n\
         application b { live on; on_play http://h/x; }\n\
         application vod { play /var/flvs; } } }",
    );
    assert_eq!(settings.applications.0, ["a", "b"]);
    assert_eq!(settings.rtmp.to_string(), "127.0.0.1:1936");
    assert_eq!(settings.access.publish_deny.to_string(), "0.0.0.0/0, ::/0");
    assert_eq!(settings.access.play_deny.to_string(), "10.9.0.0/16");
    assert_eq!(settings.keep.to_string(), "7d", "what is recorded is kept");
    assert!(
        text.contains("names must differ") && text.contains("Nobody decides"),
        "{text}"
    );
    assert!(
        text.contains("application vod\n#   it has no `live on`"),
        "{text}"
    );
}

#[test]
fn rules_that_weir_cannot_say_are_not_guessed() {
    let (text, settings) = imported(
        "rtmp { server { application a { live on;\n allow publish 10.0.0.0/8;\n\
         deny publish 10.1.0.0/16;\n deny publish all; } } }",
    );
    assert!(
        settings.access.publish_allow.0.is_empty() && settings.access.publish_deny.0.is_empty()
    );
    assert!(text.contains("a deny after an allow"), "{text}");
}

#[test]
fn values_out_of_range_are_brought_into_it() {
    let (text, settings) = imported(
        "rtmp { hls_fragment 500ms; netcall_timeout 30; server { application a { live on;\n\
         hls_playlist_length 2s; on_publish https://h/; } } }",
    );
    assert_eq!(
        (settings.segment.to_string(), settings.window.to_string()),
        ("1s".into(), "3s".into())
    );
    assert_eq!(settings.hooks.timeout.unwrap().to_string(), "8s");
    assert!(
        text.contains("segment is 1000ms") && text.contains("timeout is 100ms"),
        "{text}"
    );
}

#[test]
fn texts_of_the_file_do_not_break_out_of_their_place() {
    let (text, _) = imported(
        "rtmp { server { listen \"1935\nopen = 1\"; application \"x\\\"\n[tls]\" { live on; }\n\
         application live { live on; pull \"rtmp://h/a\nb\" name=c;\n\
         on_publish \"http://h/\\\"\nworkers = 5\"; push \"rtmp://h/\n[[input]]\"; } } }",
    );
    let set = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines: Vec<&str> = text.lines().filter(set).collect();
    assert_eq!(lines, ["open = true", "keep = \"1h\""], "{text}");
}

#[test]
fn files_are_included_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("apps")).unwrap();
    write(
        "nginx.conf",
        "rtmp { server { include apps/*.conf; include none/*.conf; } }",
    );
    write("apps/b.conf", "application b { live on; }");
    write(
        "apps/a.conf",
        "application a { live on; include apps/hls.inc; }",
    );
    write("apps/hls.inc", "hls_fragment 2s;");
    let text = import(&dir.path().join("nginx.conf")).unwrap();
    assert!(
        text.contains("applications = \"a, b\"") && text.contains("segment = \"2s\""),
        "{text}"
    );
    assert!(text.contains("hls.inc:1: hls_fragment 2s"), "{text}");

    let wrong = || import(&dir.path().join("nginx.conf")).unwrap_err();
    write("apps/hls.inc", "\n\n}");
    let e = wrong();
    assert!(
        e.contains("hls.inc: line 3") && e.contains("nginx.conf: line 1"),
        "{e}"
    );
    write("apps/hls.inc", "include apps/hls.inc;");
    assert!(wrong().contains("inside of each other"));
    write("nginx.conf", "include missing.conf;");
    assert!(wrong().contains("missing.conf"));
    write(
        "nginx.conf",
        &"#".repeat(usize::try_from(BYTES_MAX).unwrap() + 1),
    );
    assert!(wrong().contains("4 MiB"));
}

#[test]
fn patterns() {
    for (pattern, name, want) in [
        ("*.conf", "a.conf", true),
        ("*.conf", "a.conf.bak", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b*", "xxaxxbxx", true),
        ("**", "", true),
        ("", "", true),
        ("a", "", false),
    ] {
        assert_eq!(
            matches(pattern.as_bytes(), name.as_bytes()),
            want,
            "{pattern} {name}"
        );
    }
    let (pattern, name) = ("*a".repeat(100), "a".repeat(200) + "b");
    assert!(!matches(pattern.as_bytes(), name.as_bytes()));
}
