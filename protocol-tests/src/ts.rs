//! A reader of MPEG-TS packets (ISO/IEC 13818-1 §2.4.3), for what players do not report.

use std::collections::HashMap;

/// What a whole transport stream says of itself.
#[derive(Debug, Default)]
pub struct Report {
    /// Packets by PID.
    pub packets: HashMap<u16, usize>,
    /// Continuity counters that do not follow, as text.
    pub breaks: Vec<String>,
}

/// Reads packets, and follows each PID's continuity counter.
///
/// # Panics
/// If the bytes are not whole packets.
pub fn read(bytes: &[u8]) -> Report {
    assert_eq!(bytes.len() % 188, 0, "not whole packets");
    let mut report = Report::default();
    let mut counters: HashMap<u16, u8> = HashMap::new();
    for (index, packet) in bytes.chunks_exact(188).enumerate() {
        assert_eq!(packet[0], 0x47, "packet {index} has no sync byte");
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let counter = packet[3] & 0x0f;
        let has_payload = packet[3] & 0x10 != 0;
        *report.packets.entry(pid).or_default() += 1;
        if pid == 0x1fff || !has_payload {
            continue;
        }
        if let Some(last) = counters.insert(pid, counter)
            && counter != (last + 1) & 0x0f
        {
            report
                .breaks
                .push(format!("packet {index}, PID {pid}: {last} then {counter}"));
        }
    }
    report
}

/// PIDs of the first two packets: a segment begins with PAT and PMT.
pub fn first_pids(bytes: &[u8]) -> Vec<u16> {
    let pid = |p: &[u8]| u16::from_be_bytes([p[1] & 0x1f, p[2]]);
    bytes.chunks_exact(188).take(2).map(pid).collect()
}
