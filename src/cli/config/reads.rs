//! What identical reads share.

use std::time::Duration;

use clap::Args;

use super::values::{Switch, Upstream};

#[derive(Args, Clone, Debug)]
pub struct Reads {
    /// Whether identical reads of a caller that are under way at the same time share one call of the upstream
    /// [default: on, unless that is the built-in control plane, which needs none of it]
    #[arg(long, value_enum, value_name = "WHETHER")]
    share_reads: Option<Switch>,

    /// Answer a caller's reads for so long with what it read before; up to a minute [default: not at all]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=60))]
    cache_reads: Option<u16>,
}

impl Reads {
    pub(super) fn check(&self, upstream: &Upstream) -> Result<(), String> {
        let shares = self.share_reads == Some(Switch::On);
        match (upstream, self.cache_reads) {
            (Upstream::Embedded, Some(_)) => {
                Err("--cache-reads needs --upstream aws or a URL".to_owned())
            }
            (Upstream::Embedded, None) if shares => {
                Err("--share-reads needs --upstream aws or a URL".to_owned())
            }
            (_, Some(_)) if self.share_reads == Some(Switch::Off) => {
                Err("--cache-reads does not go with --share-reads=off".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether reads share anything, with this upstream.
    pub fn are_shared(&self, upstream: &Upstream) -> bool {
        *upstream != Upstream::Embedded && self.share_reads != Some(Switch::Off)
    }

    /// How long answers are kept, if at all.
    pub fn kept(&self) -> Option<Duration> {
        self.cache_reads
            .map(|seconds| Duration::from_secs(seconds.into()))
    }
}
