use std::io::Write;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// One member as a hostile or unusual tar program would write it.
struct Member<'a> {
    path: &'a [u8],
    kind: EntryType,
    contents: &'a [u8],
    mode: u32,
}

fn file<'a>(path: &'a str, contents: &'a str) -> Member<'a> {
    Member {
        path: path.as_bytes(),
        kind: EntryType::Regular,
        contents: contents.as_bytes(),
        mode: 0o644,
    }
}

fn of_kind(path: &str, kind: EntryType) -> Member<'_> {
    Member {
        kind,
        ..file(path, "")
    }
}

fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let mut header = Header::new_ustar();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_size(member.contents.len() as u64);
        // Written straight into the header, because `set_path` refuses what must be tested.
        header.as_mut_bytes()[..member.path.len()].copy_from_slice(member.path);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(member.contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn unpacked(members: &[Member<'_>]) -> Result<Files, Problem> {
    unpack(&gzip(&tar(members)), &Limits::default())
}

fn refused(members: &[Member<'_>]) -> String {
    unpacked(members).unwrap_err().message().to_owned()
}

#[test]
fn regular_files_come_out_and_bookkeeping_does_not() {
    let members = [
        of_kind("./", EntryType::Directory),
        of_kind("schema", EntryType::Directory),
        file("old/style/folder/", ""),
        file("./._schema", "resource fork"),
        file("schema/._schema.yaml", "resource fork"),
        Member {
            contents: b"52 comment=0123456789012345678901234567890123456789\n",
            ..of_kind("pax_global_header", EntryType::XGlobalHeader)
        },
        Member {
            contents: b"30 mtime=1700000000.123456789\n",
            ..of_kind("PaxHeader/schema.yaml", EntryType::XHeader)
        },
        file("./schema/schema.yaml", "schema:"),
        Member {
            mode: 0o755,
            ..file("run.sh", "#!/bin/sh")
        },
    ];
    let files = unpacked(&members).unwrap();
    assert_eq!(
        files.paths().collect::<Vec<_>>(),
        ["run.sh", "schema/schema.yaml"]
    );
    assert!(files.get("run.sh").unwrap().executable);
    assert_eq!(files.get("schema/schema.yaml").unwrap().contents, "schema:");
}

#[test]
fn a_path_in_a_pax_record_counts_and_is_checked() {
    let record = |path: &str| {
        let length = path.len() + "00 path=\n".len();
        format!("{length:02} path={path}\n")
    };
    let with = |record: &str| {
        let pax = Member {
            contents: record.as_bytes(),
            ..of_kind("PaxHeader", EntryType::XHeader)
        };
        unpack(&gzip(&tar(&[pax, file("short", "x")])), &Limits::default())
    };
    assert_eq!(
        with(&record("schema/schema-ü.yaml"))
            .unwrap()
            .paths()
            .next(),
        Some("schema/schema-ü.yaml")
    );
    assert!(with(&record("../../etc/passwd")).is_err());
    assert!(
        with("22 GNU.sparse.major=1\n")
            .unwrap_err()
            .message()
            .contains("sparse")
    );
}

#[test]
fn links_and_special_files_are_refused_by_name() {
    for (kind, what) in [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
        (EntryType::Char, "special file"),
        (EntryType::Block, "special file"),
        (EntryType::Fifo, "special file"),
        (EntryType::new(b'V'), "special file"),
    ] {
        let message = refused(&[file("a", "x"), of_kind("Makefile", kind)]);
        assert!(
            message.contains("\"Makefile\"") && message.contains(what),
            "{message}"
        );
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in [
        &b"/etc/passwd"[..],
        b"../up",
        b"a/../../b",
        b"a/\xff",
        b"a\nb",
    ] {
        let message = refused(&[Member {
            path,
            ..file("", "x")
        }]);
        assert!(message.starts_with("the bundle holds"), "{message}");
    }
}

#[test]
fn a_path_that_comes_twice_is_refused() {
    assert!(refused(&[file("a/b", "1"), file("./a//b", "2")]).contains("\"a/b\" twice"));
    assert!(
        refused(&[file("a", "1"), file("a/b", "2")]).contains("both as a file and as a folder")
    );
}

#[test]
fn bombs_stop_at_the_limit() {
    let limits = Limits {
        unpacked_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let zeros = vec![0; 100 * 1024 * 1024];
    let big = Member {
        contents: &zeros,
        ..file("big", "")
    };
    let bombs = [
        gzip(&tar(&[big])),
        gzip(&tar(&[Member {
            contents: &zeros,
            ..of_kind("x", EntryType::XHeader)
        }])),
        gzip(&tar(&[Member {
            contents: &zeros,
            ..of_kind("x", EntryType::GNULongName)
        }])),
        [gzip(&tar(&[file("a", "x")])), gzip(&zeros)].concat(),
    ];
    for bomb in bombs {
        let start = Instant::now();
        let message = unpack(&bomb, &limits).unwrap_err();
        assert!(
            message
                .message()
                .contains("unpacks to more than 1048576 bytes"),
            "{message}"
        );
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn a_sparse_file_cannot_claim_what_it_does_not_hold() {
    let mut header = Header::new_gnu();
    header.set_path("huge").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(0);
    header.as_gnu_mut().unwrap().set_real_size(1 << 60);
    header.as_gnu_mut().unwrap().sparse[0].set_offset(1 << 60);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.resize(2048, 0);
    assert!(unpack(&gzip(&tar), &Limits::default()).is_err());
}

#[test]
fn members_are_counted() {
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let members: Vec<_> = (0..4)
        .map(|_| of_kind("folder", EntryType::Directory))
        .collect();
    assert!(
        unpack(&gzip(&tar(&members)), &limits)
            .unwrap_err()
            .message()
            .contains("more than 3")
    );
}

#[test]
fn an_archive_over_the_quota_is_not_opened() {
    let limits = Limits {
        archive_bytes: 10,
        ..Limits::default()
    };
    let message = unpack(&gzip(&tar(&[file("a", "x")])), &limits).unwrap_err();
    assert!(message.message().ends_with("the limit is 10"), "{message}");
}

#[test]
fn what_is_no_archive_is_called_by_its_name() {
    let says = |bytes: &[u8]| {
        unpack(bytes, &Limits::default())
            .unwrap_err()
            .message()
            .to_owned()
    };
    assert!(says(b"").contains("empty"));
    assert!(says(b"PK\x03\x04...").contains("zip file"));
    assert!(says(&tar(&[file("a", "x")])).contains("not gzipped"));
    assert!(
        says(&gzip(
            b"no tar at all, but long enough to be mistaken for a header by a careless reader"
        ))
        .contains("bundle")
    );
    assert!(says(&gzip(&[0; 1024])).contains("no files"));
}

#[test]
fn a_damaged_archive_is_refused() {
    let whole = gzip(&tar(&[file("a", &"text ".repeat(1000)), file("b", "more")]));
    for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 4] {
        assert!(
            unpack(&whole[..cut], &Limits::default()).is_err(),
            "cut at {cut}"
        );
    }
    let mut wrong_checksum = whole.clone();
    let at = whole.len() - 6;
    wrong_checksum[at] ^= 1;
    assert!(unpack(&wrong_checksum, &Limits::default()).is_err());

    let tar = tar(&[file("a", &"text ".repeat(1000))]);
    let message = unpack(&gzip(&tar[..1024]), &Limits::default()).unwrap_err();
    assert!(message.message().contains("ends inside \"a\""), "{message}");
}

#[test]
fn packing_is_deterministic_and_comes_back_equal() {
    let long = format!("{}/file.txt", "folder".repeat(30));
    let files = unpacked(&[
        file("b", "2"),
        Member {
            mode: 0o755,
            ..file("a/run.sh", "1")
        },
    ])
    .unwrap();
    let mut more = files.clone();
    more.insert(
        long,
        File {
            contents: Bytes::from_static(b"x"),
            executable: false,
        },
    )
    .unwrap();
    assert_eq!(unpack(&pack(&more), &Limits::default()).unwrap(), more);
    assert_eq!(pack(&files), pack(&files.clone()));
}

proptest! {
    #[test]
    fn no_bytes_make_unpacking_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let limits = Limits { unpacked_bytes: 1024 * 1024, ..Limits::default() };
        let _ = unpack(&bytes, &limits);
        let _ = unpack(&gzip(&bytes), &limits);
    }

    #[test]
    fn no_mutation_of_an_archive_makes_unpacking_panic(
        changes in prop::collection::vec((0usize..6144, any::<u8>()), 1..20),
        keep_checksums in any::<bool>(),
    ) {
        let mut tar = tar(&[file("schema/schema.yaml", "schema:"), of_kind("d", EntryType::Directory), file("a", "x")]);
        for (at, byte) in changes {
            let length = tar.len();
            tar[at % length] = byte;
        }
        if keep_checksums {
            for block in tar.chunks_exact_mut(512) {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let limits = Limits { unpacked_bytes: 1024 * 1024, ..Limits::default() };
        if let Ok(files) = unpack(&gzip(&tar), &limits) {
            prop_assert!(files.paths().all(|path| !path.starts_with('/') && !path.split('/').any(|name| name == "..")));
        }
    }
}
