//! An issuer's keys, found by OpenID Connect discovery: the issuer's document names where they are.

use std::time::Duration;

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;

use super::keys::Keys;

const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST: usize = 256 << 10;
const DOCUMENT: &str = ".well-known/openid-configuration";

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Whether keys may be fetched from here: nobody in between may change them.
pub(in crate::identity) fn check_url(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url} is no URL"))?;
    let is_here = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_here => Ok(()),
        _ => Err(format!("{url} must be https")),
    }
}

/// Asks the issuer. Takes bounded time and space.
pub(super) async fn keys(issuer: &str) -> Result<Keys, String> {
    let connector = connector(issuer.starts_with("http://"));
    let address = format!("{}/{DOCUMENT}", issuer.trim_end_matches('/'));
    let document = get(&connector, &address).await?;
    let document: Document = serde_json::from_slice(&document)
        .map_err(|_| format!("{address}: it names no issuer and jwks_uri"))?;
    if document.issuer != issuer {
        return Err(format!("{address}: it is another issuer's"));
    }
    check_url(&document.jwks_uri)?;
    let set = get(&connector, &document.jwks_uri).await?;
    Keys::read(&set).map_err(|problem| format!("{}: {problem}", document.jwks_uri))
}

fn connector(plain: bool) -> Connector {
    let builder = Connector::builder().proxy_config(ProxyConfig::from_env());
    match plain {
        true => builder.build_http(),
        false => builder
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build(),
    }
}

async fn get(connector: &Connector, address: &str) -> Result<Bytes, String> {
    let at = |problem: String| format!("{address}: {problem}");
    let fetched = tokio::time::timeout(PATIENCE, fetch(connector, address)).await;
    fetched
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
        .map_err(at)
}

async fn fetch(connector: &Connector, address: &str) -> Result<Bytes, String> {
    let request = HttpRequest::get(address).map_err(|cause| cause.to_string())?;
    let response = connector
        .call(request)
        .await
        .map_err(|cause| cause.to_string())?;
    // A redirect is no answer: it could lead anywhere.
    if response.status().as_u16() != 200 {
        return Err(format!("the status is {}", response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body.map_err(|_| format!("the body is broken or larger than {LARGEST} bytes"))?;
    Ok(body.to_bytes())
}
