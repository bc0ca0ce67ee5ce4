//! Charts as SVG: lines over an axis, bars beside each other. Colours and fonts are the page's, by class.
//!
//! In: points, ticks, labels that need no trust. Out: text of elements, escaped. A chart is drawn for a column as wide
//! as a phone, so that its letters can be read there.

use super::html::escaped;
use super::{grouped, number};
use std::fmt::Write as _;

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// Its look: `server`, `server second`, `floor` …
    pub class: &'static str,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// What is along the lower edge.
#[derive(Debug, Clone)]
pub struct Axis {
    /// At the right end; the left is 0.
    pub most: f64,
    /// Where, and what it says.
    pub ticks: Vec<(f64, String)>,
    /// Moments to mark, and what begins there.
    pub marks: Vec<(f64, String)>,
}

/// A bar: a name, a ratio, and where it should end.
#[derive(Debug, Clone)]
pub struct Ratio {
    /// What it is the ratio of.
    pub name: String,
    /// How much, the floor being 1.
    pub value: f64,
    /// What is asked, and whether it is met.
    pub bar: Option<(f64, bool)>,
}

impl Axis {
    /// Seconds to `most`.
    #[must_use]
    pub fn seconds(most: f64, marks: Vec<(f64, String)>) -> Self {
        let ticks = ticks(most).into_iter();
        Self {
            most,
            ticks: ticks.map(|at| (at, format!("{} s", number(at)))).collect(),
            marks,
        }
    }
}

/// Round numbers from 0 up to `most`, three to six of them.
#[must_use]
pub fn ticks(most: f64) -> Vec<f64> {
    if !most.is_finite() || most <= 0.0 {
        return vec![0.0];
    }
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| most / step <= 5.0);
    let step = step.unwrap_or(most);
    let count = (most / step + 1e-9).floor() as u32;
    (0..=count).map(|n| f64::from(n) * step).collect()
}

/// Lines over an axis, from 0 up.
#[must_use]
pub fn lines(title: &str, unit: &str, axis: &Axis, lines: &[Line]) -> String {
    let plot = Plot::of(axis, lines);
    let mut out = head(title, HEIGHT);
    plot.grid(&mut out);
    plot.axis(&mut out, axis);
    for line in lines {
        plot.line(&mut out, line);
    }
    out.push_str("</svg>");
    figure(title, unit, &legend(lines), &out)
}

/// Where values lie in a chart of lines.
struct Plot {
    /// At the right end, and at the upper.
    most: (f64, f64),
    top: f64,
}

impl Plot {
    fn of(axis: &Axis, lines: &[Line]) -> Self {
        let all = lines.iter().flat_map(|line| &line.points);
        let highest = all.map(|(_, y)| *y).fold(0.0, f64::max) * HEADROOM;
        let highest = if highest > 0.0 { highest } else { 1.0 };
        // Names of phases stand above the lines.
        let names = if axis.marks.is_empty() { 0.0 } else { 14.0 };
        Self {
            most: (axis.most.max(f64::MIN_POSITIVE), highest),
            top: TOP + names,
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.most.0 * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - value / self.most.1 * (BOTTOM - self.top)
    }

    fn grid(&self, out: &mut String) {
        let at_x = LEFT - 6.0;
        // Writing to a string cannot fail, here and below.
        for at in ticks(self.most.1) {
            let (y, text) = (self.y(at), grouped(at));
            let text_y = y + 3.5;
            let _ = write!(
                out,
                r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/><text class="tick end" x="{at_x}" y="{text_y:.1}">{text}</text>"#
            );
        }
    }

    fn axis(&self, out: &mut String, axis: &Axis) {
        let y = BOTTOM + 16.0;
        for (at, text) in &axis.ticks {
            let (x, text) = (self.x(*at), escaped(text));
            let (class, x) = match x > RIGHT - 30.0 {
                true => ("end", RIGHT),
                false => ("middle", x),
            };
            let _ = write!(
                out,
                r#"<text class="tick {class}" x="{x:.1}" y="{y}">{text}</text>"#
            );
        }
        let (above, y) = (TOP - 4.0, TOP + 5.0);
        for (at, text) in &axis.marks {
            let (x, text) = (self.x(*at), escaped(text));
            let text_x = x + 4.0;
            let _ = write!(
                out,
                r#"<path class="mark" d="M{x:.1} {above}V{BOTTOM}"/><text class="tick" x="{text_x:.1}" y="{y}">{text}</text>"#
            );
        }
    }

    fn line(&self, out: &mut String, line: &Line) {
        let point = |(x, y): &(f64, f64)| format!("{:.1} {:.1}", self.x(*x), self.y(*y));
        let points: Vec<_> = line.points.iter().map(point).collect();
        if !points.is_empty() {
            let (class, path) = (line.class, points.join("L"));
            let _ = write!(out, r#"<path class="line {class}" d="M{path}"/>"#);
        }
    }
}

/// Ratios as bars, with a line where the floor is.
#[must_use]
pub fn ratios(title: &str, bars: &[Ratio]) -> String {
    let asked = bars.iter().filter_map(|ratio| ratio.bar);
    let values = bars.iter().map(|ratio| ratio.value);
    let most = values.chain(asked.map(|(at, _)| at)).fold(1.5, f64::max);
    let most = most.min(RATIO_MAX);
    let height = TOP + bars.len() as f64 * ROW + 22.0;
    let x = |value: f64| NAMES + value.clamp(0.0, most) / most * (VALUES - NAMES);
    let mut out = head(title, height);
    let mut top = TOP;
    for ratio in bars {
        bar(&mut out, ratio, top, x);
        top += ROW;
    }
    let (one, end, text_y) = (x(1.0), height - 18.0, height - 6.0);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        r#"<path class="mark one" d="M{one:.1} {TOP}V{end}"/><text class="tick middle" x="{one:.1}" y="{text_y}">floor</text></svg>"#
    );
    figure(title, "ratio; a tick is what is asked", "", &out)
}

fn bar(out: &mut String, ratio: &Ratio, top: f64, x: impl Fn(f64) -> f64) {
    let missed = matches!(ratio.bar, Some((_, false)));
    let class = if missed { "bar missed" } else { "bar" };
    let (name, value, width) = (escaped(&ratio.name), ratio.value, x(ratio.value) - NAMES);
    let (text_x, text_y, bar_y) = (NAMES - 8.0, top + 14.0, top + 4.0);
    let (height, tick_y, tick_height) = (ROW - 10.0, top + 1.0, ROW - 4.0);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        r#"<text class="name end" x="{text_x}" y="{text_y:.1}">{name}</text><rect class="{class}" x="{NAMES}" y="{bar_y:.1}" width="{width:.1}" height="{height}" rx="2"/><text class="name end" x="{WIDTH}" y="{text_y:.1}">{value:.2}</text>"#
    );
    if let Some((at, _)) = ratio.bar {
        let at = x(at);
        let _ = write!(
            out,
            r#"<path class="asked" d="M{at:.1} {tick_y:.1}v{tick_height}"/>"#
        );
    }
}

