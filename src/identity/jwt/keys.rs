//! An issuer's public keys (JWKS).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// More keys than any issuer has at a time.
const MOST: usize = 100;

#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Keys {
    /// The keys of a set that signatures can be checked with; it must have one.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(text).map_err(|_| "it is no set of keys (JWKS)")?;
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .take(MOST)
            .filter_map(Key::read)
            .collect();
        if keys.is_empty() {
            return Err("it has no key that a signature can be checked with".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key of this id. Who names none means the only one.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, &self.0[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (id, keys) => keys.iter().find(|key| key.id.as_deref() == id),
        }
    }
}

impl Key {
    /// Sets hold what others need too: that is left out.
    fn read(key: Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(key).ok()?;
        let usage = &key.common.public_key_use;
        if usage
            .as_ref()
            .is_some_and(|usage| *usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let mut algorithms = algorithms(&key.algorithm);
        if let Some(only) = key.common.key_algorithm {
            algorithms.retain(|algorithm| only.to_string().parse() == Ok(*algorithm));
        }
        Some(Self {
            key: DecodingKey::from_jwk(&key)
                .ok()
                .filter(|_| !algorithms.is_empty())?,
            id: key.common.key_id,
            algorithms,
        })
    }

    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }
}

/// What a key can be used with. Secret keys with nothing: whoever can check could sign.
fn algorithms(key: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![ES256],
            EllipticCurve::P384 => vec![ES384],
            _ => vec![],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![EdDSA]
        }
        _ => vec![],
    }
}
