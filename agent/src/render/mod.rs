//! Renderers: record batches to text, pictures and files.
//!
//! Knows record batches and column types; knows neither queries nor where batches came from.
