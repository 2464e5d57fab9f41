//! The service config that we publish for clients that retry.

use std::collections::BTreeSet;

use proton_grpc::api::operation::{ALL, Class};

#[test]
fn only_what_reads_is_repeated_by_clients() {
    let config = include_str!("../../proto/service_config.json");
    let config: serde_json::Value = serde_json::from_str(config).unwrap();
    let methods = config["methodConfig"].as_array().unwrap();
    let repeated: BTreeSet<_> = methods
        .iter()
        .filter(|method| method.get("retryPolicy").is_some())
        .flat_map(|method| method["name"].as_array().unwrap())
        .map(|name| {
            assert_eq!(name["service"], "proton.v1.ProtonService");
            name["method"].as_str().unwrap()
        })
        .collect();
    let reading = ALL.iter().filter(|facts| facts.class == Class::Read);
    assert_eq!(repeated, reading.map(|facts| facts.name).collect());
}
