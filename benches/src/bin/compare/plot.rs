//! Pictures: how the others compare with ramie, and how costs grow.

use std::fmt::Write as _;

use crate::report::{Row, contenders};
use crate::stats::TIE;
use crate::workload::CONTENDERS;

/// One colour for each known contender, in their order; apart from each other for most eyes.
const COLOURS: [&str; CONTENDERS.len()] = [
    "#d1345b", "#e58fa5", "#000000", "#999999", "#555555", "#1f77b4", "#7fb2d9", "#2ca02c", "#88cc88",
    "#b5d99c", "#0f6b3a", "#9467bd", "#ff7f0e", "#ffbb78", "#e377c2", "#8c564b", "#17a2a8", "#7fd4d8",
    "#e0a100", "#444400",
];
/// The colours of the others.
const FURTHER: [&str; 4] = ["#bcbd22", "#00429d", "#7b3294", "#a6611a"];

fn colour(contender: &str) -> &'static str {
    match CONTENDERS.iter().position(|name| *name == contender) {
        Some(at) => COLOURS[at],
        None => FURTHER[contender.len() % FURTHER.len()],
    }
}

/// Text has the reader's sans serif; colours hold on white, which is drawn below everything.
fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    line(svg, &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"));
}

fn line(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes it all");
}

fn stroke(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let ends = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
    line(svg, &format!("<line {ends} stroke=\"{colour}\"/>"));
}

fn dot(svg: &mut String, (x, y): (f64, f64), contender: &str) {
    let title = format!("<title>{contender}</title>");
    let fill = colour(contender);
    line(svg, &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{fill}\">{title}</circle>"));
}

fn legend(svg: &mut String, contenders: &[&str], top: f64, width: f64) {
    let (mut x, mut y) = (20.0, top);
    for name in contenders {
        let room = 30.0 + 7.5 * name.len() as f64;
        if x + room > width {
            (x, y) = (20.0, y + 18.0);
        }
        dot(svg, (x, y - 4.0), name);
        text(svg, x + 9.0, y, "start", name);
        x += room;
    }
}

/// The contenders with a figure in some row.
fn taking_part(rows: &[&Row]) -> Vec<&'static str> {
    let mut names = contenders(rows);
    names.retain(|name| rows.iter().any(|row| row.value(name).is_some()));
    names
}

/// Each row a line of dots on a logarithmic scale: right of 1 a contender is dearer than ramie, left of it cheaper.
pub(crate) fn ratios(rows: &[Row]) -> String {
    const LEFT: f64 = 150.0;
    const WIDTH: f64 = 860.0;
    const TOP: f64 = 70.0;
    const STEP: f64 = 22.0;
    let rows: Vec<_> = rows.iter().filter(|row| row.value("ramie").is_some()).collect();
    let bottom = TOP + STEP * rows.len() as f64;
    let mut svg = open(WIDTH, bottom + 75.0);
    text(
        &mut svg,
        20.0,
        24.0,
        "start",
        "Cost beside ramie's: left of 1 is cheaper than ramie, right of it dearer, in the band a tie",
    );
    let names = &taking_part(&rows);
    let ratio = |row: &Row, name: &str| row.ratio(name).map(f64::log10);
    let all = || rows.iter().flat_map(|row| names.iter().filter_map(move |name| ratio(row, name)));
    let low = all().fold(-0.5, f64::min).floor_to(0.5);
    let high = -all().map(|ratio| -ratio).fold(-0.5, f64::min).floor_to(0.5);
    let x = |log: f64| LEFT + (log - low) / (high - low) * (WIDTH - LEFT - 25.0);
    // What lies in here is a tie.
    let (from, to) = (x((1.0 / TIE).log10()), x(TIE.log10()));
    line(
        &mut svg,
        &format!(
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#f3e6ea\"/>",
            TOP - 14.0,
            to - from,
            bottom - TOP + 10.0
        ),
    );
    for exponent in low.ceil() as i32..=high.floor() as i32 {
        let at = x(f64::from(exponent));
        let colour = if exponent == 0 { "#d1345b" } else { "#dddddd" };
        stroke(&mut svg, (at, TOP - 14.0), (at, bottom - 4.0), colour);
        text(&mut svg, at, TOP - 20.0, "middle", &format!("{}", 10_f64.powi(exponent)));
    }
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + STEP * number as f64;
        text(&mut svg, LEFT - 12.0, y + 4.0, "end", &row.label);
        stroke(&mut svg, (x(low), y), (x(high), y), "#eeeeee");
        // Our own last, on top of the others.
        for name in names.iter().rev() {
            if let Some(ratio) = ratio(row, name) {
                dot(&mut svg, (x(ratio), y), name);
            }
        }
    }
    legend(&mut svg, names, bottom + 24.0, WIDTH);
    svg.push_str("</svg>\n");
    svg
}

