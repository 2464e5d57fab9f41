//! What fuzzing found worth keeping, held against the same properties again.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

#[allow(unreachable_pub, reason = "the fuzz targets are its public")]
#[path = "../../fuzz/properties/lib.rs"]
mod properties;

macro_rules! targets {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(#[test]
        fn $target() {
            replay(stringify!($target), properties::$target);
        })*
    };
}

targets! {
    archive aws_json caller cloudformation grpc_request manifest page_token policy schema sigv4_header spec template
}

fn replay(target: &str, property: fn(&[u8])) {
    let corpus = fuzz().join("corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        // The last one that is named is the one that broke it.
        println!("{}", path.display());
        property(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{target} has no corpus");
}

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

#[test]
fn every_fuzz_target_is_replayed() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let binary = Regex::new(r#"\[\[bin\]\]\nname = "(\w+)""#).unwrap();
    let binaries: Vec<_> = binary
        .captures_iter(&manifest)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(binaries, TARGETS);
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let packages = |lock: &Path| -> BTreeSet<String> {
        let lock = fs::read_to_string(lock).unwrap();
        let packages = lock.split("[[package]]\n").skip(1);
        packages
            .filter(|package| package.contains("\nsource = "))
            .map(|package| package.lines().take(2).collect::<Vec<_>>().join(" "))
            .collect()
    };
    let shipped = packages(&fuzz().with_file_name("Cargo.lock"));
    let fuzzed = packages(&fuzz().join("Cargo.lock"));
    let own = ["arbitrary", "libfuzzer-sys"];
    let other: Vec<_> = fuzzed
        .difference(&shipped)
        .filter(|package| {
            !own.iter()
                .any(|own| package.contains(&format!("\"{own}\"")))
        })
        .collect();
    assert!(
        other.is_empty(),
        "fuzz/Cargo.lock has other versions: {other:?}"
    );
}
