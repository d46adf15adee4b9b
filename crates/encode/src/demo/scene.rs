//! The picture: colour bars, a clock, a flash once a second, and a moving strip with a ball.
//!
//! ```text
//! +---------------------------------------+
//! |   |   |   |  [ flash ]   |   |   |   |   colour bars, drawn once
//! |   |  +---------------------+  |   |   |
//! |   |  |   22:51:07.089      |  |   |   |   only characters that change
//! |   |  |  UTC FRAME 00000042 |  |   |   |
//! |   |  +---------------------+  |   |   |
//! +---------------------------------------+
//! |  ~~~~ waves ~~~~  O  ~~~~~~~~~~~~~~~  |   drawn anew in each frame
//! +---------------------------------------+
//! ```
//!
//! The ball crosses the strip in a second and touches a side when the flash and the beep start. A
//! stutter, a lost frame or sound out of step can so be seen by eye.

use std::f32::consts::TAU;

use super::clock::{CLOCK_CHARS, COUNTER_CHARS, clock_text, counter_text};
use super::font::{CELL_HEIGHT, TextLine};
use crate::picture::{Area, BLACK, Colour, Picture, Plane, WHITE};

/// A picture that is carried from frame to frame.
#[derive(Debug)]
pub struct Scene {
    picture: Picture,
    fps: u64,
    clock: TextLine<CLOCK_CHARS>,
    counter: TextLine<COUNTER_CHARS>,
    flash: Area,
    flash_shown: bool,
    strip: Strip,
}

impl Scene {
    /// A scene of `width` times `height` luma samples, both even, and `fps` frames per second, with
    /// everything drawn that stays the same.
    #[must_use]
    pub fn new(width: usize, height: usize, fps: u32) -> Self {
        let mut picture = Picture::new(width, height);
        // Five eighths for the bars; both parts end on an even row.
        let bars_height = even(height * 5 / 8);
        draw_bars(&mut picture, bars_height);
        let layout = Layout::new(width, bars_height);
        picture.fill(layout.panel, BLACK);
        picture.fill(layout.flash, BLACK);
        let strip_area = Area {
            left: 0,
            top: bars_height,
            width,
            height: height - bars_height,
        };
        Self {
            picture,
            fps: u64::from(fps.max(1)),
            clock: layout.clock,
            counter: layout.counter,
            flash: layout.flash,
            flash_shown: false,
            strip: Strip::new(strip_area),
        }
    }

    /// Turns the picture into that of frame `frame_number`, with the clock at `utc_us`
    /// microseconds since 1970.
    pub fn draw(&mut self, frame_number: u64, utc_us: i64) -> &Picture {
        let picture = &mut self.picture;
        self.clock.draw(&mut picture.y, &clock_text(utc_us));
        self.counter
            .draw(&mut picture.y, &counter_text(frame_number));
        let flash = is_flash(frame_number, self.fps);
        if flash != self.flash_shown {
            picture.fill(self.flash, if flash { WHITE } else { BLACK });
            self.flash_shown = flash;
        }
        self.strip.draw(picture, frame_number, self.fps);
        picture
    }

    /// The place of the flash: white in the first tenth of each second of frames, else black.
    #[must_use]
    pub const fn flash_area(&self) -> Area {
        self.flash
    }
}

/// Whether the frame lies in the first tenth of its second; the first frame always does.
const fn is_flash(frame_number: u64, fps: u64) -> bool {
    frame_number % fps * 10 < fps
}

/// Rounds down to an even number, for edges that chroma shares.
const fn even(value: usize) -> usize {
    value & !1
}

/// Where things stand on the colour bars.
struct Layout {
    panel: Area,
    flash: Area,
    clock: TextLine<CLOCK_CHARS>,
    counter: TextLine<COUNTER_CHARS>,
}

impl Layout {
    /// The clock fills nine tenths of the width or as much as the height allows, in dots of whole
    /// samples; everything else is measured in these dots.
    fn new(width: usize, bars_height: usize) -> Self {
        // In dots: flash 2, gaps 2 + 2, clock 7, gap 2, counter at half size 3.5, gap 2.
        let scale = (width / (TextLine::<CLOCK_CHARS>::width(1) + 6))
            .min(bars_height / 22)
            .max(2);
        let clock_width = TextLine::<CLOCK_CHARS>::width(scale);
        let counter_width = TextLine::<COUNTER_CHARS>::width(scale / 2);
        let panel = Area {
            left: even((width - clock_width) / 2 - scale),
            top: even(scale * 5),
            width: even(clock_width + 2 * scale),
            height: even(scale * (CELL_HEIGHT + 2 + 2 + 2) + scale / 2 * CELL_HEIGHT),
        };
        let flash = Area {
            top: even(scale),
            height: even(scale * 3),
            ..panel
        };
        let clock_top = panel.top + 2 * scale;
        let counter_top = clock_top + (CELL_HEIGHT + 2) * scale;
        Self {
            panel,
            flash,
            clock: TextLine::new((width - clock_width + scale) / 2, clock_top, scale),
            counter: TextLine::new((width - counter_width) / 2, counter_top, scale / 2),
        }
    }
}

