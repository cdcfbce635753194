//! Any bytes: the reader ends, without a panic, with frames that lie within what it read.
#![no_main]

use flowsift::capfile::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut reader) = Input::from_bytes("fuzz", bytes.to_vec()).open() {
        while reader.next_frame().is_some() {}
        assert!(reader.next_frame().is_none());
    }
});
