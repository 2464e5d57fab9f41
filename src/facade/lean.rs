//! What the SDK adds to every request for AWS's own statistics, left out: the user agent, which it
//! builds anew for each call. We say who we are in a constant.

use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_proton::{
    config::{
        ConfigBag, Intercept,
        interceptors::{
            BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::{
    interceptors::disable_interceptor, runtime_components::RuntimeComponents,
};

const USER_AGENT: &str = concat!("proton-grpc/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(super) struct Lean;

impl Intercept for Lean {
    fn name(&self) -> &'static str {
        "lean"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config
            .interceptor_state()
            .store_put(disable_interceptor::<UserAgentInterceptor>(
                "it is constant",
            ));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context
            .request_mut()
            .headers_mut()
            .insert("user-agent", USER_AGENT);
        Ok(())
    }
}
