//! Where the process tells what it does.

use clap::Args;
use http::{Uri, uri::Scheme};

use crate::server::Listen;

#[derive(Args, Clone, Debug)]
pub struct Telemetry {
    /// Where metrics are told (/metrics) and probes that know no gRPC are answered (/livez, /readyz), to anybody and
    /// without TLS
    #[arg(long, value_name = "ADDR|unix:PATH")]
    pub metrics: Option<Listen>,

    /// A collector that gets a span for each call, by OTLP over gRPC
    #[arg(long, value_name = "http://URL", value_parser = collector)]
    pub otlp: Option<Uri>,
}

fn collector(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "it is not a URL")?;
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(url),
        Some(scheme) if *scheme == Scheme::HTTPS => {
            Err("TLS is not spoken to collectors: name one on this machine, by http://")
        }
        _ => Err("it must begin with http://"),
    }
}
