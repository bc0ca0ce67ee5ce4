//! Whether something grows: the straight line that fits what was seen best.
//!
//! In: values with their moments. Out: a slope.

/// Sums over what was seen; it keeps none of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Trend {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Trend {
    /// `y` was seen at `x`.
    pub fn note(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// By how much `y` grows with `x`, by least squares; `None` of less than two moments.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        let spread = self.count * self.xx - self.x * self.x;
        // Moments that are all the same leave what rounding does.
        (self.count >= 2.0 && spread > 1e-9 * self.xx)
            .then(|| (self.count * self.xy - self.x * self.y) / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(points: &[(f64, f64)]) -> Option<f64> {
        let mut trend = Trend::default();
        points.iter().for_each(|(x, y)| trend.note(*x, *y));
        trend.slope()
    }

    #[test]
    fn a_line_has_its_slope_and_noise_about_it_changes_little() {
        let line: Vec<_> = (0..100)
            .map(|n| (f64::from(n), f64::from(3 * n + 7)))
            .collect();
        assert!((slope(&line).unwrap() - 3.0).abs() < 1e-9);
        let noisy = line.iter().zip([5.0, -5.0].iter().cycle());
        let noisy: Vec<_> = noisy.map(|((x, y), noise)| (*x, y + noise)).collect();
        assert!((slope(&noisy).unwrap() - 3.0).abs() < 0.01);
    }

    #[test]
    fn what_was_seen_once_has_no_slope() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0)]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 9.0)]), None);
    }
}
