//! A web page around a picture and a table, which loads nothing.

use std::io::Write;

use super::canvas::{self, Drawing, Size};
use super::error::Error;
use super::escape;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;\
padding:0 1rem;color:#212529;background:#fff}svg{width:100%;height:auto}\
h1{font-size:1.2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem 1rem .2rem 0;text-align:left;border-bottom:1px solid #dee2e6}\
th:last-child,td:last-child{text-align:right;padding-right:0}\
i{display:inline-block;width:.8em;height:.8em;margin-right:.5em}";

/// A row of the table beside the picture.
pub(super) struct PageRow {
    pub(super) colour: canvas::Colour,
    pub(super) name: String,
    pub(super) value: String,
}

/// Writes the page.
pub(super) fn write(
    title: &str,
    heads: [&str; 2],
    drawing: &impl Drawing,
    rows: &[PageRow],
    out: &mut impl Write,
) -> Result<(), Error> {
    let title = escape::xml(title);
    let Size { width, height } = drawing.size();
    // Inline, the picture needs its size as a view box to be scaled.
    let svg = canvas::svg_text(drawing)?.replacen(
        "<svg ",
        &format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" "),
        1,
    );
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         {svg}\n<table>\n<tr><th>{}</th><th>{}</th></tr>\n",
        escape::xml(heads[0]),
        escape::xml(heads[1]),
    )?;
    for row in rows {
        let (red, green, blue) = row.colour;
        writeln!(
            out,
            "<tr><td><i style=\"background:rgb({red},{green},{blue})\"></i>{}</td><td>{}</td></tr>",
            escape::xml(&row.name),
            escape::xml(&row.value)
        )?;
    }
    write!(out, "</table>\n</body>\n</html>\n")?;
    Ok(())
}
