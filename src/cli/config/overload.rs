//! What every caller may do.

use clap::Args;

use crate::overload::{Limits, Rate};

#[derive(Args, Clone, Debug)]
pub struct Overload {
    /// How many calls a second each caller may make; what is more is refused, and told when to come again
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub caller_rate: Option<u32>,

    /// How many calls a caller that made none for a while may make at once [default: as many as in a second]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[arg(requires = "caller_rate")]
    pub caller_burst: Option<u32>,

    /// How many calls and streams each caller may have under way at the same time
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub caller_concurrency: Option<u32>,
}

impl Overload {
    pub fn limits(&self) -> Limits {
        let burst = |rate| self.caller_burst.unwrap_or(rate);
        Limits {
            rate: self.caller_rate.map(|a_second| Rate {
                a_second,
                at_once: burst(a_second),
            }),
            concurrency: self.caller_concurrency.map(|most| most as usize),
        }
    }
}
