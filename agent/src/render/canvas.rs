//! Pictures: the few things that drawings are made of, on an SVG or PNG page.

use std::io::{self, Write};
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::element::{DashedPathElement, PathElement, Rectangle, Text};
use plotters::prelude::{
    BitMapBackend, Circle, Color, DrawingArea, DrawingBackend, IntoDrawingArea, IntoFont, RGBColor,
    SVGBackend,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, ShapeStyle, TextStyle, register_font};

use super::error::Error;
use super::{escape, layout};

/// The font, carried along so that pictures look the same everywhere.
static FONT: &[u8] = include_bytes!("../../assets/DejaVuSansMono.ttf");
/// Its name in an SVG, where the viewer has a font of that kind.
const FAMILY: &str = "monospace";
/// Width of its glyphs, in its size.
const GLYPH_WIDTH: f64 = 0.602;
/// The plotting crate takes a font's size for the height of its lines, not for its em.
const LINE_HEIGHT: f64 = 1.2;

/// Red, green, blue.
pub(super) type Colour = (u8, u8, u8);

/// Text and lines of the first importance.
pub(super) const INK: Colour = (33, 37, 41);
/// Grid lines.
pub(super) const FAINT: Colour = (222, 226, 230);

/// Size of a picture in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    /// Of pictures that need no other.
    pub(super) const USUAL: Self = Self {
        width: 1200,
        height: 675,
    };
}

/// Where text lies, seen from its position; always centred on it from above and below.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// Something to draw on, in pixels from the top left.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
}

/// A drawing, whatever it is drawn on.
pub(super) trait Drawing {
    /// Size that it needs.
    fn size(&self) -> Size;
    /// Draws.
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), Error>;
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Draw {
        what: "picture",
        reason: error.to_string(),
    }
}

fn draw_on<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    drawing: &impl Drawing,
) -> Result<(), Error> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered =
        REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, FONT).is_ok());
    if !registered {
        return Err(failed("the built-in font cannot be read"));
    }
    area.fill(&RGBColor(255, 255, 255)).map_err(failed)?;
    drawing.draw(&Canvas { area })?;
    area.present().map_err(failed)
}

/// The text of an SVG document.
pub(super) fn svg_text(drawing: &impl Drawing) -> Result<String, Error> {
    let Size { width, height } = drawing.size();
    let mut text = String::new();
    draw_on(
        &SVGBackend::with_string(&mut text, (width, height)).into_drawing_area(),
        drawing,
    )?;
    Ok(text)
}

/// Writes an SVG document.
pub(super) fn write_svg(drawing: &impl Drawing, out: &mut impl Write) -> Result<(), Error> {
    Ok(out.write_all(svg_text(drawing)?.as_bytes())?)
}

/// Writes a PNG file.
pub(super) fn write_png(drawing: &impl Drawing, out: &mut impl Write) -> Result<(), Error> {
    let Size { width, height } = drawing.size();
    let mut pixels = vec![255; width as usize * height as usize * 3];
    draw_on(
        &BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area(),
        drawing,
    )?;
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(png_failed)?;
    writer.write_image_data(&pixels).map_err(png_failed)?;
    writer.finish().map_err(png_failed)
}

fn png_failed(error: png::EncodingError) -> Error {
    match error {
        png::EncodingError::IoError(error) => Error::Write(error),
        other => Error::Write(io::Error::other(other)),
    }
}

/// Width of a text in pixels.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * GLYPH_WIDTH
}

/// Text that is not wider than so many pixels.
pub(super) fn fit(text: &str, size: f64, pixels: f64) -> String {
    layout::cut(text, (pixels / (size * GLYPH_WIDTH)).max(0.0) as usize)
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    /// A line through points.
    pub(super) fn path(
        &self,
        points: &[(f64, f64)],
        colour: Colour,
        width: u32,
        dash: Dash,
    ) -> Result<(), Error> {
        let points: Vec<(i32, i32)> = points.iter().map(|&point| pixel(point)).collect();
        let style = style(colour).stroke_width(width);
        let (on, off) = match dash {
            Dash::Solid => {
                return self
                    .area
                    .draw(&PathElement::new(points, style))
                    .map_err(failed);
            }
            Dash::Dashed => (9, 5),
            Dash::Dotted => (2, 5),
        };
        self.area
            .draw(&DashedPathElement::new(points, on, off, style))
            .map_err(failed)
    }

    /// A filled rectangle.
    pub(super) fn rectangle(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        colour: Colour,
    ) -> Result<(), Error> {
        let corners = [pixel(from), pixel(to)];
        self.area
            .draw(&Rectangle::new(corners, style(colour).filled()))
            .map_err(failed)
    }

    /// A filled circle.
    pub(super) fn circle(
        &self,
        centre: (f64, f64),
        radius: i32,
        colour: Colour,
    ) -> Result<(), Error> {
        let circle = Circle::new(pixel(centre), radius, style(colour).filled());
        self.area.draw(&circle).map_err(failed)
    }

    /// A line of text; what a picture cannot show becomes a dot.
    pub(super) fn text(
        &self,
        text: &str,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
    ) -> Result<(), Error> {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let ink = rgb(INK);
        let style = TextStyle::from((FAMILY, size * LINE_HEIGHT).into_font())
            .color(&ink)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area
            .draw(&Text::new(escape::terminal(text), pixel(at), style))
            .map_err(failed)
    }
}

fn rgb((red, green, blue): Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

fn style(colour: Colour) -> ShapeStyle {
    rgb(colour).to_rgba().into()
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}
