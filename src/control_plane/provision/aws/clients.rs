//! One client for each role and region, with credentials that are fetched once and renewed.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_sdk_cloudformation::Client;

/// Past this many the clients are made anew; who has more roles pays with a call to STS now and then.
const MAX_CLIENTS: usize = 256;
const SESSION: &str = "proton-grpc";

#[derive(Debug)]
pub(super) struct Clients {
    config: SdkConfig,
    made: Mutex<HashMap<(Option<String>, String), Client>>,
}

impl Clients {
    pub(super) fn new(config: SdkConfig) -> Self {
        Self {
            config,
            made: Mutex::default(),
        }
    }

    /// The client that acts in this role, or with the configured credentials if there is none.
    pub(super) async fn of(&self, role: Option<&str>, region: &str) -> Client {
        let key = (role.map(str::to_owned), region.to_owned());
        if let Some(client) = self.made().get(&key) {
            return client.clone();
        }
        let client = self.make(role, region).await;
        let mut made = self.made();
        if made.len() >= MAX_CLIENTS {
            made.clear();
        }
        made.entry(key).or_insert(client).clone()
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<(Option<String>, String), Client>> {
        self.made
            .lock()
            .expect("nobody panics while holding the clients")
    }

    async fn make(&self, role: Option<&str>, region: &str) -> Client {
        let region = Region::new(region.to_owned());
        let config =
            aws_sdk_cloudformation::config::Builder::from(&self.config).region(region.clone());
        let Some(role) = role else {
            return Client::from_conf(config.build());
        };
        let provider = AssumeRoleProvider::builder(role)
            .configure(&self.config)
            .region(region)
            .session_name(SESSION)
            .build()
            .await;
        Client::from_conf(config.credentials_provider(provider).build())
    }
}
