//! Many TLS connections on which nothing happens, and how a caller fares beside them.

#[path = "support/grpc.rs"]
mod grpc;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use futures_util::{StreamExt, stream};
use grpc::{Call, Connection, End};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Handshakes at the same time.
const AT_ONCE: usize = 32;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    address: String,

    /// Who vouches for the server.
    #[arg(long)]
    ca: PathBuf,

    /// The process whose memory is looked at.
    #[arg(long)]
    watch: u32,

    #[arg(long, default_value_t = 10_000)]
    connections: usize,

    /// For how long the caller calls, before and beside the connections.
    #[arg(long)]
    seconds: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tls = connector(&args)?;
    let caller = connect(&args.address, &tls).await?;
    let alone = calls(&caller, args.seconds).await?;
    let before = memory(args.watch)?;

    let begun = Instant::now();
    let idle: Vec<_> = stream::iter(0..args.connections)
        .map(|_| connect(&args.address, &tls))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let idle = idle.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let opening = begun.elapsed();

    let beside = calls(&caller, args.seconds).await?;
    let after = memory(args.watch)?;
    let report = json!({
        "connections": idle.len(),
        "opened_a_second": idle.len() as f64 / opening.as_secs_f64(),
        "memory_before_mib": before,
        "memory_mib": after,
        "kib_a_connection": (after - before) * 1024.0 / idle.len() as f64,
        "alone": alone,
        "beside": beside,
    });
    println!("{report}");
    Ok(())
}

fn connector(args: &Args) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(&args.ca)?)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config).into())
}

async fn connect(address: &str, tls: &TlsConnector) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    Connection::on(tls.connect(name, stream).await?).await
}

/// One call after the other.
async fn calls(caller: &Connection, seconds: f64) -> anyhow::Result<Value> {
    let call = Call::get(Duration::from_secs(1));
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        let end = caller.make(&call).await?;
        anyhow::ensure!(end == End::Answered, "a call came to {end:?}");
        took.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    took.sort_by(f64::total_cmp);
    let percentile = |part: f64| took.get((took.len() as f64 * part) as usize).copied();
    Ok(json!({ "calls": took.len(), "p50_us": percentile(0.5), "p99_us": percentile(0.99) }))
}

/// What the process has in memory, in MiB.
fn memory(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.context("no VmRSS")?.trim_end_matches("kB").trim();
    Ok(kib.parse::<f64>()? / 1024.0)
}
