//! What of a token is kept for policies.

use serde_json::{Map, Value};

/// Said by the principal itself, or only of use to the check.
const CHECKED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
const MOST: usize = 32;
const LONGEST: usize = 512;
const MOST_ITEMS: usize = 64;

/// The claims that are a value or a list of strings, as long as they are small.
pub(super) fn bounded(claims: Map<String, Value>) -> Map<String, Value> {
    let kept = |(name, value): &(String, Value)| {
        !CHECKED.contains(&name.as_str()) && name.len() <= LONGEST && is_small(value)
    };
    claims.into_iter().filter(kept).take(MOST).collect()
}

fn is_small(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= LONGEST,
        Value::Array(items) => {
            let short = |item: &Value| item.as_str().is_some_and(|item| item.len() <= LONGEST);
            items.len() <= MOST_ITEMS && items.iter().all(short)
        }
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn small_claims_are_kept_and_others_are_not() {
        let long = "x".repeat(LONGEST + 1);
        let claims = json!({
            "iss": "i", "sub": "s", "exp": 1, "email": "a@b", "groups": ["a", "b"], "admin": true,
            "deep": { "a": 1 }, "long": long, "mixed": ["a", 1], "none": null,
        });
        let kept = bounded(claims.as_object().unwrap().clone());
        assert_eq!(
            Value::Object(kept),
            json!({ "email": "a@b", "groups": ["a", "b"], "admin": true })
        );
    }

    #[test]
    fn there_are_not_too_many() {
        let many = (0..100).map(|index| (format!("c{index}"), json!(index)));
        assert_eq!(bounded(many.collect()).len(), MOST);
    }
}
