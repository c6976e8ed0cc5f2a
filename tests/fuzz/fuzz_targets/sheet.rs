#![no_main]

use yunling_tests::decoders;

// The node catches the panics of foreign readers; the fuzzer must not count them.
libfuzzer_sys::fuzz_target!(init: decoders::watch_panics(), |bytes: &[u8]| decoders::run("sheet", bytes));
