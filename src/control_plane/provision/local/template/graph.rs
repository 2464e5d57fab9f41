//! An order in which everything comes after what it needs.

use std::collections::{BTreeSet, HashMap};

/// Orders the nodes, those that are free in their own order; or answers the names on a cycle, the way it goes round.
///
/// What a node needs and no node is called is not looked at here.
pub(super) fn order<'a>(
    nodes: &[(&'a str, BTreeSet<&'a str>)],
) -> Result<Vec<usize>, Vec<&'a str>> {
    let index: HashMap<&str, usize> = (nodes.iter().enumerate())
        .map(|(at, (name, _))| (*name, at))
        .collect();
    let mut missing = vec![0; nodes.len()];
    let mut wanted_by = vec![Vec::new(); nodes.len()];
    for (at, (_, needs)) in nodes.iter().enumerate() {
        for needed in needs.iter().filter_map(|name| index.get(name)) {
            missing[at] += 1;
            wanted_by[*needed].push(at);
        }
    }
    let mut free: BTreeSet<usize> = (0..nodes.len()).filter(|at| missing[*at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = free.pop_first() {
        order.push(at);
        for other in &wanted_by[at] {
            missing[*other] -= 1;
            if missing[*other] == 0 {
                free.insert(*other);
            }
        }
    }
    match missing.iter().position(|missing| *missing > 0) {
        None => Ok(order),
        Some(stuck) => Err(cycle(nodes, &index, &missing, stuck)),
    }
}

/// Walks from a node that could not be placed to others that could not, until one comes up again.
fn cycle<'a>(
    nodes: &[(&'a str, BTreeSet<&'a str>)],
    index: &HashMap<&str, usize>,
    missing: &[usize],
    mut at: usize,
) -> Vec<&'a str> {
    let mut walked: Vec<usize> = Vec::new();
    loop {
        if let Some(start) = walked.iter().position(|before| *before == at) {
            return walked[start..].iter().map(|at| nodes[*at].0).collect();
        }
        walked.push(at);
        let needs = nodes[at].1.iter().filter_map(|name| index.get(name));
        at = *needs
            .into_iter()
            .find(|needed| missing[**needed] > 0)
            .expect("what could not be placed needs something that could not");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<'a>(nodes: &[(&'a str, &[&'a str])]) -> Result<Vec<&'a str>, Vec<&'a str>> {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(name, needs)| (*name, needs.iter().copied().collect()))
            .collect();
        order(&nodes).map(|order| order.iter().map(|at| nodes[*at].0).collect())
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(
            ordered(&[("a", &["c", "b"]), ("b", &["c"]), ("c", &[]), ("d", &["x"])]),
            Ok(vec!["c", "b", "a", "d"])
        );
    }

    #[test]
    fn a_cycle_is_named_without_what_hangs_on_it() {
        assert_eq!(
            ordered(&[
                ("tail", &["a"]),
                ("a", &["b"]),
                ("b", &["c"]),
                ("c", &["a"])
            ]),
            Err(vec!["a", "b", "c"])
        );
        assert_eq!(ordered(&[("a", &["a"])]), Err(vec!["a"]));
    }
}