/// Colour bars of 75 % (ITU-R BT.709, limited range): white, yellow, cyan, green, magenta, red,
/// blue.
const BARS: [Colour; 7] = [
    Colour {
        y: 180,
        cb: 128,
        cr: 128,
    },
    Colour {
        y: 168,
        cb: 44,
        cr: 136,
    },
    Colour {
        y: 145,
        cb: 147,
        cr: 44,
    },
    Colour {
        y: 133,
        cb: 63,
        cr: 52,
    },
    Colour {
        y: 63,
        cb: 193,
        cr: 204,
    },
    Colour {
        y: 51,
        cb: 109,
        cr: 212,
    },
    Colour {
        y: 28,
        cb: 212,
        cr: 120,
    },
];

fn draw_bars(picture: &mut Picture, height: usize) {
    let (width, _) = picture.size();
    for (index, colour) in BARS.into_iter().enumerate() {
        let edge = |bar: usize| even(width * bar / BARS.len());
        let left = edge(index);
        let area = Area {
            left,
            top: 0,
            width: edge(index + 1) - left,
            height,
        };
        picture.fill(area, colour);
    }
}

/// The moving part: three waves laid over each other, and the ball.
#[derive(Debug)]
struct Strip {
    area: Area,
    across: Wave,
    diagonal: Wave,
    down: Wave,
    blue: Wave,
    red: Wave,
}

impl Strip {
    fn new(area: Area) -> Self {
        let Area { width, height, .. } = area;
        Self {
            area,
            across: Wave::new(64, 26, width),
            diagonal: Wave::new(90, 26, width + height),
            down: Wave::new(48, 26, height),
            blue: Wave::new(400, 40, (width + height) / 2),
            red: Wave::new(300, 40, (width + height) / 2),
        }
    }

    fn draw(&self, picture: &mut Picture, frame_number: u64, fps: u64) {
        let Area { top, width, .. } = self.area;
        let bottom = self.area.bottom();
        // The waves run at different speeds, so that no single motion vector predicts them all.
        let across = self.across.at(frame_number, 4, width);
        let diagonal = self.diagonal.at(frame_number, 3, width + self.area.height);
        let down = self.down.at(frame_number, 1, self.area.height);
        for (index, row) in picture.y.rows_mut(top, bottom).enumerate() {
            let base = LUMA_BASE + down[index];
            let waves = across.iter().zip(&diagonal[index..]);
            for (sample, (one, other)) in row.iter_mut().zip(waves) {
                // Three waves of at most 52 on top of the base stay within eight bits.
                *sample = base.wrapping_add(one.wrapping_add(*other));
            }
        }
        let chroma = self.area.halved();
        for (plane, wave) in [(&mut picture.u, &self.blue), (&mut picture.v, &self.red)] {
            let values = wave.at(frame_number, 1, chroma.width + chroma.height);
            for (index, row) in plane.rows_mut(chroma.top, chroma.bottom()).enumerate() {
                for (sample, value) in row.iter_mut().zip(&values[index..]) {
                    *sample = CHROMA_BASE.wrapping_add(*value);
                }
            }
        }
        self.draw_ball(picture, frame_number, fps);
    }

    fn draw_ball(&self, picture: &mut Picture, frame_number: u64, fps: u64) {
        let radius = even(self.area.height / 4);
        let left = ball_left(
            frame_number,
            fps,
            self.area.width.saturating_sub(2 * radius),
        );
        let (x, y) = (left + radius, self.area.top + self.area.height / 2);
        fill_circle(&mut picture.y, x, y, radius, WHITE.y);
        fill_circle(&mut picture.u, x / 2, y / 2, radius / 2, WHITE.cb);
        fill_circle(&mut picture.v, x / 2, y / 2, radius / 2, WHITE.cr);
    }
}

/// Luma below the waves: 30 plus three times 0 to 52 lies within 16 to 235.
const LUMA_BASE: u8 = 30;

/// Chroma below the waves: 88 plus 0 to 80 lies around the neutral 128.
const CHROMA_BASE: u8 = 88;

