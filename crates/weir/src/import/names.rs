//! Directives of nginx-rtmp that weir has nothing for, and why.

#[allow(clippy::too_many_lines, reason = "a flat table")]
/// Why a directive is not carried over; `None` if it is not known at all.
pub fn reason(name: &str) -> Option<&'static str> {
    Some(match name {
        "exec" | "exec_push" | "exec_pull" | "exec_publish" | "exec_publish_done" | "exec_play"
        | "exec_play_done" | "exec_record_done" | "exec_static" | "exec_kill_signal"
        | "exec_block" | "exec_options" | "respawn" | "respawn_timeout" => {
            "refused: weir starts no programs, since what a stream is called would end up in their \
             arguments; [hooks] tells a program of yours, push of an [[input]] sends a stream on, \
             and transcoding is not there yet"
        }
        "hls" => "not needed: every stream can be played over HLS",
        "hls_path"
        | "hls_nested"
        | "hls_cleanup"
        | "hls_base_url"
        | "hls_fragment_naming"
        | "hls_fragment_naming_granularity" => {
            "not needed: weir serves playlists and segments itself, at \
             http://HOST:8080/NAME/manifest/video.m3u8, and keeps them below `data`"
        }
        "hls_continuous" => "not needed: numbering always goes on over reconnects and restarts",
        "hls_sync" | "hls_max_audio_delay" | "hls_audio_buffer_size" | "hls_muxdelay" => {
            "not needed: audio and video are cut at the same times"
        }
        "hls_max_fragment" => "not needed: a segment is cut at 10 s at the latest",
        "hls_fragment_slicing" => "not needed: segments begin at keyframes",
        "hls_type" => "not needed: live playlists slide and end, the whole stays at …/vod/",
        "hls_variant" => "not there yet: a ladder from several streams",
        "hls_keys" | "hls_key_path" | "hls_key_url" | "hls_fragments_per_key" => {
            "not there yet: encrypted HLS"
        }
        "dash"
        | "dash_path"
        | "dash_fragment"
        | "dash_playlist_length"
        | "dash_nested"
        | "dash_cleanup" => "not there yet: DASH",
        "record_path" | "record_suffix" | "record_unique" | "record_append" | "record_lock"
        | "record_max_size" | "record_max_frames" | "record_interval" | "record_notify"
        | "recorder" => {
            "not needed: what is published is recorded below `data`, can be played at once and is \
             kept as long as `keep` says"
        }
        "on_record_done" => "not there: recordings are played as they grow, and never done",
        "on_connect" | "on_disconnect" => {
            "not there: connections are not asked for; on_publish and on_play have the same fields"
        }
        "on_update" | "notify_update_timeout" | "notify_update_strict" => {
            "not there: a session that was allowed goes on; end it by taking its name over"
        }
        "notify_relay_redirect" => "not there: a Location with rtmp:// is refused",
        "notify_method" => "calls are POST",
        "netcall_buffer" => "not needed: answers have a bound of 16 KiB",
        "play" | "play_temp_path" | "play_local_path" => {
            "not there yet: files played over RTMP; recordings are played over HLS"
        }
        "play_restart" | "publish_notify" | "play_time_fix" | "publish_time_fix" => {
            "not needed: players are told what they need, and times are mended at the edge"
        }
        "meta" | "wait_key" | "wait_video" | "interleave" | "sync" => {
            "not needed: who joins gets metadata, configurations and then a keyframe"
        }
        "drop_idle_publisher" | "timeout" | "ping" | "ping_timeout" | "so_keepalive" => {
            "fixed: a silent peer is asked after 5 s and closed after 10 s"
        }
        "idle_streams" => {
            "not needed: who asks for a stream that is not there waits and is refused"
        }
        "buflen" | "buffer" | "relay_buffer" | "out_queue" | "out_cork" | "busy"
        | "stream_buckets" => {
            "not needed: queues have bounds of their own; a slow viewer skips to a keyframe, then \
             is closed"
        }
        "chunk_size" => "not needed: chunks of any size are taken, and weir's own are large",
        "ack_window" => "not needed: what peers announce is taken",
        "max_message" => "fixed: 10 MiB",
        "max_streams" => "fixed: 8 message streams on a connection",
        "push_reconnect" | "pull_reconnect" | "session_relay" => {
            "fixed: pauses of 1 s, doubled up to a minute"
        }
        "rtmp_auto_push" | "rtmp_auto_push_reconnect" | "rtmp_socket_dir" => {
            "not needed: workers share their streams"
        }
        "access_log" | "log_format" => {
            "not carried over: sessions are in the log; access_log of weir is of HTTP"
        }
        "rtmp_stat" | "rtmp_stat_stylesheet" => {
            "elsewhere: metrics at http://127.0.0.1:8081/metrics, streams at /streams/NAME/health"
        }
        "rtmp_control" => "not there yet: a control interface",
        "proxy_protocol" => "not there yet: for RTMP",
        _ => return None,
    })
}
