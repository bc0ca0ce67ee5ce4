#![no_main]

#[path = "../targets/pieces.rs"]
mod pieces;
#[path = "../targets/op_frames.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
