//! What a demuxer counts.

/// Counts since the start, none of which goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets read, null packets included.
    pub packets: u64,
    /// Null packets (PID 0x1fff).
    pub null_packets: u64,
    /// How often a sync byte was not in its place.
    pub sync_losses: u64,
    /// Bytes passed over in search of packets.
    pub skipped_bytes: u64,
    /// Packets dropped for their `transport_error_indicator`.
    pub transport_errors: u64,
    /// Packets dropped because they are scrambled.
    pub scrambled_packets: u64,
    /// Packets dropped because their adaptation field cannot be.
    pub malformed_packets: u64,
    /// Jumps of a continuity counter that nothing announced: packets were lost.
    pub continuity_errors: u64,
    /// Packets sent twice, as they may be.
    pub duplicate_packets: u64,
    /// Sections dropped for a false CRC.
    pub crc_errors: u64,
    /// Sections dropped for a length or a content that cannot be.
    pub malformed_sections: u64,
    /// Program maps not taken because they change too often.
    pub refused_maps: u64,
    /// PES packets dropped for a header that cannot be, or because they are scrambled or too
    /// long.
    pub malformed_pes: u64,
    /// New time bases that were announced on the PCR's PID.
    pub discontinuities: u64,
    /// Steps of the PCR back, or ahead by more than a second, that nothing announced.
    pub pcr_jumps: u64,
    /// Frames given out.
    pub frames: u64,
    /// Pictures given out of which a part was lost.
    pub damaged_frames: u64,
    /// Splice information sections and ID3 tags dropped: malformed, too long, or without a time.
    pub dropped_data: u64,
    /// Frames dropped: cut, malformed, or before the first configuration or time.
    pub dropped_frames: u64,
}
