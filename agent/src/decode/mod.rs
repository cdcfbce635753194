//! Decoding: a frame's bytes and link type to header fields, only those that are asked for.
//!
//! Knows nothing of files, queries or the engine.
