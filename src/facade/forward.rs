//! Operations that the SDK does not know, because only our own control plane has them. They go the way of all others (credentials,
//! signature, repeats, deadline): the SDK sends one that it does know, and just before the signature that becomes the one that is
//! meant.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex},
};

use aws_sdk_proton::{
    Client,
    config::{
        ConfigBag, Intercept,
        http::HttpResponse,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        },
    },
    error::{BoxError, SdkError},
    operation::{RequestId, get_account_settings::GetAccountSettingsError},
};
use aws_smithy_runtime_api::{client::runtime_components::RuntimeComponents, http::StatusCode};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::api::{Operation, aws_json};

/// The error of the operation that is sent in place; it takes in those of others as they are.
pub(super) type ForwardError = GetAccountSettingsError;

/// A request in AWS-JSON.
pub(super) struct Question<O> {
    body: Bytes,
    of: PhantomData<fn(O)>,
}

impl<O> Question<O> {
    pub(super) fn new(request: &impl serde::Serialize) -> Self {
        Self {
            body: aws_json::write(request).into(),
            of: PhantomData,
        }
    }
}

impl<O> Clone for Question<O> {
    fn clone(&self) -> Self {
        Self {
            body: self.body.clone(),
            of: PhantomData,
        }
    }
}

/// A response that was read from AWS-JSON.
pub(super) struct Answer<T> {
    pub(super) response: T,
    request_id: Option<String>,
}

impl<T> RequestId for Answer<T> {
    fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

pub(super) async fn send<O: Operation<Response: DeserializeOwned>>(
    question: Question<O>,
    client: &Client,
) -> Result<Answer<O::Response>, SdkError<ForwardError, HttpResponse>> {
    let stand_in = StandIn {
        target: O::FACTS.name,
        body: question.body,
        answer: Arc::default(),
    };
    let answer = Arc::clone(&stand_in.answer);
    #[allow(
        deprecated,
        reason = "AWS marks every operation of a service that it closed"
    )]
    let sent = client
        .get_account_settings()
        .customize()
        .interceptor(stand_in)
        .send()
        .await?;
    let body = answer
        .lock()
        .expect("nothing panics while it holds the answer")
        .take()
        .unwrap_or_default();
    match serde_json::from_slice(&body) {
        Ok(response) => Ok(Answer {
            response,
            request_id: sent.request_id().map(str::to_owned),
        }),
        Err(cause) => {
            let status = StatusCode::try_from(200).expect("200 is a status");
            let raw = HttpResponse::new(status, SdkBody::from(body));
            Err(SdkError::response_error(cause, raw))
        }
    }
}

/// Puts the request that is meant in the place of the one that the SDK made, and keeps the answer.
#[derive(Debug)]
struct StandIn {
    target: &'static str,
    body: Bytes,
    answer: Arc<Mutex<Option<Bytes>>>,
}

impl Intercept for StandIn {
    fn name(&self) -> &'static str {
        "stand in"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let headers = request.headers_mut();
        headers.insert("x-amz-target", format!("AwsProton20200720.{}", self.target));
        headers.insert("content-length", self.body.len().to_string());
        *request.body_mut() = SdkBody::from(self.body.clone());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes();
        *self
            .answer
            .lock()
            .expect("nothing panics while it holds the answer") = body.map(Bytes::copy_from_slice);
        Ok(())
    }
}
