//! A bitmap font of five by seven dots, with just the characters the demo writes, and a line of
//! text that redraws only what changed.

use crate::picture::{Area, BLACK, Plane, WHITE};

/// Dots from the left edge of one character to the next: five and a gap.
pub const CELL_WIDTH: usize = 6;

/// Dots in the height of a character.
pub const CELL_HEIGHT: usize = 7;

/// A line of `N` characters at a fixed place on a black ground. Writes luma only: black and white
/// are both neutral in chroma.
#[derive(Debug)]
pub struct TextLine<const N: usize> {
    left: usize,
    top: usize,
    /// Samples per dot, in both directions.
    scale: usize,
    shown: [u8; N],
}

impl<const N: usize> TextLine<N> {
    /// An empty line whose first character starts at (`left`, `top`).
    #[must_use]
    pub const fn new(left: usize, top: usize, scale: usize) -> Self {
        Self {
            left,
            top,
            scale,
            shown: [b' '; N],
        }
    }

    /// Width in samples of a line with `scale` samples per dot.
    #[must_use]
    pub const fn width(scale: usize) -> usize {
        N * CELL_WIDTH * scale
    }

    /// Makes the line read `text`; characters the font lacks are left blank.
    pub fn draw(&mut self, luma: &mut Plane, text: &[u8; N]) {
        for (index, (shown, wanted)) in self.shown.iter_mut().zip(text).enumerate() {
            if shown != wanted {
                let left = self.left + index * CELL_WIDTH * self.scale;
                draw_glyph(luma, left, self.top, self.scale, glyph(*wanted));
                *shown = *wanted;
            }
        }
    }
}

fn draw_glyph(luma: &mut Plane, left: usize, top: usize, scale: usize, glyph: Glyph) {
    for (row, dots) in glyph.into_iter().enumerate() {
        for column in 0..CELL_WIDTH - 1 {
            let lit = dots >> (CELL_WIDTH - 2 - column) & 1 == 1;
            let area = Area {
                left: left + column * scale,
                top: top + row * scale,
                width: scale,
                height: scale,
            };
            luma.fill(area, if lit { WHITE.y } else { BLACK.y });
        }
    }
}

/// Rows from top to bottom; the five low bits are the dots, the leftmost is the highest.
type Glyph = [u8; CELL_HEIGHT];

#[rustfmt::skip]
const fn glyph(character: u8) -> Glyph {
    match character {
        b'0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        b'1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        b'2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        b'3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        b'4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        b'5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        b'6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        b'7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000],
        b'8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        b'9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        b':' => [0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000],
        b'.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        b'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        b'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        b'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        b'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        b'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        b'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        b'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        b'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        _ => [0; CELL_HEIGHT],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    #[test]
    fn a_line_redrawn_equals_a_line_drawn_afresh() {
        let (mut once, mut twice) = (Picture::new(64, 20), Picture::new(64, 20));
        TextLine::<4>::new(2, 2, 2).draw(&mut once.y, b"8:1 ");
        let mut line = TextLine::<4>::new(2, 2, 2);
        line.draw(&mut twice.y, b"07FM");
        assert_ne!(once.y.samples(), twice.y.samples());
        line.draw(&mut twice.y, b"8:1 ");
        assert_eq!(once.y.samples(), twice.y.samples());
    }

    #[test]
    fn characters_of_the_demo_are_distinct() {
        let characters = b" 0123456789:.UTCFRAME";
        for (index, one) in characters.iter().enumerate() {
            for other in characters.iter().skip(index + 1) {
                assert!(
                    one == other || glyph(*one) != glyph(*other),
                    "{one} {other}"
                );
            }
        }
    }
}
