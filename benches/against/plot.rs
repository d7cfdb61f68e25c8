//! Plots of what was found.

use std::path::Path;

use plotters::prelude::*;

use crate::figures::{Rounds, short};

/// Heights and widths, in pixels.
const BAR: u32 = 28;
const WIDTH: u32 = 820;
const NAMES: u32 = 290;

/// Draws a bar for each, as long as its median, with a line from its least to its most; on a logarithmic scale.
pub(crate) fn bars(file: &Path, title: &str, unit: &str, bars: &[(String, Rounds)]) {
    let height = BAR * u32::try_from(bars.len()).unwrap() + 110;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let ends = bars.iter().map(|(_, rounds)| rounds.ends());
    let (least, most) = ends.fold((f64::MAX, f64::MIN), |(least, most), (low, high)| (least.min(low), most.max(high)));
    let (from, to) = (10f64.powf(least.log10().floor()), 10f64.powf((most * 1.5).log10().ceil()));
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(NAMES)
        .build_cartesian_2d((from..to).log_scale(), (0..bars.len()).into_segmented())
        .unwrap();
    // The first one is on top.
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => {
            bars.iter().rev().nth(*place).map(|(name, _)| name.clone()).unwrap_or_default()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .x_label_formatter(&|value| short(*value))
        .x_desc(unit)
        .draw()
        .unwrap();
    for (place, (name, rounds)) in bars.iter().rev().enumerate() {
        let color = if name.contains("olvid-rules") { RGBColor(46, 117, 182) } else { RGBColor(170, 170, 170) };
        let (least, most) = rounds.ends();
        let (low, high) = (SegmentValue::Exact(place), SegmentValue::Exact(place + 1));
        let mut bar = Rectangle::new([(from, low), (rounds.median(), high)], color.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar]).unwrap();
        let middle = SegmentValue::CenterOf(place);
        let spread = PathElement::new([(least, middle.clone()), (most, middle)], BLACK);
        chart.draw_series([spread]).unwrap();
    }
    area.present().unwrap();
}
