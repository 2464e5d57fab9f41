//! What one template may cost.

const MIB: usize = 1024 * 1024;

/// Bounds of a rendering. Honest templates stay far below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the template engine: bounds loops and recursion in time.
    pub fuel: u64,
    /// All values that a template makes, taken together, whether it keeps them or not.
    pub memory_bytes: usize,
    /// The rendered file.
    pub output_bytes: usize,
    /// Macros and loops that call themselves.
    pub recursion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 500_000,
            memory_bytes: 16 * MIB,
            // CloudFormation takes templates of up to 1 MiB.
            output_bytes: 2 * MIB,
            recursion: 60,
        }
    }
}
