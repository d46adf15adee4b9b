//! An uncompressed picture: I420, that is 4:2:0 with 8 bits per sample in three planes.

use openh264::formats::YUVSource;

/// One plane of samples, rows from top to bottom without padding.
#[derive(Debug, Clone)]
pub struct Plane {
    width: usize,
    samples: Vec<u8>,
}

impl Plane {
    fn new(width: usize, height: usize, value: u8) -> Self {
        Self {
            width,
            samples: vec![value; width * height],
        }
    }

    /// All samples, row by row.
    #[must_use]
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Samples per row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The rows `top..bottom`, in order. Rows beyond the picture are left out.
    pub(crate) fn rows_mut(
        &mut self,
        top: usize,
        bottom: usize,
    ) -> impl Iterator<Item = &mut [u8]> {
        let count = bottom.saturating_sub(top);
        self.samples
            .chunks_exact_mut(self.width)
            .skip(top)
            .take(count)
    }

    /// Sets a rectangle to one value. What lies beyond the picture is left out.
    pub(crate) fn fill(&mut self, area: Area, value: u8) {
        let right = area.right().min(self.width);
        let left = area.left.min(right);
        for row in self.rows_mut(area.top, area.bottom()) {
            row[left..right].fill(value);
        }
    }
}

/// A rectangle in samples of the plane it is used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Area {
    /// First column to the right of the rectangle.
    #[must_use]
    pub const fn right(self) -> usize {
        self.left.saturating_add(self.width)
    }

    /// First row below the rectangle.
    #[must_use]
    pub const fn bottom(self) -> usize {
        self.top.saturating_add(self.height)
    }

    /// The same place on the chroma planes of a 4:2:0 picture.
    #[must_use]
    pub(crate) const fn halved(self) -> Self {
        Self {
            left: self.left / 2,
            top: self.top / 2,
            width: self.width / 2,
            height: self.height / 2,
        }
    }
}

/// A colour in ITU-R BT.709 limited range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// Luma, 16 (black) to 235 (white).
    pub y: u8,
    /// Blue difference, 16 to 240, 128 is neutral.
    pub cb: u8,
    /// Red difference, 16 to 240, 128 is neutral.
    pub cr: u8,
}

/// Black.
pub const BLACK: Colour = Colour {
    y: 16,
    cb: 128,
    cr: 128,
};

/// White.
pub const WHITE: Colour = Colour {
    y: 235,
    cb: 128,
    cr: 128,
};

/// An I420 picture with even width and height.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    // The planes always fit `width` and `height`: openh264 reads them by size and stride. So they
    // can be painted from within the crate, but not be exchanged from outside.
    pub(crate) y: Plane,
    pub(crate) u: Plane,
    pub(crate) v: Plane,
}

impl Picture {
    /// A black picture of `width` times `height` luma samples; odd sizes are rounded down to even.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width & !1, height & !1);
        Self {
            width,
            height,
            y: Plane::new(width, height, BLACK.y),
            u: Plane::new(width / 2, height / 2, BLACK.cb),
            v: Plane::new(width / 2, height / 2, BLACK.cr),
        }
    }

    /// Width and height in luma samples.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The luma plane.
    #[must_use]
    pub const fn luma(&self) -> &Plane {
        &self.y
    }

    /// The blue and the red difference plane, half as wide and high.
    #[must_use]
    pub const fn chroma(&self) -> (&Plane, &Plane) {
        (&self.u, &self.v)
    }

    /// Paints a rectangle; its edges are taken as even.
    pub(crate) fn fill(&mut self, area: Area, colour: Colour) {
        self.y.fill(area, colour.y);
        self.u.fill(area.halved(), colour.cb);
        self.v.fill(area.halved(), colour.cr);
    }
}

impl YUVSource for Picture {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.y.width, self.u.width, self.v.width)
    }

    fn y(&self) -> &[u8] {
        &self.y.samples
    }

    fn u(&self) -> &[u8] {
        &self.u.samples
    }

    fn v(&self) -> &[u8] {
        &self.v.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_is_clipped_and_reaches_all_planes() {
        let mut picture = Picture::new(8, 4);
        let grey = Colour {
            y: 100,
            cb: 90,
            cr: 80,
        };
        picture.fill(
            Area {
                left: 4,
                top: 2,
                width: 100,
                height: 100,
            },
            grey,
        );
        let painted = |plane: &Plane, value| {
            plane
                .samples()
                .iter()
                .filter(|sample| **sample == value)
                .count()
        };
        assert_eq!(painted(&picture.y, 100), 4 * 2);
        assert_eq!(painted(&picture.u, 90), 2);
        assert_eq!(painted(&picture.v, 80), 2);
        assert_eq!(picture.y.samples()[2 * 8 + 3], BLACK.y);
        assert_eq!(picture.y.samples()[2 * 8 + 4], 100);
    }
}
