//! The process as its system sees it, by the names that Prometheus' own clients give to that.
//! Nothing where there is no `/proc`.

use std::fs;

use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Ticks a second in which Linux tells times to programs, on all machines of today.
const TICKS: f64 = 100.0;

pub(super) fn register(registry: &mut Registry) {
    if let Some(seconds) = cpu_seconds() {
        registry.register_with_unit(
            "process_cpu",
            "CPU time that the process has taken",
            Unit::Seconds,
            ConstCounter::new(seconds),
        );
    }
    for (name, help, line) in [
        ("process_resident_memory", "Memory in use", "VmRSS:"),
        ("process_virtual_memory", "Memory reserved", "VmSize:"),
    ] {
        if let Some(bytes) = memory(line) {
            registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(bytes));
        }
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them reads the directory.
        let open = ConstGauge::new(files.count().saturating_sub(1));
        registry.register("process_open_fds", "Files that are open", open);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(most) = limit.current {
        let most = ConstGauge::new(most);
        registry.register("process_max_fds", "Files that may be open", most);
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    // The fourteenth and fifteenth: in the process and in the system for it.
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || ticks.next()?.parse::<u32>().ok().map(f64::from);
    Some((next()? + next()?) / TICKS)
}

fn memory(line: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|each| each.strip_prefix(line))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_takes_time() {
        assert!(memory("VmRSS:").is_some_and(|bytes| bytes > 1 << 20));
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
    }
}
