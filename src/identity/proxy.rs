//! What a trusted proxy says about the caller behind it.

use std::str::FromStr;

use http::{HeaderMap, HeaderName};

use super::{Client, Machine, Refusal, SpiffeId, Who};

/// Envoy's header about client certificates.
pub const FORWARDED_CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const LONGEST_NAME: usize = 256;

/// Who may say whom it calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// The holder of this identity.
    Spiffe(SpiffeId),
    /// Who connects over the socket file.
    Unix,
    /// Who connects from this machine.
    Loopback,
}

/// A proxy that is trusted, and the header that it says it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    pub proxy: TrustedProxy,
    pub header: HeaderName,
}

impl Proxied {
    /// Whether it says SPIFFE ids, and not names of the proxy's own.
    pub(super) fn says_ids(&self) -> bool {
        self.header == FORWARDED_CERTIFICATE
    }

    pub(super) fn is_from(&self, client: Client<'_>, id: Option<&SpiffeId>) -> bool {
        match &self.proxy {
            TrustedProxy::Spiffe(proxy) => id == Some(proxy),
            TrustedProxy::Unix => client.machine == Machine::Unix,
            TrustedProxy::Loopback => client.machine == Machine::Loopback,
        }
    }

    /// Whom the proxy calls for, if it says so.
    pub(super) fn who(&self, headers: &HeaderMap) -> Result<Option<Who>, Refusal> {
        let mut values = Vec::new();
        for value in headers.get_all(&self.header) {
            let value = value.to_str().map_err(|_| self.unreadable())?;
            values.push(value);
        }
        if values.is_empty() {
            return Ok(None);
        }
        if self.says_ids() {
            let id = forwarded_id(&values.join(","))
                .and_then(|uri| uri.parse::<SpiffeId>().ok())
                .ok_or_else(|| self.unreadable())?;
            return Ok(Some(Who::Spiffe(id.to_string())));
        }
        match values[..] {
            [name] if (1..=LONGEST_NAME).contains(&name.len()) => {
                Ok(Some(Who::Proxied(name.to_owned())))
            }
            _ => Err(self.unreadable()),
        }
    }

    fn unreadable(&self) -> Refusal {
        Refusal::malformed(format!("the header {} names nobody", self.header))
    }
}

/// The one `URI` of the last element, which is about the client of the last proxy:
///
/// ```text
/// By=spiffe://td/edge;Hash=…;URI=spiffe://td/web,By=…;Subject="CN=a,O=\"b\"";URI=spiffe://td/shop
/// ```
fn forwarded_id(header: &str) -> Option<String> {
    let last = split(header, ',').pop()?;
    let pairs = split(last, ';');
    let pairs = pairs.iter().filter_map(|pair| pair.trim().split_once('='));
    let mut uris = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("URI"));
    let (_, uri) = uris.next()?;
    uris.next()
        .is_none()
        .then(|| uri.trim_matches('"').to_owned())
}

/// Splits where nothing is quoted.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|letter| {
        let splits = letter == at && !quoted;
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        splits
    })
    .collect()
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "unix" => Ok(Self::Unix),
            "loopback" => Ok(Self::Loopback),
            id => id
                .parse()
                .map(Self::Spiffe)
                .map_err(|problem| format!("neither unix nor loopback, and {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ENVOYS: &str = "x-forwarded-client-cert";

    fn proxied(header: &'static str) -> Proxied {
        Proxied {
            proxy: TrustedProxy::Loopback,
            header: HeaderName::from_static(header),
        }
    }

    fn said(header: &'static str, values: &[&'static str]) -> Result<Option<String>, Refusal> {
        let name = HeaderName::from_static(header);
        let values = values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_static(value)));
        let who = proxied(header).who(&values.collect())?;
        Ok(who.map(|who| who.to_string()))
    }

    #[test]
    fn the_last_hop_of_envoys_header_counts() {
        let header = r#"By=spiffe://td/edge;URI=spiffe://td/forged,By=spiffe://td/edge;Hash=0;Subject="CN=\"a,b\";URI=spiffe://td/forged";URI=spiffe://td/shop"#;
        let found = said(ENVOYS, &[header]);
        assert_eq!(found.unwrap().as_deref(), Some("spiffe://td/shop"));
        let found = said(ENVOYS, &["URI=spiffe://td/forged", "URI=spiffe://td/shop"]);
        assert_eq!(found.unwrap().as_deref(), Some("spiffe://td/shop"));
        assert_eq!(said(ENVOYS, &[]).unwrap(), None);
    }

    #[test]
    fn an_envoys_header_without_one_id_names_nobody() {
        for header in [
            "",
            "By=spiffe://td/edge",
            "URI=spiffe://td/a;URI=spiffe://td/b",
            "URI=spiffe://td/a,Hash=0",
            "URI=https://td/a",
        ] {
            assert!(said(ENVOYS, &[header]).is_err(), "{header}");
        }
    }

    #[test]
    fn any_other_header_is_a_name() {
        let found = said("x-user", &["alice"]).unwrap();
        assert_eq!(found.as_deref(), Some("proxied:alice"));
        assert!(said("x-user", &["alice", "bob"]).is_err());
        assert!(said("x-user", &[""]).is_err());
    }

    #[test]
    fn only_the_named_proxy_is_believed() {
        let edge: SpiffeId = "spiffe://td/edge".parse().unwrap();
        let web: SpiffeId = "spiffe://td/web".parse().unwrap();
        let from = |machine| Client {
            certificate: None,
            machine,
        };
        let believes = |proxy: &str, machine, id: Option<&SpiffeId>| {
            let proxied = Proxied {
                proxy: proxy.parse().unwrap(),
                ..proxied("x-user")
            };
            proxied.is_from(from(machine), id)
        };
        assert!(believes("spiffe://td/edge", Machine::Other, Some(&edge)));
        assert!(!believes("spiffe://td/edge", Machine::Loopback, Some(&web)));
        assert!(!believes("spiffe://td/edge", Machine::Unix, None));
        assert!(believes("unix", Machine::Unix, None));
        assert!(!believes("unix", Machine::Loopback, Some(&edge)));
        assert!(believes("loopback", Machine::Loopback, None));
        assert!(!believes("loopback", Machine::Other, None));
        assert!("somebody".parse::<TrustedProxy>().is_err());
    }
}