/// Left edge of the ball on a way of `span` samples: there in even seconds, back in odd ones.
fn ball_left(frame_number: u64, fps: u64, span: usize) -> usize {
    let phase = frame_number % (2 * fps);
    let forth = if phase < fps { phase } else { 2 * fps - phase };
    // At most `span`, which came from a usize.
    let left = span as u64 * forth / fps;
    usize::try_from(left).unwrap_or(span)
}

fn fill_circle(plane: &mut Plane, x: usize, y: usize, radius: usize, value: u8) {
    for row in 0..2 * radius {
        // Twice the distance from the middle of the row to the middle of the circle.
        let distance = (2 * row + 1).abs_diff(2 * radius);
        let half = (4 * radius * radius - distance * distance).isqrt() / 2;
        plane.fill(
            Area {
                left: x - half,
                top: y - radius + row,
                width: 2 * half,
                height: 1,
            },
            value,
        );
    }
}

/// A sine of 0 to twice its amplitude, long enough to be read at any phase without a wrap.
#[derive(Debug)]
struct Wave {
    period: usize,
    values: Vec<u8>,
}

impl Wave {
    // The sine lies between 0 and twice the amplitude, which fits eight bits.
    #[allow(clippy::cast_precision_loss)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn new(period: usize, amplitude: u8, len: usize) -> Self {
        let value = |index: usize| {
            let angle = TAU * (index % period) as f32 / period as f32;
            (f32::from(amplitude) * (1.0 + angle.sin())).round() as u8
        };
        Self {
            period,
            values: (0..len + period).map(value).collect(),
        }
    }

    /// `len` values (not more than the wave was made for), moved by `speed` samples per frame.
    fn at(&self, frame_number: u64, speed: u64, len: usize) -> &[u8] {
        // Below the period, which is a small number.
        let moved = frame_number % self.period as u64 * speed % self.period as u64;
        let start = usize::try_from(moved).unwrap_or_default();
        &self.values[start..start + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_picture_equals_one_drawn_from_scratch() {
        for (width, height, fps) in [
            (1280, 720, 30),
            (320, 180, 25),
            (320, 1080, 1),
            (1920, 180, 60),
        ] {
            let mut carried = Scene::new(width, height, fps);
            for frame in 0..70 {
                carried.draw(frame, i64::try_from(frame).unwrap() * 33_333);
            }
            carried.draw(7, 5_000_000);
            let mut fresh = Scene::new(width, height, fps);
            fresh.draw(7, 5_000_000);
            let same = |one: &Picture, other: &Picture| {
                one.luma().samples() == other.luma().samples()
                    && one.chroma().0.samples() == other.chroma().0.samples()
                    && one.chroma().1.samples() == other.chroma().1.samples()
            };
            assert!(same(&carried.picture, &fresh.picture), "{width}x{height}");
        }
    }

    #[test]
    fn parts_lie_inside_the_bars_and_apart() {
        for (width, height) in [
            (1280, 720),
            (320, 180),
            (320, 1080),
            (1920, 180),
            (1920, 1080),
        ] {
            let layout = Layout::new(width, even(height * 5 / 8));
            assert!(layout.flash.bottom() < layout.panel.top, "{width}x{height}");
            assert!(layout.panel.right() <= width, "{width}x{height}");
            assert!(
                layout.panel.bottom() <= even(height * 5 / 8),
                "{width}x{height}"
            );
        }
    }

    #[test]
    fn ball_touches_a_side_when_the_flash_starts() {
        assert_eq!(ball_left(0, 30, 900), 0);
        assert_eq!(ball_left(15, 30, 900), 450);
        assert_eq!(ball_left(30, 30, 900), 900);
        assert_eq!(ball_left(60, 30, 900), 0);
        assert_eq!(ball_left(u64::MAX, 1, 0), 0);
        let flashes = (0..60)
            .filter(|frame| is_flash(*frame, 30))
            .collect::<Vec<_>>();
        assert_eq!(flashes, [0, 1, 2, 30, 31, 32]);
    }

    #[test]
    fn luma_and_chroma_stay_in_limited_range() {
        let mut scene = Scene::new(640, 360, 30);
        for frame in 0..200 {
            let picture = scene.draw(frame, 0);
            assert!(
                picture
                    .luma()
                    .samples()
                    .iter()
                    .all(|y| (16..=235).contains(y))
            );
            let (u, v) = picture.chroma();
            assert!(
                u.samples()
                    .iter()
                    .chain(v.samples())
                    .all(|c| (16..=240).contains(c))
            );
        }
    }
}
