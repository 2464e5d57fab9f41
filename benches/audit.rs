//! What the audit trail costs: a call that leaves no record, a change by itself, and changes at the same time.
//!
//!     audit [DIRECTORY]
//!
//! Writes trails into a new directory below the given one, or the one for temporary files: what counts is its disk. Prints the time
//! of one sync there, then changes a second and the median time and CPU of one.

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::HeaderMap;
use proton_grpc::audit::{Ending, Front, Scribe, Seal, Settings, Trail, verify::verify};

const AT_ONCE: [usize; 3] = [1, 16, 64];
const CHANGES: usize = 4000;
const UNRECORDED: u32 = 100_000;
const SYNCS: usize = 200;
/// As long as a record.
const LINE: &[u8] = &[b'-'; 500];

fn main() -> Result<()> {
    // `cargo bench` adds a flag of its own.
    let given = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let below = given.map_or_else(env::temp_dir, PathBuf::from);
    let directory = below.join(format!("audit-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(measure(&directory));
    fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &std::path::Path) -> Result<()> {
    let mut plain = fs::File::create(directory.join("plain"))?;
    let mut syncs = Vec::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        plain.write_all(LINE)?;
        plain.sync_data()?;
        syncs.push(begun.elapsed());
    }
    println!(
        "one sync                    {:>10.1} us",
        micros(median(syncs))
    );

    let trail = open(directory.join("none"))?;
    let begun = Instant::now();
    for _ in 0..UNRECORDED {
        let mut call = scribe(&trail).call("GetService", false);
        call.concerns("Service", "shop");
        call.end(Ending::ok(None)).await?;
    }
    let each = begun.elapsed() / UNRECORDED;
    println!("a read that is not recorded {:>10.3} us", micros(each));

    for at_once in AT_ONCE {
        let file = directory.join(at_once.to_string());
        let trail = open(file.clone())?;
        let (begun, used) = (Instant::now(), cpu()?);
        let each = CHANGES / at_once;
        let tasks = (0..at_once).map(|_| {
            let trail = trail.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for _ in 0..each {
                    let begun = Instant::now();
                    let mut call = scribe(&trail).call("UpdateService", true);
                    call.concerns("Service", "shop");
                    call.intend().await?;
                    call.end(Ending::ok(None)).await?;
                    times.push(begun.elapsed());
                }
                anyhow::Ok(times)
            })
        });
        let mut times = Vec::new();
        for done in join_all(tasks).await {
            times.extend(done??);
        }
        let (took, used) = (begun.elapsed(), cpu()?.saturating_sub(used));
        trail.close().await;
        let report = verify(&[file], &Seal::Plain)?;
        ensure!(
            report.broken.is_none() && report.unfinished == 0,
            "{report:?}"
        );
        let count = u32::try_from(times.len()).context("there are few")?;
        println!(
            "changes, {at_once:>2} at once         {:>10.0} a second, {:>8.1} us each, {:>6.1} us of CPU",
            f64::from(count) / took.as_secs_f64(),
            micros(median(times)),
            micros(used / count),
        );
    }
    Ok(())
}

fn open(file: PathBuf) -> Result<Trail> {
    let settings = Settings {
        file,
        seal: Seal::Plain,
        reads: false,
    };
    Ok(Trail::open(settings, Arc::new(SystemTime::now))?)
}

fn scribe(trail: &Trail) -> Scribe {
    let peer = Some("127.0.0.1:50051".to_owned());
    Scribe::new(trail, Front::Grpc, peer, &HeaderMap::new())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The CPU time of this process, which Linux counts in hundredths of a second.
fn cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat
        .rsplit_once(')')
        .context("the name is in parentheses")?;
    let numbers = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = numbers.map(|number| number.parse().unwrap_or(0)).sum();
    Ok(Duration::from_millis(10 * ticks))
}
