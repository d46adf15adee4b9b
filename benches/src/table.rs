//! Medians, and the report.

/// Several measurements of one thing.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds one.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one, or the mean of the two in the middle; not a number if there is none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
            (Some(a), Some(b)) if sorted.len().is_multiple_of(2) => (a + b) / 2.0,
            (_, Some(b)) => *b,
            _ => f64::NAN,
        }
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// Median, smallest and largest, with `decimals` places.
    pub fn show(&self, decimals: usize) -> String {
        let (median, min, max) = (self.median(), self.min(), self.max());
        format!("{median:.decimals$} ({min:.decimals$}..{max:.decimals$})")
    }

    /// Each value times `factor`.
    pub fn scaled(&self, factor: f64) -> Self {
        self.0.iter().map(|value| value * factor).collect()
    }

    /// `amount` per each value.
    pub fn rate(&self, amount: f64) -> Self {
        self.0.iter().map(|value| amount / value).collect()
    }

    /// Each value of `self` over the value of `other` of the same pair.
    pub fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(a, b)| a / b).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Rows under a heading, in columns as wide as needed.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(columns);
        table
    }

    /// Adds a row.
    pub fn row<T: ToString>(&mut self, cells: &[T]) {
        self.rows.push(cells.iter().map(T::to_string).collect());
    }

    /// Writes it to standard output.
    pub fn print(&self, title: &str) {
        println!("\n{title}\n");
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|i| {
                let cells = self.rows.iter().filter_map(|row| row.get(i));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells.map(|(c, &width)| format!("{c:width$}")).collect();
            println!("  {}", line.join("  ").trim_end());
        }
    }
}

/// Whether a target was reached, in a word.
pub fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let of = |values: &[f64]| values.iter().copied().collect::<Series>().median();
        assert_eq!(of(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(of(&[7.0]), 7.0);
        assert!(of(&[]).is_nan());
    }

    #[test]
    fn ratios_are_of_pairs() {
        let ours: Series = [1.0, 4.0].into_iter().collect();
        let theirs: Series = [2.0, 5.0].into_iter().collect();
        let ratio = ours.over(&theirs);
        assert_eq!((ratio.min(), ratio.max()), (0.5, 0.8));
        assert_eq!(ratio.show(1), "0.7 (0.5..0.8)");
    }
}
