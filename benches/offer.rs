//! Calls at a fixed rate, whatever becomes of them: what a server does with more than it can do.

#[path = "support/grpc.rs"]
mod grpc;

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use grpc::{Call, Connection, End};
use proton_grpc::api::pb;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::{MissedTickBehavior, interval},
};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    address: String,

    #[arg(long)]
    operation: Operation,

    /// Every call's deadline in milliseconds.
    #[arg(long, default_value_t = 1000)]
    deadline: u64,

    #[arg(long, default_value_t = 64)]
    connections: usize,

    /// Calls a second and for how many seconds, one phase after the other.
    #[arg(required = true)]
    phases: Vec<Phase>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Operation {
    Get,
    Page,
}

#[derive(Clone, Copy)]
struct Phase {
    rate: f64,
    seconds: f64,
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (rate, seconds) = text.split_once(':').unwrap_or((text, "1"));
        Ok(Self {
            rate: rate.parse()?,
            seconds: seconds.parse()?,
        })
    }
}

/// A call that has ended.
struct Ended {
    /// Since the phase began.
    at: Duration,
    took: Duration,
    end: End,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let deadline = Duration::from_millis(args.deadline);
    let call = Arc::new(match args.operation {
        Operation::Get => Call::get(deadline),
        Operation::Page => page(deadline),
    });
    let mut connections = Vec::new();
    for _ in 0..args.connections {
        let stream = TcpStream::connect(&args.address).await?;
        stream.set_nodelay(true)?;
        connections.push(Connection::on(stream).await?);
    }
    for phase in args.phases {
        println!("{}", offer(&call, &connections, phase).await);
    }
    Ok(())
}

fn page(deadline: Duration) -> Call {
    let request = pb::ListServiceInstancesRequest {
        max_results: Some(100),
        ..Default::default()
    };
    let path = "/proton.v1.ProtonService/ListServiceInstances";
    Call::new(path, &request, deadline)
}

/// Makes the calls of a phase and returns when its time is over; those that are still under way then
/// count neither here nor in the next.
async fn offer(call: &Arc<Call>, connections: &[Connection], phase: Phase) -> Value {
    let (ended, mut all) = unbounded_channel();
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut offered = 0;
    while begun.elapsed().as_secs_f64() < phase.seconds {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * phase.rate) as usize;
        for number in offered..due {
            let connection = connections[number % connections.len()].clone();
            tokio::spawn(one(Arc::clone(call), connection, begun, ended.clone()));
        }
        offered = due;
    }
    drop(ended);
    let mut calls = Vec::new();
    while let Ok(call) = all.try_recv() {
        calls.push(call);
    }
    report(phase, offered, begun.elapsed(), calls)
}

async fn one(
    call: Arc<Call>,
    connection: Connection,
    begun: Instant,
    ended: UnboundedSender<Ended>,
) {
    let start = Instant::now();
    let end = connection.make(&call).await.unwrap_or(End::Failed);
    let took = start.elapsed();
    let end = match end {
        End::Answered if took > call.deadline => End::Late,
        end => end,
    };
    let at = begun.elapsed();
    // A phase that is over has counted.
    let _ = ended.send(Ended { at, took, end });
}

fn report(phase: Phase, offered: usize, elapsed: Duration, calls: Vec<Ended>) -> Value {
    let took = |end| {
        let calls = calls.iter().filter(move |call| call.end == end);
        let mut took: Vec<_> = calls.map(|call| call.took.as_secs_f64() * 1e3).collect();
        took.sort_by(f64::total_cmp);
        let percentile = |part: f64| took.get((took.len() as f64 * part) as usize).copied();
        json!({ "calls": took.len(), "p50_ms": percentile(0.5), "p99_ms": percentile(0.99) })
    };
    // What was answered and shed in each tenth of a second.
    let mut tenths = vec![(0, 0); (phase.seconds * 10.0).ceil() as usize];
    for call in &calls {
        if let Some(tenth) = tenths.get_mut((call.at.as_millis() / 100) as usize) {
            match call.end {
                End::Answered => tenth.0 += 1,
                End::Shed => tenth.1 += 1,
                End::Late | End::Failed => {}
            }
        }
    }
    json!({
        "seconds": elapsed.as_secs_f64(),
        "offered": offered,
        "answered": took(End::Answered),
        "shed": took(End::Shed),
        "late": took(End::Late),
        "failed": took(End::Failed),
        "tenths": tenths,
    })
}
