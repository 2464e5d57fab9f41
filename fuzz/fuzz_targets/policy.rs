#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proton_grpc_fuzz::policy(bytes));