trait FloorTo {
    fn floor_to(self, step: f64) -> f64;
}

impl FloorTo for f64 {
    fn floor_to(self, step: f64) -> f64 {
        (self / step).floor() * step
    }
}

/// One workload in many sizes.
pub(crate) struct Growth {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<(u64, Row)>,
}

/// A panel for each workload: the size to the right, the nanoseconds upwards on a logarithmic scale.
pub(crate) fn growth(panels: &[Growth]) -> String {
    const WIDTH: f64 = 860.0;
    const PANEL: f64 = 300.0;
    let mut svg = open(WIDTH, PANEL * panels.len() as f64 + 60.0);
    for (number, panel) in panels.iter().enumerate() {
        draw_panel(&mut svg, panel, PANEL * number as f64, WIDTH, PANEL);
    }
    let rows: Vec<_> = panels.iter().flat_map(|panel| panel.rows.iter().map(|(_, row)| row)).collect();
    legend(&mut svg, &taking_part(&rows), PANEL * panels.len() as f64 + 24.0, WIDTH);
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Growth, top: f64, width: f64, height: f64) {
    let (left, right, bottom) = (70.0, width - 25.0, top + height - 40.0);
    let unit = panel.rows.first().map_or("", |(_, row)| &row.unit);
    text(svg, 20.0, top + 22.0, "start", &format!("{}, in {unit}", panel.title));
    let names = &taking_part(&panel.rows.iter().map(|(_, row)| row).collect::<Vec<_>>());
    let values = || panel.rows.iter().flat_map(|(_, row)| names.iter().filter_map(|name| row.value(name)));
    let low = values().fold(f64::MAX, f64::min).max(0.1).log10().floor();
    let high = values().fold(1.0, f64::max).log10().ceil().max(low + 1.0);
    let y = |value: f64| bottom - (value.max(0.1).log10() - low) / (high - low) * (height - 85.0);
    for exponent in low as i32..=high as i32 {
        let value = 10_f64.powi(exponent);
        stroke(svg, (left, y(value)), (right, y(value)), "#dddddd");
        text(svg, left - 8.0, y(value) + 4.0, "end", &format!("{value}"));
    }
    // The sizes are as far from each other as they stand in the list: they grow by factors, and one may be 0.
    let step = (right - left - 40.0) / panel.rows.len().saturating_sub(1).max(1) as f64;
    let x = |number: usize| left + 20.0 + step * number as f64;
    for (number, (size, _)) in panel.rows.iter().enumerate() {
        text(svg, x(number), bottom + 18.0, "middle", &size.to_string());
    }
    for name in names.iter().rev() {
        let values = panel.rows.iter().enumerate();
        let points = values.filter_map(|(number, (_, row))| Some((x(number), y(row.value(name)?))));
        let points: Vec<_> = points.collect();
        for pair in points.windows(2) {
            stroke(svg, pair[0], pair[1], colour(name));
        }
        points.into_iter().for_each(|point| dot(svg, point, name));
    }
}
