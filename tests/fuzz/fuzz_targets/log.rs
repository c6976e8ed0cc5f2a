#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| yunling_tests::decoders::run("log", bytes));
