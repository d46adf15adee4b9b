//! What each fault means and what to do, in a sentence or two for the person at the encoder.

use super::Fault;

pub(super) const fn of(fault: Fault) -> &'static str {
    match fault {
        Fault::KeyframeDistance => {
            "keyframes are further apart than a segment lasts, so segments grow or begin without \
             one and viewers wait longer to join; set the keyframe interval to 2 s (OBS: Keyframe \
             Interval 2; ffmpeg: -g with twice the frame rate)"
        }
        Fault::KeyframesIrregular => {
            "keyframes come at changing distances, so segments differ in length; set a fixed \
             keyframe interval and turn scene detection off (x264: scenecut=0; ffmpeg: \
             -sc_threshold 0)"
        }
        Fault::NoKeyframe => {
            "video comes without a keyframe and nobody can see it; restart the encoder, and set \
             its keyframe interval to 2 s"
        }
        Fault::BFrames => {
            "pictures are sent in another order than they are shown (B-frames); that saves bits \
             but adds delay, and WebRTC cannot play it; for low delay set them to 0 (OBS: bf=0; \
             ffmpeg: -bf 0 or -tune zerolatency)"
        }
        Fault::Bitrate => {
            "the bit rate is more than half above what the encoder announced, so viewers may not \
             be able to follow; use constant bit rate, or set the maximum rate and buffer (x264: \
             vbv-maxrate, vbv-bufsize)"
        }
        Fault::AvSkew => {
            "audio and video of the same time come more than a second apart, so one must wait for \
             the other; check the sync offset and the capture delay of both in the encoder"
        }
        Fault::TimestampJump => {
            "the encoder's clock jumped ahead, which viewers see as a cut; look for a source that \
             was restarted or switched, and for a machine that is too slow or slept"
        }
        Fault::TimestampBackward => {
            "the encoder's times went back, and such frames are moved or cut; look for a looped \
             file, a switched source or a muxer that mixes two clocks"
        }
        Fault::FrameRate => {
            "the frame rate is more than a tenth off what was announced or measured before; the \
             encoder probably drops pictures: give it less to do (resolution, preset) or check \
             the capture"
        }
        Fault::UploadSlow => {
            "media comes slower than it plays and viewers will run dry; the uplink or the encoder \
             is too slow: lower the bit rate, use a cable, or choose a faster preset"
        }
        Fault::UploadFast => {
            "media comes much faster than it plays, so the live window rushes past the viewers; \
             send files at their own speed (ffmpeg: -re before -i)"
        }
        Fault::AudioMissing => {
            "audio was announced or was there, and does not come; check that a source is chosen, \
             not muted, and encoded as something this server takes"
        }
        Fault::VideoMissing => {
            "video was announced or was there, and does not come; check the capture, and that it \
             is encoded as something this server takes"
        }
    }
}
