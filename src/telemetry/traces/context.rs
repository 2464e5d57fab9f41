//! The context of W3C in the headers of HTTP.

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// What a call's headers say that it is a part of; nothing, if that is not well formed.
pub(super) fn of(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt as _;

    use super::*;

    #[test]
    fn a_context_that_is_not_well_formed_is_none() {
        for said in [
            "",
            "00",
            "00-0-0-01",
            "zz-00000000000000000000000000000001-0000000000000001-01",
        ] {
            let headers = [(
                http::HeaderName::from_static("traceparent"),
                said.parse().unwrap(),
            )];
            let context = of(&HeaderMap::from_iter(headers));
            assert!(!context.span().span_context().is_valid(), "{said}");
        }
    }
}
