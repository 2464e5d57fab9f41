//! Calls in a closed loop, and what they cost the process that is measured.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::task::JoinSet;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Operation {
    Get,
    Create,
    /// A page of 100 entries.
    Page,
}

/// What to measure, for how long.
#[derive(Args)]
pub(crate) struct Window {
    #[arg(long)]
    pub(crate) operation: Operation,

    /// How many calls are under way at once.
    #[arg(long, default_value_t = 1)]
    pub(crate) concurrency: usize,

    /// Calls that are not counted come first.
    #[arg(long, default_value_t = 0.0)]
    warmup: f64,

    #[arg(long)]
    seconds: f64,
}

/// Makes calls for the length of the window and prints what was measured as a line of JSON. The
/// CPU time is that of `process`, from the first call of the window to the end of the last.
pub(crate) async fn run<C, F>(window: &Window, process: u32, call: Arc<C>) -> anyhow::Result<()>
where
    C: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let warmup = closed_loop(window.concurrency, window.warmup, &call).await;

    let (cpu, start) = (cpu_time(process)?, Instant::now());
    let mut calls = closed_loop(window.concurrency, window.seconds, &call).await;
    let (cpu, elapsed) = (cpu_time(process)? - cpu, start.elapsed());

    calls.latencies.sort_unstable();
    let count = calls.latencies.len();
    let percentile = |part: f64| {
        let index = (count as f64 * part) as usize;
        calls
            .latencies
            .get(index)
            .map(|latency| latency.as_nanos() as f64 / 1e3)
    };
    let report = json!({
        "calls": count,
        "all_calls": warmup.latencies.len() + count,
        "calls_a_second": count as f64 / elapsed.as_secs_f64(),
        "cpu_us": cpu.as_secs_f64() * 1e6 / count as f64,
        "p50_us": percentile(0.5),
        "p99_us": percentile(0.99),
        "errors": calls.errors,
    });
    println!("{report}");
    Ok(())
}

#[derive(Default)]
struct Calls {
    latencies: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

/// Every worker makes at least one call, and none after the time is over.
async fn closed_loop<C, F>(concurrency: usize, seconds: f64, call: &Arc<C>) -> Calls
where
    C: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut workers = JoinSet::new();
    for worker in 0..concurrency {
        let call = Arc::clone(call);
        workers.spawn(async move {
            let mut calls = Calls::default();
            let mut start = Instant::now();
            loop {
                if let Err(code) = call(worker).await {
                    *calls.errors.entry(code).or_default() += 1;
                }
                let done = Instant::now();
                calls.latencies.push(done - start);
                if done >= end {
                    return calls;
                }
                start = done;
            }
        });
    }
    let mut all = Calls::default();
    while let Some(calls) = workers.join_next().await {
        let calls = calls.expect("no worker panics or is aborted");
        all.latencies.extend(calls.latencies);
        for (code, count) in calls.errors {
            *all.errors.entry(code).or_default() += count;
        }
    }
    all
}

/// The time that the process has spent on a CPU: to the nanosecond, where `/proc/PID/stat` counts
/// in hundredths of a second.
fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = schedstat.split(' ').next().unwrap_or_default();
        nanoseconds += on_cpu.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
