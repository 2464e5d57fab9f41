//! Turns `proto/` into Rust: the types, the gRPC service and client, and everything that follows
//! from the descriptors (`build/`). Needs no protoc.

#![allow(unreachable_pub, reason = "a build script has no outside")]

#[path = "build/contract.rs"]
mod contract;
#[path = "build/conversions.rs"]
mod conversions;
#[path = "build/emit.rs"]
mod emit;
#[path = "build/json.rs"]
mod json;
#[path = "build/operations.rs"]
mod operations;
#[path = "build/redaction.rs"]
mod redaction;
#[path = "build/validation.rs"]
mod validation;

use std::{env, fs, path::PathBuf};

use contract::Contract;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files([
        "proton/v1/proton_service.proto",
        "proton/v1/proton_streaming_service.proto",
    ])?;
    // The bytes keep what the options say (limits, redaction); the structs that prost generates
    // from would drop it.
    fs::write(
        out.join("proton.v1.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    let contract = Contract::new(compiler.descriptor_pool())?;

    let mut config = prost_build::Config::new();
    config.enable_type_names();
    json::attributes(&contract, &mut config);
    config.skip_debug(redaction::messages(&contract));
    let mut files = compiler.file_descriptor_set();
    files.file.retain(|file| file.package() != "buf.validate");
    tonic_prost_build::configure()
        .codec_path("crate::api::codec::Codec")
        .compile_fds_with_config(files, config)?;

    // The stock health service's types lack `List`.
    let mut health = protox::Compiler::new(["proto"])?;
    health.open_file("grpc/health/v1/health.proto")?;
    fs::write(
        out.join("grpc.health.v1.binpb"),
        health.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure().compile_fds(health.file_descriptor_set())?;

    for (name, code) in [
        ("redaction.rs", redaction::emit(&contract)),
        ("wire_names.rs", json::wire_names(&contract)),
        ("operations.rs", operations::table(&contract)),
        ("validation.rs", validation::emit(&contract)),
        ("conversions.rs", conversions::emit(&contract)),
        ("calls.rs", operations::calls(&contract)),
        ("service.rs", operations::service(&contract)),
        (
            "streaming_service.rs",
            operations::streaming_service(&contract),
        ),
        ("dispatch.rs", operations::dispatch(&contract)),
    ] {
        fs::write(out.join(name), emit::format(&code)?)?;
    }
    Ok(())
}
