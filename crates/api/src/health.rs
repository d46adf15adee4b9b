//! How a publisher is, as JSON.
//!
//! ```json
//! {"stream": "cam", "publishing": true, "video_bitrate": 2010000, "audio_bitrate": 128000,
//!  "frame_rate": 25, "keyframe_distance": 24, "audio_ahead": 0.02, "speed": 1,
//!  "findings": [{"finding": "keyframe_distance", "severity": "error", "value": 24, "unit": "s",
//!                "advice": "keyframes are further apart than …"}]}
//! ```
//!
//! Rates are those of the last whole window of ten seconds, in bit/s, 1/s, s and times real time;
//! `null` where there is none. After the publisher left, `publishing` is false and the rest is
//! what was seen last, until the broadcast ends.

use serde_json::{Value, json};
use std::sync::Arc;
use weir_hub::doctor::{Finding, Health};
use weir_media::StreamName;

/// Knows how a stream is, at once; `None` if it is not live.
pub type Source = Arc<dyn Fn(&StreamName) -> Option<Arc<Health>> + Send + Sync>;

/// The health of a stream as JSON text.
#[must_use]
pub fn json(name: &StreamName, health: &Health) -> String {
    let findings: Vec<Value> = health.findings.iter().map(finding).collect();
    let object = json!({
        "stream": name.as_str(),
        "publishing": health.publishing,
        "video_bitrate": number(health.video_bitrate),
        "audio_bitrate": number(health.audio_bitrate),
        "frame_rate": number(health.frame_rate),
        "keyframe_distance": number(health.keyframe_distance),
        "audio_ahead": number(health.audio_ahead),
        "speed": number(health.speed),
        "findings": findings,
    });
    format!("{object}\n")
}

fn finding(finding: &Finding) -> Value {
    json!({
        "finding": finding.fault.as_str(),
        "severity": finding.severity.as_str(),
        "value": number(Some(finding.value)),
        "unit": finding.unit,
        "advice": finding.advice(),
    })
}

/// To three places; nobody measures better.
fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |v| ((v * 1000.0).round() / 1000.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_hub::doctor::{Fault, Severity};

    #[test]
    fn it_says_what_was_found() {
        let health = Health {
            publishing: true,
            speed: Some(0.500_04),
            findings: vec![Finding {
                fault: Fault::UploadSlow,
                severity: Severity::Error,
                value: 0.5,
                unit: "x",
            }],
            ..Health::default()
        };
        let name = StreamName::parse("cam").unwrap();
        let json: Value = serde_json::from_str(&json(&name, &health)).unwrap();
        assert_eq!(
            (&json["stream"], &json["speed"]),
            (&"cam".into(), &0.5.into())
        );
        assert_eq!(json["frame_rate"], Value::Null);
        let found = &json["findings"][0];
        assert_eq!(
            (&found["finding"], &found["severity"]),
            (&"upload_slow".into(), &"error".into())
        );
        assert!(found["advice"].as_str().unwrap().contains("uplink"));
    }
}
