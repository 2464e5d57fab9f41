use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use proton_grpc::control_plane::bundle::{Limits, archive};

/// Small, so that a small input can pass them.
fn limits() -> Limits {
    Limits {
        unpacked_bytes: 1 << 20,
        entries: 64,
        path_bytes: 300,
        ..Limits::default()
    }
}

/// What an archive unpacks to keeps within the limits, has clean paths, and survives being packed again. An odd first
/// byte means that the rest is the tar inside, which no fuzzer would ever compress by chance.
pub fn archive(bytes: &[u8]) {
    let Some((choice, bytes)) = super::choice(bytes) else {
        return;
    };
    let limits = limits();
    let unpacked = match choice % 2 {
        0 => archive::unpack(bytes, &limits),
        _ => archive::unpack(&gzip(bytes), &limits),
    };
    let files = match unpacked {
        Ok(files) => files,
        Err(problem) => return assert!(problem.message().chars().count() <= 1000),
    };
    assert!(files.len() <= limits.entries);
    let held: usize = files.iter().map(|(_, file)| file.contents.len()).sum();
    assert!(held <= limits.unpacked_bytes);
    for path in files.paths() {
        assert!(path.len() <= limits.path_bytes);
        assert!(!path.chars().any(char::is_control), "{path:?}");
        let clean = |name: &str| !matches!(name, "" | "." | "..");
        assert!(path.split('/').all(clean), "{path:?}");
    }
    let again = archive::unpack(&archive::pack(&files), &Limits::default());
    assert!(again == Ok(files), "packing loses something");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
