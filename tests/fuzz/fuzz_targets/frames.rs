//! Any bytes as a compressed file of a store: its seek table, its frames, packets by offset. The
//! reader ends, without a panic, and what it takes is what single packets are.
#![no_main]

use flowsift::capfile::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = Input::from_frames("fuzz", bytes.to_vec()) else {
        return;
    };
    let (Ok(mut reader), Ok(mut records)) = (input.open(), input.open_records()) else {
        return;
    };
    while let Some(frame) = reader.next_frame() {
        if let Some(data) = records.read(frame.offset, frame.data.len() as u32) {
            assert_eq!(data, frame.data);
        }
    }
    assert!(reader.next_frame().is_none());
    assert!(input.facts().is_ok());
});