fn head(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#)
}

fn figure(title: &str, unit: &str, legend: &str, svg: &str) -> String {
    let (title, unit) = (escaped(title), escaped(unit));
    format!(
        "<figure><figcaption><b>{title}</b> <span>{unit}</span>{legend}</figcaption>{svg}</figure>\n"
    )
}

fn legend(lines: &[Line]) -> String {
    let entry = |line: &Line| {
        let (class, name) = (line.class, escaped(&line.name));
        format!(
            r#"<span class="key"><svg viewBox="0 0 16 8"><path class="line {class}" d="M0 4H16"/></svg>{name}</span>"#
        )
    };
    lines.iter().map(entry).collect()
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 386.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 184.0;
/// Room above the highest line.
const HEADROOM: f64 = 1.08;
/// Of one bar.
const ROW: f64 = 26.0;
/// Where the names of bars end, and where the longest bar does.
const NAMES: f64 = 136.0;
const VALUES: f64 = 350.0;
/// A longer bar is cut off; its number is not.
const RATIO_MAX: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(3.4), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(ticks(0.07).len(), 4);
        assert_eq!(ticks(0.0), [0.0]);
        assert_eq!(ticks(f64::NAN), [0.0]);
        for n in 1..2000 {
            let most = f64::from(n) * 0.37;
            let ticks = ticks(most);
            assert!((3..=6).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= most * 1.000_001));
        }
    }

    /// Numbers of a path.
    fn path(svg: &str, class: &str) -> Vec<f64> {
        let (_, behind) = svg
            .split_once(&format!("<path class=\"{class}\" d=\"M"))
            .unwrap();
        let (numbers, _) = behind.split_once('"').unwrap();
        let numbers = numbers.split(['L', ' ']);
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    #[test]
    fn points_are_drawn_where_the_axes_say() {
        let line = Line {
            name: "a".into(),
            class: "server",
            points: vec![(0.0, 0.0), (5.0, 50.0), (10.0, 100.0)],
        };
        let svg = lines("t", "ms", &Axis::seconds(10.0, vec![]), &[line]);
        let (_, plot) = svg.split_once("</figcaption>").unwrap();
        let points = path(plot, "line server");
        assert_eq!(points[..2], [LEFT, BOTTOM]);
        assert!((points[2] - f64::midpoint(LEFT, RIGHT)).abs() < 0.1);
        assert!((points[4] - RIGHT).abs() < 0.1);
        let top = BOTTOM - (BOTTOM - TOP) / HEADROOM;
        assert!((points[5] - top).abs() < 0.1);
    }

    #[test]
    fn a_chart_of_nothing_is_drawn_too() {
        let svg = lines("t", "", &Axis::seconds(0.0, vec![]), &[]);
        assert!(svg.ends_with("</svg></figure>\n") && !svg.contains("NaN"));
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_says_when_it_missed() {
        let ratio = |value, bar| Ratio {
            name: "p99".into(),
            value,
            bar,
        };
        let bars = [
            ratio(1.0, None),
            ratio(2.0, Some((1.5, false))),
            ratio(99.0, None),
        ];
        let svg = ratios("t", &bars);
        let widths: Vec<f64> = svg
            .split("width=\"")
            .skip(1)
            .map(|text| text.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?}");
        assert!((widths[2] - (VALUES - NAMES)).abs() < 0.1);
        assert_eq!(svg.matches("bar missed").count(), 1);
        assert!(svg.contains(">99.00<"));
    }

    #[test]
    fn labels_are_escaped() {
        let line = Line {
            name: "<b>".into(),
            class: "server",
            points: vec![],
        };
        let axis = Axis::seconds(1.0, vec![(0.0, "<i>".into())]);
        let svg = lines("<u>", "<s>", &axis, &[line]);
        let ratio = Ratio {
            name: "<b>".into(),
            value: 1.0,
            bar: None,
        };
        let all = svg + &ratios("<u>", &[ratio]);
        for tag in ["<b><", "<i>", "<u>", "<s>"] {
            assert!(!all.contains(tag), "{tag}");
        }
    }
}
