//! From the first keyframe to the first playable playlist.
//!
//! The time runs from the write of the first keyframe until a viewer, who asks every other
//! millisecond, has the multivariant playlist, all its media playlists, and the init section
//! and first segment of each.

use crate::clip::Clip;
use crate::http::{Client, resolve};
use crate::publisher::Load;
use crate::server::{Kind, Server};
use crate::table::{Series, Table, verdict};
use crate::{Options, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// Seconds between keyframes, each measured.
const GOPS: [u64; 4] = [1, 2, 4, 6];

/// weir's default target duration, in seconds.
const TARGET_DURATION: u64 = 4;

/// What weir may add to the longer of target duration and first group of pictures.
const PROMISE: Duration = Duration::from_millis(200);

const BIT_RATE: u64 = 5_000_000;

/// Pause of a viewer between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// When a viewer gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the benchmark and prints its table.
pub fn run(options: &Options) -> Result<()> {
    let server = Server::start(Kind::Weir, options)?;
    let mut clips = Vec::new();
    for gop in GOPS {
        let clip = Clip::new(BIT_RATE, gop).map_err(|e| e.to_string())?;
        clips.push((gop, Arc::new(clip)));
    }
    let mut waits = vec![Series::default(); GOPS.len()];
    for round in 0..options.pairs {
        eprintln!("start: round {} of {}", round + 1, options.pairs);
        let found = one_round(&server, &clips, round, options.chunk_size)?;
        for (series, wait) in waits.iter_mut().zip(found) {
            series.push(wait.as_secs_f64());
        }
    }
    let mut table = Table::new(&["keyframe every", "playable after, s", "at most", ""]);
    for (gop, series) in GOPS.into_iter().zip(waits) {
        let limit = Duration::from_secs(gop.max(TARGET_DURATION)) + PROMISE;
        let reached = series.max() <= limit.as_secs_f64();
        table.row(&[
            format!("{gop} s"),
            series.show(3),
            format!("{:.3}", limit.as_secs_f64()),
            verdict(reached).into(),
        ]);
    }
    table.print("start: first keyframe to first playable playlist, weir, median (min..max)");
    Ok(())
}

/// One broadcast of each clip at a time; returns the waits in their order.
fn one_round(
    server: &Server,
    clips: &[(u64, Arc<Clip>)],
    round: usize,
    chunk_size: u32,
) -> Result<Vec<Duration>> {
    let http = server.http.ok_or("the server does not serve")?;
    let mut load = Load::new();
    let mut start = Instant::now() + Duration::from_millis(300);
    let mut names = Vec::new();
    for (gop, clip) in clips {
        let name = format!("gop-{gop}-{round}");
        load.add(server.rtmp, name.clone(), clip, chunk_size, start)?;
        names.push(name);
        start += Duration::from_millis(70);
    }
    let playable = std::thread::scope(|scope| {
        let viewers: Vec<ScopedJoinHandle<'_, Result<Instant>>> = names
            .iter()
            .map(|name| scope.spawn(move || wait_until_playable(http, name)))
            .collect();
        while !viewers.iter().all(ScopedJoinHandle::is_finished) {
            load.run_until(Instant::now() + Duration::from_millis(10))?;
        }
        let join = |viewer: ScopedJoinHandle<'_, Result<Instant>>| match viewer.join() {
            Ok(playable) => playable,
            Err(_) => Err("a viewer panicked".into()),
        };
        viewers.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let waits = playable.into_iter().enumerate().map(|(i, playable)| {
        let key = load
            .first_key(i)
            .ok_or("playable before it was published")?;
        Ok(playable - key)
    });
    waits.collect()
}

fn wait_until_playable(server: SocketAddr, name: &str) -> Result<Instant> {
    let mut client = Client::connect(server)?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if is_playable(&mut client, name)? {
            return Ok(Instant::now());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("{name} does not become playable"))
}

fn is_playable(client: &mut Client, name: &str) -> Result<bool> {
    let base = format!("/{name}/manifest/video.m3u8");
    let answer = client.fetch(&base)?;
    if answer.status != 200 {
        return Ok(false);
    }
    let playlist = m3u8_rs::parse_master_playlist_res(&answer.body);
    let playlist = playlist.map_err(|e| format!("{base}: {e}"))?;
    let audio = playlist.alternatives.iter().filter_map(|a| a.uri.as_ref());
    let uris = playlist.variants.iter().map(|v| &v.uri).chain(audio);
    for uri in uris {
        if !is_rendition_playable(client, &resolve(&base, uri))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_rendition_playable(client: &mut Client, path: &str) -> Result<bool> {
    let answer = client.fetch(path)?;
    if answer.status != 200 {
        return Ok(false);
    }
    let playlist = m3u8_rs::parse_media_playlist_res(&answer.body);
    let playlist = playlist.map_err(|e| format!("{path}: {e}"))?;
    let Some(first) = playlist.segments.first() else {
        return Ok(false);
    };
    let init = first.map.as_ref().map(|map| &map.uri);
    for uri in init.into_iter().chain([&first.uri]) {
        let path = resolve(path, uri);
        let answer = client.fetch(&path)?;
        // It was listed: that it cannot be had is no reason to look again.
        if answer.status != 200 || answer.body.is_empty() {
            return Err(format!("{path} is listed and answers {}", answer.status));
        }
    }
    Ok(true)
}
