//! The funnel of a campaign: how many of the cases got a mail, opened the page, fetched the steps, said it is done, and
//! ended clean; as a table for terminals and as an SVG for pages. Cyber Clean Center's own funnel (40 % opened, 30 %
//! fetched the cleaner, unchanged for years) is the mark to beat.

use std::fmt::Write as _;

use noroshi_model::Funnel;

const WIDTH: u32 = 720;
const ROW: u32 = 34;
const LABEL: u32 = 110;
const BAR: u32 = 470;

/// Share of the cases, in percent with one decimal; `–` where there are none.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "–".into() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// The funnels as an aligned text table, one column a stage.
pub fn table(funnels: &[Funnel]) -> String {
    let mut out = format!(
        "{:<24} {:>7} {:>7} {:>9} {:>7} {:>7} {:>7} {:>7} {:>10} {:>9}\n",
        "campaign",
        "cases",
        "sent",
        "delivered",
        "opened",
        "steps",
        "done",
        "clean",
        "reinfected",
        "opted-out"
    );
    for f in funnels {
        let _infallible = writeln!(
            out,
            "{:<24} {:>7} {:>7} {:>9} {:>7} {:>7} {:>7} {:>7} {:>10} {:>9}",
            f.campaign,
            f.cases,
            f.sent,
            f.delivered,
            f.opened,
            f.steps,
            f.done,
            f.clean,
            f.reinfected,
            f.opted_out
        );
    }
    out
}

/// One funnel as a self-contained SVG with a text alternative. Widths are shares of the cases; every bar carries its number.
pub fn svg(funnel: &Funnel) -> String {
    let stages = funnel.stages();
    let height = 16 + ROW * stages.len() as u32;
    let told: Vec<String> = stages.iter().map(|(label, n)| format!("{label} {n}")).collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\"><title>{}: {}</title>",
        escape(&funnel.campaign),
        told.join(", ")
    );
    for (row, (label, count)) in stages.iter().enumerate() {
        let y = 8 + ROW * row as u32;
        let width = (u64::from(BAR) * count).checked_div(funnel.cases).unwrap_or(0);
        let _infallible = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#333\">{label}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{BAR}\" height=\"{}\" fill=\"#eef1f4\"/>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{width}\" height=\"{}\" fill=\"#2b5d8a\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#111\">{count} ({})</text>",
            LABEL - 10,
            y + 18,
            ROW - 10,
            ROW - 10,
            LABEL + BAR + 10,
            y + 18,
            share(*count, funnel.cases),
        );
    }
    out.push_str("</svg>");
    out
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_carries_every_number_and_escapes_the_name() {
        let funnel = Funnel { campaign: "<a&b>".into(), cases: 10, sent: 9, opened: 4, ..Funnel::default() };
        let svg = svg(&funnel);
        assert!(svg.contains("&lt;a&amp;b&gt;") && !svg.contains("<a&b>"));
        assert!(svg.contains("9 (90.0 %)") && svg.contains("4 (40.0 %)"));
    }

    #[test]
    fn an_empty_campaign_divides_by_nothing() {
        assert!(svg(&Funnel::default()).contains("0 (–)"));
    }
}
